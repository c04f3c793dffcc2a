"""The programs in docker/marketplace, which is no package, importable by the tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKETPLACE = ROOT / "docker/marketplace"
sys.path.insert(0, str(MARKETPLACE))

import chromium  # noqa: E402
import licence_list  # noqa: E402
import licence_terms  # noqa: E402
import licence_texts  # noqa: E402
import licences  # noqa: E402
import product_texts  # noqa: E402
import user_guide  # noqa: E402

__all__ = [
    "MARKETPLACE",
    "ROOT",
    "chromium",
    "licence_list",
    "licence_terms",
    "licence_texts",
    "licences",
    "product_texts",
    "user_guide",
]
