"""Takes the manual's pictures of the studio: the real page, with drawn scenes as photographs.

No official model was at hand, so the comparison shows the warm-tone preview, which says that it is
one. Run `python tests/manual/draw_pictures.py` after changing the page; needs what the browser
tests need.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "studio"), str(TESTS / "workflows")]

from draw_thumbnails import building, portrait  # noqa: E402
from running_studio import headers_of, running_studio  # noqa: E402

from driving import drive  # noqa: E402

PICTURES = TESTS.parent / "help_docs" / "pictures"
LANGUAGES = {"en-GB": ("grandmother.jpg", "town hall.jpg"), "zh-CN": ("外婆.jpg", "老县城.jpg")}
LIMIT_S = 180


def main() -> None:
    for language, names in LANGUAGES.items():
        # What each shows, and whether a model is there.
        for shows, model in (("choose", True), ("compare", False)):
            with tempfile.TemporaryDirectory() as name:
                take(Path(name), language, names, shows, model=model)


def take(folder: Path, language: str, names: tuple[str, str], shows: str, *, model: bool) -> None:
    photos = [folder / name for name in names]
    for path, scene in zip(photos, (portrait(), building()), strict=True):
        scene.convert("L").save(path, quality=92)
    with running_studio(folder, model=model) as studio:
        order = {
            "url": studio.address,
            "headers": headers_of("ann"),
            "language": language,
            "photos": [str(path) for path in photos],
            "folder": str(PICTURES),
            "shows": shows,
        }
        drive("pictures.mjs", order, LIMIT_S)


if __name__ == "__main__":
    main()
