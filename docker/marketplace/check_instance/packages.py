"""The system and its packages: which, whose, and that they stay up to date."""

from __future__ import annotations

import re
from typing import Final

from .image import Image
from .openpgp import fingerprints

SYSTEMS: Final = ("debian 12", "ubuntu 24.04")
# As in prepare-instance.
KEYS: Final = {
    "docker": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    "nvidia-container-toolkit": "C95B321B61E88C1809C4F759DDCAE044F796ECB0",
}
# Of a source, in both forms; of apt's settings; and the words that apt takes for no.
TRUSTS: Final = re.compile(
    r"(?im)(?:^|[\s\[,])(trusted|allow-insecure|allow-weak|allow-downgrade-to-insecure)"
    r"\s*[=:]\s*([^\s\],]+)"
)
TAKES: Final = re.compile(
    r"(?im)^(?!\s*(?://|#)).*?(Allow(?:Insecure|Weak|DowngradeToInsecure)Repositories"
    r"|AllowUnauthenticated)[\s\"]+([^\s\";]+)"
)
NO: Final = {"no", "false", "without", "off", "disable", "0"}
# Beginnings of the names of packages.
KERNELS: Final = ("linux-image", "linux-headers", "linux-modules")


def system(image: Image) -> list[str]:
    known = dict(line.partition("=")[::2] for line in image.lines("usr/lib/os-release"))
    found = " ".join(known.get(name, "").strip('"') for name in ("ID", "VERSION_ID"))
    return [] if found in SYSTEMS else [found]


def half_installed(image: Image) -> list[str]:
    return [f"{name} {state}" for name, state in image.packages.items() if state[0] == "("]


def repositories(image: Image) -> list[str]:
    wrong: list[str] = []
    for name in list(KEYS)[: 2 if image.card else 1]:
        key = f"etc/apt/keyrings/{name}.asc"
        lines = image.lines(f"etc/apt/sources.list.d/{name}.list")
        signed = rf"deb \[(arch=amd64 )?signed-by=/{re.escape(key)}\] https://\S+ .+"
        if not re.fullmatch(signed, "\n".join(lines)):
            wrong.append(f"{name}.list: {'; '.join(lines) or 'nothing'}")
        if (found := fingerprints(image.data(key))) != [KEYS[name]]:
            wrong.append(f"{key}: {' '.join(found) or 'no key'}")
    return wrong + _unsigned(image)


def _unsigned(image: Image) -> list[str]:
    """Whatever lets apt take what nobody has signed, or signed weakly."""
    wrong: list[str] = []
    for path in ["etc/apt/sources.list", *image.names("etc/apt/sources.list.d")]:
        said = TRUSTS.findall("\n".join(image.lines(path)))
        wrong += [f"{path}: {name} {value}" for name, value in said if value.lower() not in NO]
    for path in _settings(image):
        said = TAKES.findall(image.text(path))
        wrong += [f"{path}: {name} {value}" for name, value in said if value.lower() not in NO]
    return wrong


def _settings(image: Image) -> list[str]:
    return ["etc/apt/apt.conf", *image.names("etc/apt/apt.conf.d")]


def upgrades(image: Image) -> list[str]:
    said: dict[str, str] = {}
    for path in _settings(image):
        said |= dict(re.findall(r'(?m)^\s*APT::Periodic::([\w-]+)\s+"(\d+)"', image.text(path)))
    names = ("Update-Package-Lists", "Unattended-Upgrade")
    off = [f"{name} {said.get(name, 'unset')}" for name in names if said.get(name, "0") == "0"]
    timers = ("apt-daily.timer", "apt-daily-upgrade.timer")
    masked = [f"{name} is masked" for name in timers if image.masked(name)]
    return image.without("unattended-upgrades") + off + masked + _kernels(image)


def _kernels(image: Image) -> list[str]:
    """On an instance with a card: those that are not held once apt has read all its files."""
    if not image.card:
        return []
    held: set[str] = set()
    for path in _settings(image):
        text = re.sub(r"(?m)^\s*//.*$", "", image.text(path))
        for cleared, block in re.findall(
            r"(#clear\s+Unattended-Upgrade)|Unattended-Upgrade::Package-Blacklist\s*\{([^}]*)\}",
            text,
        ):
            held = set() if cleared else held | set(re.findall('"([^"]+)"', block))
    return [f"{name} is not held" for name in KERNELS if name not in held]


def caches(image: Image) -> list[str]:
    held = image.files("var/cache/apt", "var/lib/apt/lists")
    return [path for path in held if not path.endswith("/lock")]
