"""A photograph repaired as a whole: every region repainted, its size, metadata and record kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import BadImage, BadSetting
from ..core.extent import Extent
from ..core.jobs import Cancel, Progress, never_cancel, no_progress, part
from ..core.lab import FloatArray, as_floats
from ..core.notices import Notice
from ..core.photo import Photo, format_of_suffix, write_photo
from ..core.photo.model import Pixels
from ..core.provenance import Provenance
from .photos import repainted
from .record import record_of_repair
from .region import Region, View
from .repair import Blending, Repaired, repair, torn_regions
from .request import GenerationRequest, following
from .tears import BoolArray

if TYPE_CHECKING:
    from .engine import Engine, Generated

_BLENDING: Final = Blending()
_LOSSY: Final = (
    "A {name} is compressed with loss, so what is outside the mask is not exactly as it was. "
    "Write a PNG or TIFF to keep it bit for bit."
)


@dataclass(frozen=True)
class RepairedPhoto:
    """pixels: as large as the photograph `like` and of its type; where the mask is 0 its own.

    kept: (H, W) where that is. provenance: of this repair alone; callers add what was there
    before. settings: every field of
    a request but its pictures, as used; width and height are the photograph's. seed: the first.
    """

    pixels: Pixels
    kept: BoolArray
    like: Photo
    provenance: Provenance
    settings: Mapping[str, Any]
    seed: int
    notices: tuple[Notice, ...]

    def write(
        self, path: str | os.PathLike[str], provenance: Provenance, *, allow_loss: bool = False
    ) -> tuple[str, ...]:
        """See `write_photo`. provenance: this one's, with what callers added.

        Also a sentence if the format changes the pixels outside the mask.
        """
        losses = write_photo(
            path, self.pixels, self.like, provenance, kept=self.kept, allow_loss=allow_loss
        )
        name = format_of_suffix(Path(path))
        if name == "jpeg" or (name == "webp" and not self.like.lossless):
            return (*losses, _LOSSY.format(name=name.upper()))
        return losses


def require_repair(request: GenerationRequest) -> None:
    """Raise BadSetting for what means nothing where a photograph is repaired."""
    if (request.width, request.height) != (None, None):
        raise BadSetting("a repaired photograph keeps its size: leave width and height out.")
    if request.num_images_per_prompt > 1:
        raise BadSetting("a photograph is repaired once: leave num_images_per_prompt out.")


def repair_photo(
    photo: Photo,
    request: GenerationRequest,
    engine: Engine,
    *,
    sha256: str | None,
    prompts: bool = True,
    blending: Blending = _BLENDING,
    progress: Progress = no_progress,
    cancel: Cancel = never_cancel,
) -> RepairedPhoto:
    """Repaint `photo`, of any size, where the request's mask says so, and nothing else.

    photo: read with keep_stored. request: with the mask, as large as the photograph; each region
    is one more request with the following seed. sha256, prompts: see `record`. Raises BadSetting
    (see `require_repair`), BadImage (another size, or a mask without white), and what
    `Engine.generate` raises.
    """
    require_repair(request)
    if request.mask is None:
        raise BadImage("a photograph is repaired where a mask is white: give one.")
    if photo.returns_to_profile and photo.stored is None:
        raise ValueError("a photograph that is repaired must be read with keep_stored=True")
    picture = as_floats(photo.pixels)
    regions = torn_regions(picture, request.mask, View.of(engine.model), blending)
    if not regions:
        raise BadImage("nothing is white in the mask, so there is nothing to repaint.")
    made: list[Generated] = []

    def make(asked: GenerationRequest) -> Generated:
        share = part(progress, len(made) / len(regions), (len(made) + 1) / len(regions))
        made.append(engine.generate(asked, progress=share, cancel=cancel))
        return made[-1]

    done = repair_picture(picture, request, regions, make, blending, cancel)
    provenance = record_of_repair(
        made,
        extent=Extent.of(picture.shape),
        blending=blending,
        device=engine.device,
        sha256=sha256,
        prompts=prompts,
        notices=done.notices,
    )
    told = [*done.notices, *(notice for one in made for notice in one.notices)]
    return RepairedPhoto(
        repainted(photo, request.mask, done.image),
        request.mask == 0,
        photo,
        provenance,
        _settings(made[0].request, Extent.of(picture.shape)),
        made[0].seeds[0],
        tuple({notice.text: notice for notice in told}.values()),
    )


def repair_picture(
    picture: FloatArray,
    request: GenerationRequest,
    regions: tuple[Region, ...],
    make: Callable[[GenerationRequest], Generated],
    blending: Blending,
    cancel: Cancel,
) -> Repaired:
    """Repaint the `regions` of (H, W, 3) that `torn_regions` gave for it and the request's mask.

    make: called once for each, with the request for it; a seed that is None is drawn by the first.
    """
    assert request.mask is not None
    first = request.seed

    def repaint(image: FloatArray, mask: FloatArray, index: int) -> FloatArray:
        nonlocal first
        height, width = mask.shape
        seed = None if first is None else following(first, index)
        made = make(replace(request, width=width, height=height, image=image, mask=mask, seed=seed))
        first = made.seeds[0] if first is None else first
        painted: FloatArray = made.images[0]
        return painted

    return repair(picture, request.mask, regions, repaint, blending, cancel)


def _settings(request: GenerationRequest, extent: Extent) -> dict[str, Any]:
    names = [field.name for field in fields(request) if field.name not in ("image", "mask")]
    used = {name: getattr(request, name) for name in names}
    return {**used, "width": extent.width, "height": extent.height}
