"""The licences of what is in an image, from its list of components and its files, as Markdown:
python docker/marketplace/licences.py SBOM --root ROOT > licences.md

SBOM: /opt/heliochrome/sbom.cdx.json of the image; ROOT: a folder with its files, as `podman mount`
or `docker export` give them. Ends with 1, and says what, where a sold image may not hold a part.
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
from urllib.parse import quote

import licence_texts as texts
from licence_terms import BadTerms, Kind, Policy, stated


@dataclass(frozen=True)
class Part:
    """texts: paths in the image. source: where what it was made from is."""

    name: str
    version: str
    origin: str
    licence: str
    kind: Kind
    texts: tuple[str, ...]
    source: str = ""
    why: str = ""


def parts(sbom: Mapping[str, Any], root: Path, policy: Policy) -> list[Part]:
    """Raises BadTerms, with everything that is wrong."""
    sources = texts.debian_sources(root)
    found = [_part(component, root, policy, sources) for component in sbom["components"]]
    wrong = [problem for part in found for problem in _problems(part, policy)]
    wrong += _brought(root, policy)
    if wrong:
        raise BadTerms("\n".join(["The image cannot be sold as it is:", *wrong]))
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
    sources: Mapping[str, tuple[str, str]],
) -> Part:
    name, version = component["name"], component["version"]
    place = component.get("purl", "")
    if place.startswith("pkg:deb/"):
        source, exact = sources.get(name, (name, version))
        return Part(
            name, version, "debian", texts.debian_licences(root, name), "free",
            texts.of_debian(root, name),
            f"https://snapshot.debian.org/package/{quote(source)}/{quote(exact)}/",
        )  # fmt: skip
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


def _problems(part: Part, policy: Policy) -> Iterator[str]:
    what = f"- {part.name} {part.version}"
    if part.origin == "debian":
        if not part.texts:
            yield f"{what} (Debian) has no /usr/share/doc/{part.name}/copyright in the image."
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
    for package, file in texts.libraries(root):
        for library, licence in policy.gpl_libraries.items():
            if re.match(rf"{re.escape(library)}[-.]", file):
                owner = package.replace("_", "-")
                yield f"- {owner} brings {file}, under {licence}, without stating it. Take it out."


def main(given: Sequence[str] | None = None) -> int:
    import licence_list

    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("sbom", type=Path)
    asked.add_argument("--root", type=Path, required=True)
    arguments = asked.parse_args(given)
    try:
        sbom = read_sbom(arguments.sbom)
        if not (arguments.root / texts.STATUS).is_file():
            raise BadTerms(
                f"{arguments.root} has no {texts.STATUS}: expected the image's whole root."
            )
        policy = Policy.read()
        found = parts(sbom, arguments.root, policy)
    except BadTerms as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(licence_list.markdown(sbom, found, policy.notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
