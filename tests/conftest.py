"""Shared test set-up: the tests' own modules (reference, micro) are importable by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
