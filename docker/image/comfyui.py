"""Start ComfyUI in the image: where it may write, and without what the image leaves out.

torchvision's operators need CUDA libraries that a processor's image has not, and torchaudio is not
in it. The nodes that the gateway lets through call neither, but ComfyUI imports both.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import runpy
import sys
import types
from pathlib import Path

FOLDER = Path("/opt/comfyui")
DATA = Path("/data/comfyui")
_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def options(processor: str, host: str) -> list[str]:
    """processor: cpu or gpu. host: the address to listen on."""
    found = ["--listen", host, "--port", "8188", "--disable-api-nodes"]
    for name in ("input", "output", "temp", "user"):
        found += [f"--{name}-directory", str(DATA / name)]
    found += ["--database-url", f"sqlite:///{DATA}/user/comfyui.db"]
    return found if processor == "gpu" else [*found, "--cpu"]


def stand_in_for_torchaudio() -> None:
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        for name in ("torchaudio", "torchaudio.functional", "torchaudio.transforms"):
            module = types.ModuleType(name)
            # Libraries look for a spec before they import.
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            sys.modules[name] = module
            parent, _, own = name.partition(".")
            if own:
                setattr(sys.modules[parent], own, module)


def declare_torchvision() -> object:
    """What is returned must live as long as the process."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + _BOXES)
        return library
    return None


def main() -> None:
    for name in ("input", "output", "temp", "user"):
        (DATA / name).mkdir(parents=True, exist_ok=True)
    os.chdir(FOLDER)
    sys.path[0] = str(FOLDER)
    given = options(
        os.environ.get("HELIOCHROME_PROCESSOR", "cpu"),
        os.environ.get("HELIOCHROME_COMFYUI_LISTEN", "127.0.0.1"),
    )
    sys.argv = ["main.py", *given, *sys.argv[1:]]
    library = declare_torchvision()
    stand_in_for_torchaudio()
    runpy.run_path("main.py", run_name="__main__")
    del library


if __name__ == "__main__":
    main()
