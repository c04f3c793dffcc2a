"""Keep of a ComfyUI work tree what runs, and refuse one that is not the pinned one.

Without a node manager, tests, examples and whatever else lies in the folder.
  fetch ADDRESS FOLDER           unpack the archive (.tar.gz) of a work tree into a folder
  take FOLDER TARGET SHA256      copy what is kept, if that is its digest
  digest FOLDER                  say the digest
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import urllib.request
from http.client import HTTPException
from pathlib import Path, PurePosixPath

# Folders and files of the work tree's top, beside *.py. What ComfyUI's licence asks for is in it:
# the licence and the source.
KEPT = (
    "LICENSE", "README.md", "alembic.ini", "alembic_db", "api_server", "app", "blueprints", "comfy",
    "comfy_api", "comfy_api_nodes", "comfy_config", "comfy_execution", "comfy_extras", "middleware",
    "openapi.yaml", "requirements.txt", "utils",
)  # fmt: skip
# Vocabularies of text encoders, whose models are not here.
LEFT_OUT = "comfy/text_encoders/*_tokenizer/*"
# It lists them at its start.
EMPTY = ("custom_nodes", "models")


def kept(folder: Path) -> list[Path]:
    tops = [path for path in folder.iterdir() if path.name in KEPT or path.suffix == ".py"]
    files = [
        path
        for top in tops
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not path.relative_to(folder).match(LEFT_OUT)
    ]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def fetch(address: str, folder: Path) -> None:
    """Its files, from below the archive's one folder. What they are is for `take` to judge."""
    try:
        with (
            urllib.request.urlopen(address, timeout=60) as answer,
            tarfile.open(fileobj=answer, mode="r|gz") as archive,
        ):
            for member in archive:
                place = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or ".." in place.parts:
                    continue
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (OSError, ValueError, HTTPException, tarfile.TarError) as error:
        sys.exit(
            f"ComfyUI could not be had from {address}: {error}. Give the build another place with "
            "--build-arg COMFYUI_ARCHIVE=ADDRESS, or a folder with --build-context "
            "comfyui-source=FOLDER."
        )


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
            f"There is no ComfyUI in {folder}: expected its work tree, with main.py in it. Give "
            "the build another one with --build-context comfyui-source=FOLDER."
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
    verb, *given = sys.argv[1:]
    if verb == "digest":
        sys.stdout.write(digest(Path(given[0])) + "\n")
    elif verb == "fetch":
        fetch(given[0], Path(given[1]))
    else:
        take(Path(given[0]), Path(given[1]), given[2])
