"""Heliochrome gives old photographs their colour back.

This folder is a ComfyUI node pack and an importable Python package at once, so
nothing is imported here that the host, torch or NumPy would have to provide.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from .version import __version__

if TYPE_CHECKING:
    from .nodes import HeliochromeExtension

__all__ = ["WEB_DIRECTORY", "__version__", "comfy_entrypoint"]

WEB_DIRECTORY: Final = "./web"

# OpenVINO and NNCF report to Google Analytics when they are imported, unless this module cannot
# be. Nothing leaves the machine, so it cannot; said here, before anything of ours imports them.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


async def comfy_entrypoint() -> HeliochromeExtension:
    """Give ComfyUI our nodes; called once by the host, which provides `comfy_api`."""
    import logging

    try:
        from .nodes import HeliochromeExtension
    except Exception:
        # The host logs only str(error), which does not say where.
        logging.getLogger("heliochrome").exception("The Heliochrome nodes could not be loaded")
        raise
    return HeliochromeExtension()
