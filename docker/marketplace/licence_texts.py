"""Where in an image's root the texts of licences lie, and which libraries wheels brought along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

PACKAGES: Final = "opt/heliochrome/lib/python3.11/site-packages"
STATUS: Final = "var/lib/dpkg/status"
_DOC: Final = "usr/share/doc"
_TEXT: Final = re.compile(r"(?i)^(licen[sc]e|copying|notice|authors|copyright|third.?party)")


class Package(NamedTuple):
    """A binary package of Debian's."""

    name: str
    version: str
    source: str
    source_version: str


def folder_of(root: Path, name: str, version: str) -> Path | None:
    """The dist-info of a Python package; name: as CycloneDX has it, lower case with dashes."""
    for found in (root / PACKAGES).glob("*.dist-info"):
        own, _, rest = found.name.removesuffix(".dist-info").rpartition("-")
        if _canonical(own) == name and rest == version:
            return found
    return None


def _canonical(name: str) -> str:
    """Of a Python package, as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_python(root: Path, name: str, version: str) -> tuple[str, ...]:
    """Paths within the image, of the package's own texts."""
    folder = folder_of(root, name, version)
    if folder is None:
        return ()
    within = [path for path in folder.rglob("*") if _TEXT.match(path.name) and path.is_file()]
    # A few lie beside the code, as NVIDIA's do.
    record = folder / "RECORD"
    listed = record.read_text("utf-8").splitlines() if record.is_file() else []
    beside = [
        path
        for line in listed
        if _TEXT.match(Path(line.split(",")[0]).name)
        and (path := folder.parent / line.split(",")[0]).is_file()
    ]
    # A folder called licenses is no text, and Python's own leftovers are none.
    found = {path for path in (*within, *beside) if path.suffix not in (".py", ".pyc")}
    return tuple(sorted(f"/{path.relative_to(root)}" for path in found))


def of_debian(root: Path, name: str) -> tuple[str, ...]:
    path = root / _DOC / name / "copyright"
    return (f"/{_DOC}/{name}/copyright",) if path.is_file() or path.is_symlink() else ()


def debian_licences(root: Path, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The short names in a machine-readable copyright file (DEP 5): all, and those of the whole.

    Of the whole is what `Files: *` says; without it, what is said of any file but Debian's own.
    """
    path = root / _DOC / name / "copyright"
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:  # a link to a folder that this image does not have
        return (), ()
    if "Format:" not in text.partition("\n\n")[0]:
        return (), ()
    named, whole, files = set(), set(), set()
    for paragraph in re.split(r"\n[ \t]*\n", text):
        for licence in re.findall(r"^License:[ \t]*(\S.*)$", paragraph, re.MULTILINE):
            named.add(licence.strip())
            patterns = re.findall(r"^Files:((?:.*\n(?=[ \t]))*.*)", paragraph, re.MULTILINE)
            each = " ".join(patterns).split()
            if "*" in each:
                whole.add(licence.strip())
            elif any(not pattern.startswith("debian/") for pattern in each):
                files.add(licence.strip())
    return _sorted(named), _sorted(whole or files)


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=str.casefold))


def debian_packages(root: Path) -> Mapping[str, Package]:
    """What is installed, by name."""
    found: dict[str, Package] = {}
    for paragraph in (root / STATUS).read_text("utf-8").split("\n\n"):
        lines = re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE)
        fields: dict[str, str] = dict(lines)
        installed = fields.get("Status", "").endswith(" installed")
        if installed and "Package" in fields and "Version" in fields:
            source, _, version = fields.get("Source", fields["Package"]).partition(" ")
            name, own = fields["Package"], fields["Version"]
            found[name] = Package(name, own, source, version.strip("()") or own)
    return found


def source_address(root: Path, package: Package) -> str:
    """Where the distribution keeps it. Of a package that is not the distribution's it is wrong."""
    place = f"{quote(package.source)}/{quote(package.source_version)}"
    release = root / "etc/os-release"
    if release.is_file() and re.search(r"(?m)^ID=ubuntu$", release.read_text("utf-8")):
        return f"https://launchpad.net/ubuntu/+source/{place}"
    return f"https://snapshot.debian.org/package/{place}/"


def libraries(root: Path) -> Iterator[tuple[str, str]]:
    """(package, file name) of every shared library in a wheel, those in NAME.libs included."""
    packages = root / PACKAGES
    owners = {}
    for record in packages.glob("*.dist-info/RECORD"):
        own = record.parent.name.removesuffix(".dist-info").rpartition("-")[0]
        name = _canonical(own)
        for line in record.read_text("utf-8").splitlines():
            listed = line.split(",")[0]
            if ".so" in Path(listed).name:
                owners[listed] = name
    for path in sorted(packages.rglob("*.so*")):
        place = path.relative_to(packages)
        own = owners.get(place.as_posix(), place.parts[0].removesuffix(".libs"))
        yield _canonical(own), path.name
