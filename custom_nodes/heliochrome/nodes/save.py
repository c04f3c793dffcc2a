"""The node that saves pictures together with how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import io, ui

from ..core.preview import PREVIEW_SUFFIX
from ..core.provenance import Provenance, to_xmp
from .choice import check_choice
from .host import cancel
from .png import PngName, save_png
from .schema import ProvenanceSocket, schema
from .tensors import from_image, to_bytes

_DEFAULT_PREFIX: Final = "Heliochrome"
# As io.FolderType and folder_paths call them; the first is the default.
_FOLDERS: Final = ("output", "temp")


class HeliochromeSavePhoto(io.ComfyNode):
    """IMAGE and provenance -> PNG files in the output folder, never over an existing one.

    A provenance of None comes from a node that changed nothing: the file then says nothing.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="HeliochromeSavePhoto",
            display_name="Save Colourised Photo",
            description="Saves PNG files that tell how their colour or content was made (XMP), "
            "beside the usual workflow. A preview gets .preview in its file name.",
            search_aliases=["save image", "png", "xmp", "保存"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The pictures to save."),
                ProvenanceSocket.Input(
                    "provenance",
                    tooltip="From the node that made the colour, the picture or the preview.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default=_DEFAULT_PREFIX,
                    tooltip="Beginning of the file name, below the output folder. May name a "
                    "subfolder and use %year%, %month%, %day%, %width%, %height%.",
                ),
                io.Combo.Input(
                    "folder",
                    options=list(_FOLDERS),
                    default=_FOLDERS[0],
                    optional=True,
                    tooltip="output keeps the files. temp is for programs that fetch them at once: "
                    "ComfyUI empties that folder when it starts and when it ends.",
                ),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        return check_choice("folder", folder, _FOLDERS)

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        provenance: Provenance | None,
        filename_prefix: str,
        folder: str = _FOLDERS[0],
    ) -> io.NodeOutput:
        pictures = to_bytes(from_image(image))
        height, width = pictures.shape[1:3]
        place = io.FolderType(folder)
        root = folder_paths.get_directory_by_type(place.value)
        path, stem, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, root, width, height
        )
        preview = provenance is not None and provenance.kind == "preview"
        suffix = PREVIEW_SUFFIX if preview else ""
        texts = _graph_texts(cls.hidden.prompt, cls.hidden.extra_pnginfo)
        xmp = None if provenance is None else to_xmp(provenance, None)
        saved = []
        for index, pixels in enumerate(pictures):
            cancel()
            name = PngName(Path(path), stem.replace("%batch_num%", str(index)), suffix)
            written, counter = save_png(name, counter, pixels, texts, xmp)
            counter += 1
            saved.append(ui.SavedResult(written.name, subfolder, place))
        return io.NodeOutput(ui=ui.SavedImages(saved))


def _graph_texts(
    prompt: Mapping[str, Any] | None, extra: Mapping[str, Any] | None
) -> dict[str, str]:
    """The PNG texts from which the host restores a graph; none with --disable-metadata."""
    if args.disable_metadata:
        return {}
    texts = {"prompt": prompt} if prompt else {}
    return {key: json.dumps(value) for key, value in {**texts, **(extra or {})}.items()}
