"""Which Stable Diffusion models the nodes offer and where they lie on this host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import folder_paths

from ...core.backends import AUTO
from ...core.errors import ModelNotFound
from ...core.store import ModelStore
from ...diffusion.lora import Lora
from ...diffusion.sources import find_diffusion_models
from ..folders import store_over

FOLDER: Final = "openvino_diffusion"
NO_LORA: Final = "none"

_LORA_FOLDER: Final = "loras"  # the host's own
_LORA_SUFFIX: Final = ".safetensors"
_GET: Final = "heliochrome sd get ADDRESS"


@dataclass(frozen=True)
class DiffusionChoice:
    """A model folder on this machine and how to run it."""

    name: str
    path: Path
    device: str
    lora: Lora | None = None


def store() -> ModelStore:
    return store_over(FOLDER)


def choices() -> list[str]:
    """auto, which is the first model, then the models by their folders' names."""
    return [AUTO, *sorted(find_diffusion_models(store()))]


def lora_choices() -> list[str]:
    files = folder_paths.get_filename_list(_LORA_FOLDER)
    return [NO_LORA, *(name for name in files if name.endswith(_LORA_SUFFIX))]


def choose(model: str, device: str, lora: str, alpha: float) -> DiffusionChoice:
    """The choice of the loader's widgets. Raises ModelNotFound, BadSetting."""
    name, path = _find(model)
    return DiffusionChoice(name, path, device, _lora(lora, alpha))


def fingerprint(model: str | None, lora: str | None) -> str:
    """Changes when a file behind the choice changes, so that the host runs the node again.

    A digest, as the host writes it into saved pictures. A linked input's name is None: the
    link itself counts for it.
    """
    try:
        path = _find(model)[1] if model is not None else None
        chosen = _lora(lora, 1.0) if lora is not None else None
    except ModelNotFound:
        return "missing"
    files = (path and (path, state(path)), chosen and (chosen.path, state(chosen.path)))
    return hashlib.sha256(repr(files).encode()).hexdigest()


def state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and modification time (ns) of a file, or of every file in a folder."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    stats = ((file, file.stat()) for file in files)
    return tuple(
        (file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for file, stat in stats
    )


def _find(model: str) -> tuple[str, Path]:
    known = find_diffusion_models(store())
    name = next(iter(sorted(known)), model) if model == AUTO else model
    if name in known:
        return name, known[name]
    folders = ", ".join(str(folder) for folder in store().folders)
    missing = "There is no Stable Diffusion model" if model == AUTO else f"The model {model} is not"
    missing_zh = (
        "没有找到 Stable Diffusion 模型" if model == AUTO else f"没有找到模型文件夹 {model}"
    )
    raise ModelNotFound(
        f"{missing} in {folders}. Put a model folder in OpenVINO's format there, or get one with "
        f"`{_GET}` (where that command is not found: `python -m {_GET}` with ComfyUI's Python), "
        "and press R in ComfyUI.\n"
        f"在 {folders} 里{missing_zh}。请把 OpenVINO 格式的模型文件夹放进去，"
        f"或用 `{_GET}` 获取（找不到命令时，用 ComfyUI 的 Python 运行 `python -m {_GET}`），"
        "然后在 ComfyUI 里按 R。"
    )


def _lora(name: str, alpha: float) -> Lora | None:
    if name == NO_LORA:
        return None
    path = folder_paths.get_full_path(_LORA_FOLDER, name)
    if path is None:
        folders = ", ".join(folder_paths.get_folder_paths(_LORA_FOLDER))
        raise ModelNotFound(
            f"The LoRA file {name} is not in {folders}. Choose another, or {NO_LORA}.\n"
            f"在 {folders} 里没有找到 LoRA 文件 {name}。请选择别的文件，或选 {NO_LORA}。"
        )
    return Lora(Path(path), alpha)
