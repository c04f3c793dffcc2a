"""Start ComfyUI's own main.py, also on a machine that has CPU torch only.

PyPI's torchvision registers its operators from a CUDA library and fails to import
beside CPU torch; the host never calls those two operators, so declaring their schemas
is enough. torchaudio is only imported by name, so empty modules stand in for it.
Run as: python launch_host.py COMFYUI_DIR [host arguments].
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import sys
from pathlib import Path

import torch

STAND_INS = Path(__file__).parent / "stand_ins"
NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@contextlib.contextmanager
def torchvision_operators():
    """Declare torchvision's operators if it cannot do so itself; they live in the context."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + NMS)
        yield
        library._destroy()
    else:
        yield


if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    os.chdir(folder)
    sys.path[0] = folder
    sys.path.append(str(STAND_INS))  # last, so that a real torchaudio wins
    sys.argv = ["main.py", *arguments]
    with torchvision_operators():
        runpy.run_path("main.py", run_name="__main__")
