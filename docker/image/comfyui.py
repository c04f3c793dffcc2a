"""Start ComfyUI in the image: where it may write, and without what the image leaves out."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import absent

from heliochrome.cli.up import LARGEST_MB

FOLDER = Path("/opt/comfyui")
DATA = Path("/data/comfyui")


def options(processor: str, host: str) -> list[str]:
    """processor: cpu or gpu. host: the address to listen on."""
    found = ["--listen", host, "--port", "8188", "--disable-api-nodes"]
    found += ["--max-upload-size", LARGEST_MB]
    for name in ("input", "output", "temp", "user"):
        found += [f"--{name}-directory", str(DATA / name)]
    found += ["--database-url", f"sqlite:///{DATA}/user/comfyui.db"]
    return found if processor == "gpu" else [*found, "--cpu"]


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
    library = absent.declare_torchvision()
    absent.stand_in()
    runpy.run_path("main.py", run_name="__main__")
    del library


if __name__ == "__main__":
    main()
