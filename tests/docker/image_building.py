"""The image as buildah makes it here, and what is in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from container_engine import STORAGE, Engine

import micro
from dockerfile import DOCKER, IMAGE, ROOT

COMFYUI = STORAGE / "comfyui"
BASE = "localhost/heliochrome-test-base"
BAKED = "ddcolor_v1"


def comfyui_source(expected: str) -> Path | None:
    """A work tree of the pinned version among COMFYUI_DIR, if there is one."""
    for name in filter(None, os.environ.get("COMFYUI_DIR", "").split(os.pathsep)):
        done = subprocess.run(
            [sys.executable, IMAGE / "comfyui_source.py", "digest", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.stdout.strip() == expected:
            return Path(name)
    return None


def make_base(engine: Engine) -> None:
    if engine.run("podman", "image", "exists", BASE, check=False).returncode == 0:
        return
    archive = STORAGE / "base.tar"
    engine.run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", archive)
    engine.run("podman", "import", "--quiet", archive, BASE)
    archive.unlink()


def build_cpu(engine: Engine, source: Path, folder: Path) -> None:
    """The target cpu, with one model baked in."""
    left = {".venv", ".git", "models", "input", "output"}
    shutil.rmtree(COMFYUI, ignore_errors=True)
    shutil.copytree(
        source, COMFYUI, ignore=lambda at, names: left & set(names) if Path(at) == source else set()
    )
    micro.save(folder / f"baked/{BAKED}.safetensors")
    build(engine, folder, "cpu", "--tag", engine.image, *contexts(folder / "baked"))


def contexts(models: Path) -> list[str]:
    """ComfyUI from a folder, and models to bake in."""
    return [
        "--build-context", f"comfyui-source={COMFYUI}", "--build-context", f"models={models}",
    ]  # fmt: skip


def build(
    engine: Engine, folder: Path, target: str, *options: str | Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """With what pip of this machine knows of its registries, and which no layer may show.

    folder: for the secrets.
    """
    return engine.run(
        "buildah", "build", "--layers", "--force-rm", "--format", "docker", "--isolation", "chroot",
        "--network", "host", "--file", DOCKER / "Dockerfile",
        "--ignorefile", DOCKER / "Dockerfile.dockerignore", "--target", target,
        "--build-arg", f"BASE_IMAGE={BASE}", *_registries(folder), *options, ROOT,
        check=check, limit_s=1800,
    )  # fmt: skip


def _registries(folder: Path) -> list[str | Path]:
    given = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", given, re.MULTILINE))
    wanted = ("index-url", "extra-index-url", "find-links", "timeout")
    lines = [f"{name} = {settings[name]}" for name in wanted if name in settings]
    options: list[str | Path] = ["--secret", f"id=pip.conf,src={folder}/pip.conf"]
    if bundle := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        options += ["--secret", f"id=ca.pem,src={bundle}"]
    # Mounted below /run, of which nothing gets into the image.
    places: set[Path] = set()

    def mounted(found: re.Match[str]) -> str:
        if not Path(found[2]).exists():
            return found[0]
        places.add(Path(*Path(found[2]).parts[:3]))
        return f"{found[1]}/run/registries{found[2]}"

    lines = [re.sub(r"(file://|(?<![\w:/]))(/[^\s:]+)", mounted, line) for line in lines]
    for place in sorted(places):
        options += ["--volume", f"{place}:/run/registries{place}:ro"]
    if places:  # then PyTorch is there, too
        options += ["--build-arg", "TORCH_INDEX="]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]).replace("\\n", " "))
    return options


@contextmanager
def mounted(engine: Engine, image: str, place: Path) -> Iterator[Path]:
    """An image's file system. Not by podman, which takes away its own mount when a build fails."""
    asked = ("image", "inspect", "--format", "{{json .GraphDriver.Data}}", image)
    layers = json.loads(engine.call(*asked).stdout)
    below = ":".join(layers[name] for name in ("UpperDir", "LowerDir") if layers.get(name))
    engine.run("mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={below}", place)
    try:
        yield place
    finally:
        engine.run("umount", place)


def licences(root: Path) -> str:
    """The list for whoever gets the image; fails where it holds what may not be sold."""
    done = subprocess.run(
        [sys.executable, DOCKER / "marketplace/licences.py",
         root / "opt/heliochrome/sbom.cdx.json", "--root", root],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
