"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["admin", "user", "viewer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True)
class Identity:
    """A user who has shown who they are. name: as in the users file, safe as a folder's name.

    role: "viewer" looks, "user" also colours photographs, "admin" also looks after the host.
    """

    name: str
    role: Role
