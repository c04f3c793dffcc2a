"""docker/marketplace/check_instance, which is no installed package, importable by the tests."""

from __future__ import annotations

import sys
from pathlib import Path

MARKETPLACE = Path(__file__).parents[2] / "docker" / "marketplace"
sys.path.insert(0, str(MARKETPLACE))

from check_instance import packages, places, points, report  # noqa: E402
from check_instance.image import Image  # noqa: E402
from check_instance.openpgp import fingerprints  # noqa: E402
from check_instance.points import POINTS, asked  # noqa: E402

__all__ = ["POINTS", "Image", "fingerprints", "packages", "places", "points", "report", "wrong"]


def wrong(image: Image) -> dict[str, list[str]]:
    """By point, of those that are not met."""
    return {point.name: found for point in asked(image) if (found := point.find(image))}
