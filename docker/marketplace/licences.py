"""The licences of what is in an image, from its list of components and its files, as Markdown:
python docker/marketplace/licences.py SBOM --root ROOT [--host HOST] > licences.md

SBOM: /opt/heliochrome/sbom.cdx.json of the image; ROOT: a folder with its files, as `podman mount`
or `docker export` give them; HOST: the instance's own disk, whose packages are listed as well.
Ends with 1, and says what, where a sold image may not hold a part.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import licence_list
import licence_texts as texts
from licence_terms import BadTerms, Kind, Policy, stated


@dataclass(frozen=True)
class Part:
    """texts: paths in the image. source: where what it was made from is.

    kind: of a Debian package only whether it is refused. to_read: licences for some of its files
    that would refuse the whole.
    """

    name: str
    version: str
    origin: str
    licence: str
    kind: Kind
    texts: tuple[str, ...]
    source: str = ""
    why: str = ""
    to_read: tuple[str, ...] = ()


def page(sbom: Path, root: Path, host: Path | None = None) -> str:
    """The list as Markdown. Raises BadTerms."""
    found = read_sbom(sbom)
    for option, folder in (("--root", root), ("--host", host)):
        if folder and not (folder / texts.STATUS).is_file():
            raise BadTerms(f"{option}: expected a whole root, {folder} has no {texts.STATUS}.")
    policy = Policy.read()
    own = parts(found, root, policy)
    return licence_list.markdown(found, own, policy.notes, of_host(host, policy) if host else ())


def parts(sbom: Mapping[str, Any], root: Path, policy: Policy) -> list[Part]:
    """Raises BadTerms, with everything that is wrong."""
    sources = texts.debian_packages(root)
    found = [_part(component, root, policy, sources) for component in sbom["components"]]
    wrong = [problem for part in found for problem in _problems(part, policy)]
    wrong += _brought(root, policy)
    if wrong:
        raise BadTerms("\n".join(["The image cannot be sold as it is:", *wrong]))
    return found


def of_host(root: Path, policy: Policy) -> list[Part]:
    """The packages of the system around the image. Raises BadTerms for refused ones.

    One without a text is none: what does not come from the distribution may have none.
    """
    packages = texts.debian_packages(root)
    found = [_debian(packages[name], root, policy) for name in sorted(packages)]
    wrong = [problem for part in found if part.texts for problem in _problems(part, policy)]
    if wrong:
        raise BadTerms("\n".join(["The instance cannot be sold as it is:", *wrong]))
    return found


def read_sbom(path: Path) -> Mapping[str, Any]:
    """Raises BadTerms for what is no list of components."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadTerms(
            f"{path} cannot be read as JSON: {error}. Copy it from the image."
        ) from error
    if not isinstance(found, dict) or found.get("bomFormat") != "CycloneDX":
        raise BadTerms(f"{path} is no CycloneDX file. Take /opt/heliochrome/sbom.cdx.json.")
    return found


def _part(
    component: Mapping[str, Any],
    root: Path,
    policy: Policy,
    sources: Mapping[str, texts.Package],
) -> Part:
    name, version = component["name"], component["version"]
    place = component.get("purl", "")
    if place.startswith("pkg:deb/"):
        return _debian(
            sources.get(name) or texts.Package(name, version, name, version), root, policy
        )
    licence = stated(component, policy)
    origin = "python" if place else "program"
    found = (
        texts.of_python(root, name, version)
        if place
        else tuple(f"/{path}" for path in ("opt/comfyui/LICENSE",) if (root / path).is_file())
    )
    allowed = policy.gpl_allowed.get(name, {})
    return Part(
        name, version, origin, licence, policy.kind(licence), found,
        allowed.get("source", ""), allowed.get("why", ""),
    )  # fmt: skip


def _debian(package: texts.Package, root: Path, policy: Policy) -> Part:
    named, whole = texts.debian_licences(root, package.name)
    refused = bool(whole) and all(policy.refuses(licence) for licence in whole)
    return Part(
        package.name, package.version, "debian", ", ".join(named),
        "refused" if refused else "free", texts.of_debian(root, package.name),
        texts.source_address(root, package),
        to_read=tuple(filter(policy.refuses, named)),
    )  # fmt: skip


def _problems(part: Part, policy: Policy) -> Iterator[str]:
    what = f"- {part.name} {part.version}"
    if part.origin == "debian":
        if not part.texts:
            yield f"{what} (Debian) has no /usr/share/doc/{part.name}/copyright in the image."
        elif part.kind == "refused":
            yield f"{what} (Debian) is under {part.licence}, which no sold image may hold."
    elif not part.licence:
        yield f"{what} states no licence. Read its text, and add it to `corrected` in the policy."
    elif part.kind == "unknown":
        yield f"{what} is under {part.licence!r}, which the policy does not know. Read it, add it."
    elif part.kind == "refused":
        yield f"{what} is under {part.licence!r}, which no sold image may hold. Take it out."
    elif part.kind == "gpl" and part.name not in policy.gpl_allowed:
        yield (
            f"{what} is under {part.licence!r} alone. Take it out; or, if it is a part of "
            "ComfyUI's, add to `gpl_allowed` why it may stay and where its source is."
        )
    elif part.kind == "nvidia" and not part.name.startswith(("nvidia-", "cuda-", "tensorrt-")):
        yield f"{what} is under {part.licence!r}, and is not NVIDIA's. Read its text."


def _brought(root: Path, policy: Policy) -> Iterator[str]:
    """Libraries under the GPL in wheels that do not state it."""
    for owner, file in texts.libraries(root):
        for library, licence in policy.gpl_libraries.items():
            if re.match(rf"{re.escape(library)}[-.]", file):
                yield f"- {owner} brings {file}, under {licence}, without stating it. Take it out."


def main(given: Sequence[str] | None = None) -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("sbom", type=Path)
    asked.add_argument("--root", type=Path, required=True)
    asked.add_argument("--host", type=Path)
    arguments = asked.parse_args(given)
    try:
        made = page(arguments.sbom, arguments.root, arguments.host)
    except BadTerms as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
