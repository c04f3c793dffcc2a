"""`heliochrome-gateway user` and `token`: who may enter. Each act is in the record."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .audit import AuditLog
from .errors import BadAccount
from .first_boot import make_password, today
from .identity import ROLES
from .output import say
from .passwords import canonical, hasher, require_good
from .settings import GatewaySettings
from .tokens import new_token
from .users import User, Users

OK: Final = 0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands and their verbs; each sets `run`."""
    verbs = subparsers.add_parser("user", help="add, list and remove users").add_subparsers(
        dest="verb", required=True
    )
    verb = verbs.add_parser("add", help="add a user; asks for the password")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("--role", choices=ROLES, default="user", help="default: user")
    _add_password_choice(verb)
    verb.set_defaults(run=_add)

    verb = verbs.add_parser("passwd", help="set another password; ends the user's sessions")
    verb.add_argument("name", metavar="NAME")
    _add_password_choice(verb)
    verb.set_defaults(run=_passwd)

    verb = verbs.add_parser("list", help="show every user, their role and tokens")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_list)

    verb = verbs.add_parser("remove", help="remove a user; ends their sessions")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=_remove)

    verbs = subparsers.add_parser(
        "token", help="tokens, which programs show instead of a password"
    ).add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("add", help="make a token for a user, and show it once")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=_add_token)

    verb = verbs.add_parser("remove", help="remove a token; `user list` shows which there are")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("token", metavar="ID")
    verb.set_defaults(run=_remove_token)


def _add_password_choice(verb: argparse.ArgumentParser) -> None:
    """Never an argument: other users of the machine see a process's arguments."""
    choice = verb.add_mutually_exclusive_group()
    choice.add_argument("--stdin", action="store_true", help="read the password's line from stdin")
    choice.add_argument("--generate", action="store_true", help="make one, and show it once")


def _add(args: argparse.Namespace, settings: GatewaySettings) -> int:
    password = _password(args)
    hashed = hasher(settings).hash(canonical(password))
    with _recorded(settings, "add user", args.name, role=args.role):
        _users(settings).add(args.name, args.role, hashed, today())
    _tell(args, f"{args.name} ({args.role}) may sign in.", password)
    return OK


def _passwd(args: argparse.Namespace, settings: GatewaySettings) -> int:
    users = _users(settings)
    users.existing(args.name)  # a misspelt name is told before a password is asked for
    password = _password(args)
    hashed = hasher(settings).hash(canonical(password))
    with _recorded(settings, "set password", args.name):
        users.set_password(args.name, hashed)
    _tell(args, f"{args.name} has another password; the old one's sessions have ended.", password)
    return OK


def _list(args: argparse.Namespace, settings: GatewaySettings) -> int:
    found = _users(settings).all()
    if args.json:
        say(json.dumps([_as_json(user) for user in found], indent=2))
        return OK
    rows = [("NAME", "ROLE", "SINCE", "TOKENS")]
    for user in found:
        tokens = " ".join(f"{token.id} ({token.created})" for token in user.tokens)
        rows.append((user.name, user.role, user.created, tokens or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
    return OK


def _as_json(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role,
        "created": user.created,
        "tokens": [{"id": token.id, "created": token.created} for token in user.tokens],
    }


def _remove(args: argparse.Namespace, settings: GatewaySettings) -> int:
    with _recorded(settings, "remove user", args.name):
        _users(settings).remove(args.name)
    say(f"{args.name} is removed; their sessions have ended.")
    return OK


def _add_token(args: argparse.Namespace, settings: GatewaySettings) -> int:
    text, token = new_token(today())
    with _recorded(settings, "add token", args.name, token=token.id):
        _users(settings).add_token(args.name, token)
    say(f"{text}\n\nThis is shown only now. Send it as `Authorization: Bearer ...`.")
    return OK


def _remove_token(args: argparse.Namespace, settings: GatewaySettings) -> int:
    with _recorded(settings, "remove token", args.name, token=args.token):
        _users(settings).remove_token(args.name, args.token)
    say(f"The token {args.token} of {args.name} is removed.")
    return OK


def _users(settings: GatewaySettings) -> Users:
    return Users(settings.users_path)


@contextmanager
def _recorded(
    settings: GatewaySettings,
    act: str,
    subject: str,
    role: str | None = None,
    token: str | None = None,
) -> Iterator[None]:
    """Record what the block does, if it can be done. Nothing is done where nothing can be
    recorded: the record is opened before."""
    audit = AuditLog(settings.audit_path, settings.audit_file_bytes)
    try:
        yield
        audit.append("admin", address="local", act=act, subject=subject, role=role, token=token)
    finally:
        audit.close()


def _password(args: argparse.Namespace) -> str:
    """Raises BadAccount."""
    if args.generate:
        return make_password()
    if args.stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass(f"Password for {args.name}: ")
        if getpass.getpass("Once more: ") != password:
            raise BadAccount("The two passwords differ. Nothing was changed.")
    else:
        raise BadAccount(
            "There is no terminal to ask for the password on. Give --stdin or --generate."
        )
    require_good(password, args.name)
    return password


def _tell(args: argparse.Namespace, done: str, password: str) -> None:
    say(done)
    if args.generate:
        say(f"Password, shown only now: {password}")
