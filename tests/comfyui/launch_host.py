"""Start ComfyUI's own main.py, also on a machine that has CPU torch only, as the appliance does.

Run as: python launch_host.py COMFYUI_DIR [host arguments].
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "docker/image"))

import absent

if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = ["main.py", *arguments]
    library = absent.declare_torchvision()
    absent.stand_in()
    runpy.run_path("main.py", run_name="__main__")
    del library
