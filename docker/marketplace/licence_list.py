"""The list of licences as a page that goes to the buyer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from licences import Part


def markdown(
    sbom: Mapping[str, Any],
    parts: Sequence[Part],
    notes: Mapping[str, str],
    system: Sequence[Part] = (),
) -> str:
    """notes: what the policy says beside the tables. system: packages around the image."""
    image = sbom["metadata"]["component"]
    of = {origin: [part for part in parts if part.origin == origin] for origin in
          ("python", "debian")}  # fmt: skip
    gpl = [part for part in parts if part.kind == "gpl"]
    nvidia = [part for part in parts if part.kind == "nvidia"]
    bare = [part.name for part in of["python"] if not part.texts]
    lines = [
        f"# Licences of {image['name']} {image['version']}",
        "",
        f"{len(of['python'])} Python packages, {len(of['debian'])} Debian packages, ComfyUI.",
        "",
        notes["whole"],
        "## Under the GPL",
        "",
        *_table(("part", "version", "licence", "why it is here", "source"),
                ((p.name, p.version, p.licence, p.why, p.source) for p in gpl)),
        "",
    ]  # fmt: skip
    if nvidia:
        rows = ((p.name, p.version, _texts(p)) for p in nvidia)
        lines += ["## Under NVIDIA's terms", "", notes["nvidia"]]
        lines += [*_table(("package", "version", "text"), rows), ""]
    lines += [
        "## Python packages",
        "",
        *_table(("package", "version", "licence", "text in the image"),
                ((p.name, p.version, p.licence, _texts(p)) for p in of["python"])),
        "",
        f"Without a text of their own, which the seller must add: {', '.join(bare) or 'none'}.",
        "",
        "## Debian packages",
        "",
        *_debian(of["debian"], "text in the image"),
    ]  # fmt: skip
    if system:
        lines += ["## The instance's system", "", notes["system"]]
        lines += _debian(system, "text on the instance")
    lines += ["## Sources", "", notes["offer"]]
    return "\n".join(lines)


def _debian(parts: Sequence[Part], text: str) -> Iterator[str]:
    yield from _table(
        ("package", "version", "licences named in it", text, "source"),
        ((p.name, p.version, p.licence or "see the text", _texts(p), p.source) for p in parts),
    )
    yield ""
    some = ", ".join(f"{p.name} ({', '.join(p.to_read)})" for p in parts if p.to_read)
    if some:
        yield f"For some of their files under what no sold image may hold, to be read: {some}."
        yield ""


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _texts(part: Part) -> str:
    return " ".join(f"`{path}`" for path in part.texts) or "none in the package"
