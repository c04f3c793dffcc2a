"""The ComfyUI nodes. Only this package imports comfy*, folder_paths and server."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import models as ddcolor
from .before_after import HeliochromeBeforeAfter
from .colorize import HeliochromeColorize
from .ddcolorize import DDColorColorize
from .diffusion import models as stable_diffusion
from .diffusion.image_to_image import HeliochromeImageToImage
from .diffusion.inpaint import HeliochromeInpaint
from .diffusion.load import HeliochromeLoadDiffusion
from .diffusion.text_to_image import HeliochromeTextToImage
from .folders import register
from .load import HeliochromeLoadDDColor
from .manual import serve_manual
from .preview import HeliochromeWarmTonePreview
from .save import HeliochromeSavePhoto

__all__ = ["HeliochromeExtension"]


class HeliochromeExtension(ComfyExtension):
    """What the host registers; node ids are permanent, graphs in the wild use them."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        for folder in (ddcolor.FOLDER, stable_diffusion.FOLDER):
            register(folder)
        serve_manual()
        return [
            DDColorColorize,
            HeliochromeLoadDDColor,
            HeliochromeColorize,
            HeliochromeBeforeAfter,
            HeliochromeWarmTonePreview,
            HeliochromeSavePhoto,
            HeliochromeLoadDiffusion,
            HeliochromeTextToImage,
            HeliochromeImageToImage,
            HeliochromeInpaint,
        ]
