"""Makes the folder of the marketplace listing: guides, drawings, texts, template, licences.

python docker/marketplace/build_listing.py OUT [--sbom FILE --root DIR [--host DIR]]

Needs Chromium, a font with Chinese, and pypdf. With --sbom, the image's list of components, and
--root, its files, the list of licences is written as well; --host, the instance's disk, adds the
packages of its system. Without them it is left out.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import chromium
import licences
import product_texts
import searchable
import user_guide
from licence_terms import BadTerms

from heliochrome.manual import Manual
from heliochrome.version import __version__

HERE: Final = Path(__file__).parent
_TEMPLATES: Final = ("ros-template.yaml", "compute-nest.yaml")


class BadOrder(Exception):
    """What was expected of the command line, what came, and what to do."""


_KNOWN: Final = (
    BadOrder,
    BadTerms,
    chromium.NotPrinted,
    product_texts.BadTexts,
    searchable.UnknownRadical,
    OSError,
)


def build(folder: Path, sbom: Path | None, root: Path | None, host: Path | None) -> None:
    """Write everything into `folder`, which is empty."""
    texts = product_texts.read()
    # First, as it says no soonest.
    if sbom and root:
        (folder / "licences.md").write_text(licences.page(sbom, root, host), encoding="utf-8")
    logo = (HERE / "logo.svg").read_text("utf-8")
    chromium.png(logo, folder / "logo.png", (200, 200))
    manual = Manual.read()
    for language in product_texts.LANGUAGES:
        page = product_texts.markdown(language, texts[language])
        (folder / f"product.{language}.md").write_text(page, encoding="utf-8")
        drawing = (HERE / f"architecture.{language}.svg").read_text("utf-8")
        chromium.png(drawing, folder / f"architecture.{language}.png", size_of(drawing))
        guide = user_guide.document(manual, language, __version__, logo)
        chromium.pdf(guide, folder / f"user-guide.{language}.pdf")
        searchable.make(folder / f"user-guide.{language}.pdf")
    for name in _TEMPLATES:
        shutil.copyfile(HERE / name, folder / name)


def left_open(folder: Path) -> dict[str, list[str]]:
    """What the seller still has to fill in, by file."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".md", ".yaml"):
            names = sorted(set(product_texts.PLACEHOLDER.findall(path.read_text("utf-8"))))
            if names:
                found[path.name] = names
    return found


def size_of(svg: str) -> tuple[int, int]:
    found = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    if found is None:
        raise BadOrder('A drawing has no viewBox="0 0 WIDTH HEIGHT". Add it.')
    return int(found[1]), int(found[2])


def main(given: Sequence[str] | None = None) -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("out", type=Path)
    asked.add_argument("--sbom", type=Path)
    asked.add_argument("--root", type=Path)
    asked.add_argument("--host", type=Path)
    order = asked.parse_args(given)
    try:
        if order.out.exists():
            raise BadOrder(f"Expected a name that is free, {order.out} is there. Remove it first.")
        if (order.sbom is None) != (order.root is None):
            raise BadOrder("Expected --sbom and --root together, one came. Give both or none.")
        if order.host and not order.sbom:
            raise BadOrder("Expected --sbom and --root with --host, none came. Give all three.")
        order.out.parent.mkdir(parents=True, exist_ok=True)
        # In place whole or not at all.
        with tempfile.TemporaryDirectory(dir=order.out.parent) as name:
            made = Path(name) / "listing"
            made.mkdir()
            build(made, order.sbom, order.root, order.host)
            made.rename(order.out)
    except _KNOWN as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    for file, names in left_open(order.out).items():
        sys.stderr.write(f"{file}: for the seller to fill in: {', '.join(names)}\n")
    if order.sbom is None:
        sys.stderr.write("licences.md was left out: it needs --sbom and --root.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
