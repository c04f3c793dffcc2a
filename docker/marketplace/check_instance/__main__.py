"""The program: `sudo python3 docker/marketplace/check_instance /mnt`, from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

# Of a folder that it runs, Python knows the files but not that they are a package.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from check_instance.report import main

sys.exit(main())
