"""Which of the host's files a user may name: those below a folder of their own.

Uploads and results are put below `user-NAME`, in the host's input and output folders alike. So
a file's owner is told by its path, and holds after a restart and for what nobody watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from .identity import Identity
from .ownership import Owners
from .refusals import Denied, not_found
from .targets import is_plain_name

Place = Literal["input", "output", "temp"]
# Pictures in the input folder that every user may read: what the shipped workflows begin with.
SHARED: Final = frozenset({"example.png"})
# Folders that the host's own frontend names; they are below the user's.
_FRONTEND: Final = frozenset({"", "clipspace", "pasted", "painter"})
_LONGEST: Final = 200


@dataclass(frozen=True)
class OwnedFile:
    """As the host's /view asks for it."""

    place: Place
    subfolder: str
    name: str

    @property
    def annotated(self) -> str:
        """As the host's LoadImage takes it."""
        path = f"{self.subfolder}/{self.name}" if self.subfolder else self.name
        return path if self.place == "input" else f"{path} [{self.place}]"


def folder_of(identity: Identity) -> str:
    """Of a user, in the host's folders; no name of a user makes it another folder's."""
    return f"user-{identity.name}"


def below(identity: Identity, subfolder: str) -> str:
    """The folder for an upload or a setting. Raises Denied for one that is not the user's."""
    own = folder_of(identity)
    if subfolder in _FRONTEND:
        return f"{own}/{subfolder}" if subfolder else own
    if subfolder != own and not subfolder.startswith(f"{own}/"):
        raise not_found()
    _check(subfolder)
    return subfolder


def find(
    identity: Identity, owners: Owners, name: str, subfolder: str = "", place: str = "input"
) -> OwnedFile:
    """The file that a request names, if it is this user's. Raises Denied.

    name: may end in " [input]", " [output]" or " [temp]", which then is the place, and may
    hold the subfolder: the host reads it so.
    """
    for one in get_args(Place):
        if name.endswith(f"[{one}]"):
            name, place = name.removesuffix(f"[{one}]").removesuffix(" "), one
    if place not in get_args(Place):
        raise not_found()
    folder, _, name = f"{subfolder}/{name}".strip("/").rpartition("/")
    _check(f"{folder}/{name}" if folder else name)
    if place == "temp":
        if not owners.was_shown(identity.name, folder, name):
            raise not_found()
        return OwnedFile("temp", folder, name)
    if place == "input" and not folder and name in SHARED:
        return OwnedFile("input", "", name)
    if place == "output" and folder in _FRONTEND:
        raise not_found()
    return OwnedFile(cast(Place, place), below(identity, folder), name)


def in_userdata(identity: Identity, file: str) -> str:
    """A file of the frontend's, as one step of the host's path: slashes encoded twice over.

    The host keeps these files for one user; each of ours has a folder there.
    """
    return f"{folder_of(identity)}/{file}".replace("/", "%2F")


def prefix(identity: Identity, given: str) -> str:
    """A save node's `filename_prefix`, moved below the user's folder. Raises Denied."""
    own = folder_of(identity)
    given = given.removeprefix(f"{own}/")
    _check(given)
    return f"{own}/{given}"


def _check(path: str) -> None:
    if len(path) > _LONGEST or not all(is_plain_name(step) for step in path.split("/")):
        raise Denied(
            400,
            "file name",
            f"A file cannot be called {path[:80]!r}. Use a short name without path tricks.",
            "文件名不可用。请使用简短的普通文件名。",
        )
