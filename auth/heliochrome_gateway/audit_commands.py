"""`heliochrome-gateway audit`: read the record, and prove that it is whole."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Final

from . import audit_files
from .audit_files import Head
from .audit_verify import verify
from .errors import BadSetting, StorageFailed
from .output import complain, say
from .settings import GatewaySettings
from .storage import storing

OK: Final = 0
TAMPERED: Final = 1
DAMAGED: Final = 3
_POLL_S: Final = 0.5
_MARK: Final = re.compile(r"(\d{1,16}):([0-9a-f]{64})")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs; each sets `run`."""
    verbs = subparsers.add_parser("audit", help="read and verify the record").add_subparsers(
        dest="verb", required=True
    )
    verb = verbs.add_parser(
        "verify",
        help="prove that no line was changed, removed or moved",
        description="Exit code 1: somebody changed the record. 3: only its end is cut off, as a "
        "power cut leaves it; the gateway's next start repairs that.",
    )
    verb.add_argument("--folder", type=Path, help="of another record, such as a copy")
    verb.add_argument("--first", type=int, default=1, metavar="N", help="older lines are archived")
    verb.add_argument("--holds", metavar="N:SHA256", help="an end that `verify` printed earlier")
    verb.set_defaults(run=_verify)

    verb = verbs.add_parser("tail", help="show the newest lines")
    verb.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="default: 20")
    verb.add_argument("-f", "--follow", action="store_true", help="go on showing new ones")
    verb.set_defaults(run=_tail)


def _verify(args: argparse.Namespace, settings: GatewaySettings) -> int:
    holds = None
    if args.holds is not None:
        match = _MARK.fullmatch(args.holds)
        if match is None:
            raise BadSetting(f"--holds must be as `verify` prints it, got {args.holds!r}.")
        holds = Head(int(match[1]), match[2])
    verdict = verify(args.folder or settings.audit_path, args.first, holds)
    if verdict.tampering is not None:
        complain(f"CHANGED: {verdict.tampering}")
        # The last line that fits is vouched for by none after it.
        proven = max(verdict.end.seq - args.first, 0)
        complain(f"Only the first {proven} lines are proven to be as they were written.")
        return TAMPERED
    say(f"Whole: {verdict.end.seq - args.first + 1} lines. The end is {verdict.end}")
    say("Keep that somewhere else: `--holds` proves later that all up to here is still the same.")
    if verdict.damage is not None:
        complain(
            f"Only the end is cut off, as by a power cut: {verdict.damage}. "
            "The gateway's next start repairs it."
        )
        return DAMAGED
    return OK


def _tail(args: argparse.Namespace, settings: GatewaySettings) -> int:
    folder = settings.audit_path
    if not folder.is_dir():
        raise StorageFailed(f"There is no record in {folder} yet.")
    with storing(folder):
        shown = _show_last(folder, max(0, args.lines))
        while args.follow:
            time.sleep(_POLL_S)
            shown = _show_new(folder, shown)
    return OK


def _show_last(folder: Path, count: int) -> tuple[Path | None, int]:
    """Returns the file and offset up to which all is shown."""
    lines: list[bytes] = []
    place: tuple[Path | None, int] = (None, 0)
    for _, path in reversed(audit_files.files(folder)):
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        place = place if place[0] else (path, len(whole))
        lines = whole.splitlines() + lines
        if len(lines) >= count:
            break
    for text in lines[len(lines) - min(count, len(lines)) :]:
        say(text.decode(errors="replace"))
    return place


def _show_new(folder: Path, place: tuple[Path | None, int]) -> tuple[Path | None, int]:
    shown, offset = place
    for _, path in audit_files.files(folder):
        if shown is not None and path < shown:
            continue
        offset = offset if path == shown else 0
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        for text in whole.splitlines():
            say(text.decode(errors="replace"))
        shown, offset = path, offset + len(whole)
    return shown, offset
