"""The `heliochrome-gateway` command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import audit_commands, user_commands
from .audit import AuditLog
from .errors import GatewayError
from .first_boot import FIRST_USER, ensure_user
from .output import complain, discard_the_rest, say, show_log
from .settings import GatewaySettings

_FAILED: Final = 2
_INTERRUPTED: Final = 130


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Each command sets `run`."""
    parser = argparse.ArgumentParser(
        prog="heliochrome-gateway",
        description="The front door of Heliochrome. Settings: HELIOCHROME_GATEWAY_* variables.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("serve", help="open the door")
    command.set_defaults(run=_serve)
    user_commands.register(commands)
    audit_commands.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 2 for wrong use or an error, 130 for Ctrl-C, 1 where nobody
    reads the output any more; `audit verify` has its own."""
    args = build_parser().parse_args(argv)
    show_log()
    try:
        settings = GatewaySettings.from_environ()
        if args.command != "serve":
            _act_as_owner(settings.folder)
        code: int = args.run(args, settings)
    except GatewayError as error:
        complain(f"heliochrome-gateway: {error}")
        return _FAILED
    except BrokenPipeError:
        discard_the_rest()
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _serve(args: argparse.Namespace, settings: GatewaySettings) -> int:
    from .app import create_app
    from .loops import run
    from .serving import serve

    audit = AuditLog(settings.audit_path, settings.audit_file_bytes)
    made = ensure_user(settings, audit)
    audit.close()
    if made is not None:
        say(
            f"First start: sign in as {FIRST_USER} with the password {made}\n"
            "It is shown only now. To set another one: "
            f"`heliochrome-gateway user passwd {FIRST_USER}`."
        )
    run(serve(create_app(settings), settings, say))
    return 0


def _act_as_owner(folder: Path) -> None:
    """Let root, as in a container's shell, leave no files that the gateway cannot read."""
    if os.name == "nt" or os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
