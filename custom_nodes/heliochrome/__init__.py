"""Heliochrome gives old photographs their colour back.

This folder is a ComfyUI node pack and an importable Python package at once, so
nothing is imported here that the host, torch or NumPy would have to provide.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from .version import __version__

if TYPE_CHECKING:
    from .nodes import HeliochromeExtension

__all__ = ["WEB_DIRECTORY", "__version__", "comfy_entrypoint"]

WEB_DIRECTORY: Final = "./web"

# Nothing leaves the machine; said here, before anything of ours imports them. OpenVINO and NNCF
# report to Google Analytics when they are imported, unless this module cannot be; ONNX Runtime
# (1.32) to Microsoft, some seconds after it was loaded, unless this variable is set.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


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
