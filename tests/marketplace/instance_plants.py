"""Ways to spoil a root file system: what is planted, and which points it breaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instance_root import write

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
HASH = "$y$j9T$abcdefgh$0123456789"
ASSIST = "usr/local/share/aliyun-assist"
UNITS = "etc/systemd/system"


@dataclass(frozen=True)
class Dirt:
    """plant: makes it in a root. sealed: whether `seal` takes it away. also: other points."""

    point: str
    said: str
    plant: Callable[[Path], Any]
    sealed: bool = True
    also: tuple[str, ...] = ()

    @property
    def points(self) -> set[str]:
        return {self.point, *self.also}

    def __str__(self) -> str:
        return f"{self.point}: {self.said}"


def left(
    point: str,
    path: str,
    text: str = "left behind\n",
    sealed: bool = True,
    also: tuple[str, ...] = (),
) -> Dirt:
    return Dirt(point, path, lambda root: write(root, path, text), sealed, also)


def hidden(point: str, path: str, text: str = "left behind\n", also: tuple[str, ...] = ()) -> Dirt:
    """What `seal` does not take away."""
    return Dirt(point, f"{path}: {text!r}"[:120], lambda root: write(root, path, text), False, also)


def added(point: str, path: str, line: str, sealed: bool = True) -> Dirt:
    def plant(root: Path) -> None:
        before = (root / path).read_text()
        (root / path).write_text(before + line + "\n")

    return Dirt(point, f"{path} with {line}", plant, sealed)


def without(point: str, path: str) -> Dirt:
    def plant(root: Path) -> None:
        target = root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    return Dirt(point, f"without {path}", plant, sealed=False)


def changed(point: str, path: str, old: str, new: str) -> Dirt:
    def plant(root: Path) -> None:
        before = (root / path).read_text()
        assert old in before
        (root / path).write_text(before.replace(old, new))

    return Dirt(point, f"{path}: {old!r} -> {new!r}", plant, sealed=False)


def mode(point: str, path: str, bits: int) -> Dirt:
    def plant(root: Path) -> None:
        if not (root / path).exists():
            write(root, path)
        (root / path).chmod(bits)

    return Dirt(point, f"{path} {bits:o}", plant, sealed=False)


def link(point: str, path: str, target: str, sealed: bool = True) -> Dirt:
    def plant(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(target)

    return Dirt(point, f"{path} -> {target}", plant, sealed)


def package_gone(point: str, name: str) -> Dirt:
    there, gone = "install ok installed", "deinstall ok config-files"
    entry = f"Package: {name}\nStatus: "
    return changed(point, "var/lib/dpkg/status", entry + there, entry + gone)


def recorded(point: str, name: str, value: object) -> Dirt:
    def plant(root: Path) -> None:
        path = root / "opt/heliochrome/prepared.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return Dirt(point, f"prepared.json with {name} {value!r}", plant, sealed=False)


def container(root: Path) -> None:
    """As Docker leaves one: its own folder and its two layers."""
    name, layer = "a" * 64, "b" * 64
    write(root, f"var/lib/docker/containers/{name}/{name}-json.log")
    write(root, f"var/lib/docker/image/overlay2/layerdb/mounts/{name}/mount-id", layer)
    write(root, f"var/lib/docker/overlay2/{layer}/diff/photo.jpg")
    write(root, f"var/lib/docker/overlay2/{layer}-init/diff/a")


def volume(root: Path) -> None:
    """Of the appliance, with nothing in it."""
    (root / "var/lib/docker/volumes/heliochrome_studio/_data").mkdir(parents=True)


def session(root: Path) -> None:
    """As the cloud assistant makes its user, but for the sudoers file, which somebody removed."""
    user = "ecs-assist-user"
    for path, line in (
        ("etc/passwd", f"{user}:x:1003:1003::/home/{user}:/bin/bash"),
        ("etc/shadow", f"{user}:!:20000::::::"),
        ("etc/group", f"{user}:x:1003:"),
        ("etc/gshadow", f"{user}:!::"),
    ):
        text = (root / path).read_text().replace("keeper\n", f"keeper,{user}\n")
        (root / path).write_text(f"{text}{line}\n")
    write(root, f"home/{user}/.profile")


def matched(root: Path) -> None:
    write(root, "etc/ssh/more/a.conf", "PasswordAuthentication yes\n")
    path = root / "etc/ssh/sshd_config"
    path.write_text(f"{path.read_text()}Match all\n  Include more/*.conf\n")


def other_image(root: Path) -> None:
    path = root / "var/lib/docker/image/overlay2/repositories.json"
    found = json.loads(path.read_text())
    found["Repositories"]["seller/private"] = {"seller/private:1": "sha256:1"}
    path.write_text(json.dumps(found))


def snapd(root: Path) -> None:
    write(root, "var/lib/snapd/device/private-keys-v1/abc", "a key")
    device = {"brand": "generic", "serial": "0b7f", "key-id": "abc", "session-macaroon": "x"}
    state = {"data": {"auth": {"last-id": 1, "device": device}}, "changes": {}}
    write(root, "var/lib/snapd/state.json", json.dumps(state))


def long_key(root: Path) -> None:
    (root / "etc/apt/keyrings/docker.asc").write_bytes(b"\xc6\xff\x00\x02\x00\x00" + bytes(0x20000))
