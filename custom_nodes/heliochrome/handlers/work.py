"""What a request asks for is done: pictures are generated, or a photograph is coloured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from ..core.errors import BadImage
from ..core.jobs import Cancel, no_progress
from ..core.notices import Notice
from ..core.photo import SUFFIXES, PhotoFormat, write_photo
from ..core.photo.encode import LARGEST_SIDE
from ..core.provenance import Provenance, to_xmp
from ..core.recipe import Recipe
from ..core.treatment import Colorization
from ..diffusion.engine import Generated
from ..diffusion.photo_repair import repair_photo, require_repair
from ..diffusion.photos import colours, mask_of
from ..diffusion.record import record
from ..diffusion.request import GenerationRequest
from .accepting import PICTURES
from .asked import Asked, Task
from .deadline import Deadline
from .models import Generator, Models
from .pictures import Received, receive, to_png
from .settings import HandlerSettings

PNG: Final = "image/png"


@dataclass(frozen=True)
class Picture:
    """file: what a viewer opens, with its provenance inside. seed: None for a colouring."""

    file: bytes
    mime_type: str
    width: int
    height: int
    seed: int | None = None

    @property
    def suffix(self) -> str:
        """The ending of a name for it, with the dot."""
        return SUFFIXES[PICTURES[self.mime_type]][0]


@dataclass(frozen=True)
class Made:
    """settings: all that were used, those of the model filled in. notices: for the caller."""

    task: Task
    pictures: tuple[Picture, ...]
    settings: Mapping[str, Any]
    notices: tuple[Mapping[str, str], ...]
    provenance: Provenance

    def about(self) -> dict[str, Any]:
        """All but the pictures, for JSON."""
        source = self.provenance
        return {
            "task": self.task,
            "settings": dict(self.settings),
            "notices": [dict(notice) for notice in self.notices],
            "model": {"name": source.model, "sha256": source.model_sha256},
            "provenance": {
                "kind": source.kind,
                "digital_source_type": source.source_type,
                "parameters": dict(source.parameters),
                "software": source.software,
                "when": source.when.isoformat(),
            },
        }


@dataclass(frozen=True)
class Generation:
    """What the engine is asked, and the picture that it starts from."""

    request: GenerationRequest
    source: Received | None

    @property
    def formats(self) -> tuple[str, ...]:
        """Types that it can be answered with, but for JSON: a picture's file holds one."""
        return (PNG,) if self.request.num_images_per_prompt == 1 else ()


def generation_of(asked: Asked, settings: HandlerSettings, cancel: Deadline) -> Generation:
    """The request, checked as far as it can be without a model. Raises BadSetting, BadImage,
    Refusal and what `cancel` raises."""
    GenerationRequest.from_mapping({**asked.fields, "strength": None})  # before pictures are read
    found = {
        name: receive(text, name, settings, cancel, keep_stored=asked.mask is not None)
        for name, text in (("image", asked.image), ("mask", asked.mask))
        if text is not None
    }
    request = GenerationRequest.from_mapping(
        asked.fields,
        image=colours(found["image"].photo) if "image" in found else None,
        mask=mask_of(found["mask"].photo) if "mask" in found else None,
    )
    if request.mask is not None:
        require_repair(request)
    return Generation(request, found.get("image"))


def generate(asked: Generation, models: Models, settings: HandlerSettings, cancel: Cancel) -> Made:
    """Raises what `Models.generator`, `Engine.generate` and `repair_photo` raise."""
    generator = models.generator(cancel)
    if asked.source is not None and asked.request.mask is not None:
        return _repair(asked.request, asked.source, generator, settings, cancel)
    made = generator.engine.generate(asked.request, cancel=cancel)

    def recorded(part: Generated) -> Provenance:
        source = record(
            [part],
            device=generator.engine.device,
            sha256=generator.sha256,
            prompts=settings.record_prompt,
        )
        return source if asked.source is None else _made_from(asked.source, source)

    pictures = []
    for index, seed in enumerate(made.seeds):
        one = replace(made, images=made.images[index : index + 1], seeds=(seed,))
        height, width = one.images.shape[1:3]
        file = to_png(one.images[0], to_xmp(recorded(one), None))
        pictures.append(Picture(file, PNG, width, height, seed))
    used = {
        field.name: getattr(made.request, field.name)
        for field in fields(made.request)
        if field.name not in ("image", "mask")
    }
    return Made(made.request.mode, tuple(pictures), used, _told(made.notices), recorded(made))


def _repair(
    request: GenerationRequest,
    source: Received,
    generator: Generator,
    settings: HandlerSettings,
    cancel: Cancel,
) -> Made:
    """The photograph, repainted where the mask is white, as a PNG, which keeps the rest of it bit
    for bit."""
    done = repair_photo(
        source.photo,
        request,
        generator.engine,
        sha256=generator.sha256,
        prompts=settings.record_prompt,
        cancel=cancel,
    )
    provenance = _made_from(source, done.provenance)
    file, losses = _written(
        "png", lambda path: done.write(path, provenance, allow_loss=source.photo.format != "png")
    )
    height, width = done.pixels.shape[:2]
    notices = (*_told(done.notices), *_plain(source.photo.notes), *_plain(losses))
    picture = Picture(file, PNG, width, height, done.seed)
    return Made("inpaint", (picture,), done.settings, notices, provenance)


def _written(
    name: PhotoFormat, write: Callable[[Path], Sequence[str]]
) -> tuple[bytes, Sequence[str]]:
    """The file that `write` makes, and what it says that the format could not hold."""
    with TemporaryDirectory(prefix="heliochrome-") as folder:
        path = Path(folder) / f"result{SUFFIXES[name][0]}"
        try:
            losses = write(path)
        except BadImage as error:
            raise BadImage(str(error).replace(str(path), "the result")) from error
        return path.read_bytes(), losses


def formats_of(received: Received) -> tuple[str, ...]:
    """Types that this photograph's colouring can have, its own first."""
    photo = received.photo
    side = max(photo.pixels.shape[:2])
    names = (photo.format, *(name for name in PICTURES.values() if name != photo.format))
    return tuple(f"image/{name}" for name in names if side <= LARGEST_SIDE.get(name, side))


def colorize(
    received: Received, recipe: Recipe, wanted: str | None, models: Models, cancel: Cancel
) -> Made:
    """The photograph in colour, with all that its file said, in its own format or the `wanted`.

    Raises what `Models.colorizer`, `Colorization.apply` and `write_photo` raise.
    """
    photo = received.photo
    name = PICTURES.get(wanted or "", photo.format)
    treatment = Colorization(models.colorizer(cancel), recipe)
    treated = treatment.apply(photo.pixels, no_progress, cancel, out=photo.pixels)
    source = _made_from(received, treated.provenance)
    cancel()
    # Another format than the photograph's own was chosen knowingly, by the Accept header.
    allow = name != photo.format
    file, losses = _written(
        name, lambda path: write_photo(path, treated.image, photo, source, allow_loss=allow)
    )
    height, width = treated.image.shape[:2]
    notices = (*_told(treated.notices), *_plain(photo.notes), *_plain(losses))
    picture = Picture(file, f"image/{name}", width, height)
    return Made("colorize", (picture,), treated.provenance.parameters, notices, source)


def _made_from(source: Received, provenance: Provenance) -> Provenance:
    """The record with the digest of the caller's picture, and with what was done to that before."""
    return provenance.from_file(source.sha256, source.record)


def _told(notices: Sequence[Notice]) -> tuple[dict[str, str], ...]:
    return tuple({"code": notice.code, "text": notice.text} for notice in notices)


def _plain(sentences: Sequence[str]) -> tuple[dict[str, str], ...]:
    """What is told of a photograph's file has no codes of its own."""
    return tuple({"code": "file", "text": sentence} for sentence in sentences)
