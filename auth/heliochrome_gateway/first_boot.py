"""The first start: there is a user afterwards, or there is no start."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final

from . import variables
from .audit import AuditLog
from .passwords import canonical, hasher, require_good
from .settings import GatewaySettings
from .users import Users

FIRST_USER: Final = "admin"
PASSWORD: Final = "HELIOCHROME_PASSWORD"
# Without characters that look alike: 31 of them, 20 in a password, so 99 random bits.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS: Final = 4
_GROUP: Final = 5


def ensure_user(
    settings: GatewaySettings, audit: AuditLog, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Make an admin if there is no user yet. Returns the password if it was made here: to be
    shown once, as only its hash is kept.

    It is HELIOCHROME_PASSWORD, or what HELIOCHROME_PASSWORD_FILE holds, if one is set; of no
    effect once there is a user. Raises BadSetting, BadAccount for a weak one, StorageFailed
    where nothing can be kept.
    """
    users = Users(settings.users_path)
    if users.all():
        return None
    given = variables.secret(environ, PASSWORD)
    password = given or make_password()
    require_good(password, FIRST_USER)
    hashed = hasher(settings).hash(canonical(password))
    users.add(FIRST_USER, "admin", hashed, today(), first=True)
    audit.append("admin", act="first user", subject=FIRST_USER, role="admin")
    return None if given else password


def make_password() -> str:
    """One to be read from a screen and typed."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def today() -> str:
    """ISO 8601, UTC."""
    return datetime.now(timezone.utc).date().isoformat()
