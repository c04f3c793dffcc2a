"""What ComfyUI imports and the image has not: it starts without, and what calls it fails.

torchaudio needs CUDA libraries. av brings encoders under the GPL (x264, x265), and patents. Of the
nodes that the gateway lets through only Load Image uses one of them: it decodes with av, and where
that finds nothing with Pillow, as ComfyUI always did before.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any

PACKAGES = ("av", "torchaudio")
_VIDEO = "comfy_api.latest._input_impl.video_types"
_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _Absent(type):
    """A class in place of whatever has that name: annotations, tables and `except` can name it."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _absent(name, f"{cls.__module__}.{cls.__name__}")
        setattr(cls, name, made)
        return made

    def __call__(cls, *_: object, **__: object) -> Any:
        raise RuntimeError(f"{cls.__module__}.{cls.__name__} is not in this image.")


def _absent(name: str, module: str) -> Any:
    return _Absent(name, (Exception,), {"__module__": module})


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _absent(name, self.__name__)
        setattr(self, name, made)
        return made


class _Finder(MetaPathFinder, Loader):
    """Asked last, so that a package that is there wins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".")[0] not in PACKAGES:
            return None
        return spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


class _WithoutFrames(MetaPathFinder):
    """Asked first, for ComfyUI's one module that decodes."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path) if fullname == _VIDEO else None
        if found is not None and found.loader is not None:
            execute = found.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                module.VideoFromFile.get_components = _nothing_found(module)  # type: ignore[attr-defined]

            found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


def _nothing_found(video: Any) -> Callable[[object], object]:
    """What ComfyUI itself gives for a file without a frame that it can decode, a film too."""

    def get_components(file: object) -> object:
        import torch

        return video.VideoComponents(images=torch.zeros(0, 0, 0, 3), frame_rate=Fraction(1))

    return get_components


def stand_in() -> None:
    """From now on PACKAGES can be imported."""
    if find_spec("av") is None:
        sys.meta_path.insert(0, _WithoutFrames())
    sys.meta_path.append(_Finder())


def declare_torchvision() -> object:
    """Let torchvision be imported beside a PyTorch for processors.

    It registers two operators out of a CUDA library; the host never calls them, so declaring them
    is enough. What is returned must live as long as the process.
    """
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
