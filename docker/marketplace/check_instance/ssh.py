"""Who gets in over ssh: what sshd takes, whose keys, and that its own are made anew."""

from __future__ import annotations

import re
from typing import Final

from .image import Image

# Of a person or a machine, wherever it stands: cloud-init takes such a line from its settings.
PUBLIC_KEY: Final = re.compile(
    rb"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d+|sk-[a-z0-9-]+@openssh\.com)[ \t]+AAAA"
)


def sshd(image: Image) -> list[str]:
    """What sshd would take: the first value of each keyword, and all that Match blocks say."""
    first: dict[str, str] = {}
    matched: list[tuple[str, str]] = []
    _read(image, "etc/ssh/sshd_config", first, matched)
    given = re.findall(r"(?m)^\s*(?:export\s+)?(SSHD_OPTS=.*)", image.text("etc/default/ssh"))
    allowed = {
        "passwordauthentication": ("yes", {"no"}),
        "kbdinteractiveauthentication": ("yes", {"no"}),
        "permitemptypasswords": ("no", {"no"}),
        "permitrootlogin": ("yes", {"no", "prohibit-password", "without-password"}),
        "authorizedkeysfile": ("none", {"none", ".ssh/authorized_keys .ssh/authorized_keys2",
                                        ".ssh/authorized_keys"}),
        "authorizedkeyscommand": ("none", {"none"}),
        "trustedusercakeys": ("none", {"none"}),
    }  # fmt: skip
    said = [(name, first.get(name, default)) for name, (default, _) in allowed.items()]
    return [
        f"{name} {value}"
        for name, value in [*said, *matched]
        if name in allowed and value not in allowed[name][1]
    ] + [f"etc/default/ssh: {line}" for line in given if line.strip("SHD_OPT=\"' \t")]


def _read(
    image: Image,
    path: str,
    first: dict[str, str],
    matched: list[tuple[str, str]],
    depth: int = 0,
    inside: bool = False,
) -> None:
    """inside: a Match block, which goes on in what it includes, and ends with its own file."""
    for line in image.lines(path):
        keyword, _, value = re.sub(r"[\s=]+", " ", line).partition(" ")
        name, value = keyword.lower(), value.strip('" ').lower()
        name = name.replace("challengeresponse", "kbdinteractive")
        if name == "match":
            inside = True
        elif name == "include" and depth < 16:
            for pattern in re.sub(r"[\s=]+", " ", line).split(" ")[1:]:
                whole = pattern if pattern.startswith("/") else f"etc/ssh/{pattern}"
                folder, _, last = whole.strip("/").rpartition("/")
                for included in image.names(folder, last):
                    _read(image, included, first, matched, depth + 1, inside)
        elif inside:
            matched.append((name, value))
        else:
            first.setdefault(name, value)


def authorized_keys(image: Image) -> list[str]:
    """Those in homes that are not empty, as a link never is; and any key in settings."""
    found = image.in_homes(".ssh/authorized_keys", ".ssh/authorized_keys2")
    held = [path for path in found if (place := image.entry(path)) and place.lstat().st_size]
    return held + [
        path
        for path in image.files("etc")
        if not path.startswith("etc/ssh/ssh_host_")
        and PUBLIC_KEY.search(image.start(path))
        and not image.brought(path)
    ]


def host_keys(image: Image) -> list[str]:
    return image.names("etc/ssh", "ssh_host_*")
