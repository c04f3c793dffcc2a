"""Keep of a ComfyUI work tree what runs, and refuse one that is not the pinned one.

Without a node manager, tests, examples and whatever else lies in the folder. `digest FOLDER` says
what the digest of another version is.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

# Folders and files of the work tree's top, beside *.py. What ComfyUI's licence asks for is in it:
# the licence and the source.
KEPT = (
    "LICENSE", "README.md", "alembic.ini", "alembic_db", "api_server", "app", "blueprints", "comfy",
    "comfy_api", "comfy_api_nodes", "comfy_config", "comfy_execution", "comfy_extras", "middleware",
    "openapi.yaml", "requirements.txt", "utils",
)  # fmt: skip
# It lists them at its start.
EMPTY = ("custom_nodes", "models")


def kept(folder: Path) -> list[Path]:
    tops = [path for path in folder.iterdir() if path.name in KEPT or path.suffix == ".py"]
    files = [
        path
        for top in tops
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def digest(folder: Path) -> str:
    """Of the names and contents of what is kept."""
    whole = hashlib.sha256()
    for path in kept(folder):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


def take(folder: Path, target: Path, expected: str) -> None:
    if not (folder / "main.py").is_file():
        sys.exit(
            "There is no ComfyUI: give the build its work tree with "
            "--build-context comfyui-source=FOLDER."
        )
    found = digest(folder)
    if found != expected:
        sys.exit(
            f"This ComfyUI has the digest {found}, and {expected} is the one that was tested. "
            "To build with it all the same give --build-arg COMFYUI_SHA256=" + found
        )
    for path in kept(folder):
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name in EMPTY:
        (target / name).mkdir(exist_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == "digest":
        sys.stdout.write(digest(Path(sys.argv[2])) + "\n")
    else:
        take(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
