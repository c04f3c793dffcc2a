"""What is done to a photograph, and the record of it: colourisation or the preview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final, Protocol

import numpy as np

from .colorize import Colorizer, Result
from .full_memory import memory_errors
from .guidance import NO_GUIDANCE, Guidance
from .jobs import Cancel, Progress, part
from .lab import FloatArray, ImageArray
from .loading import LoadedModel
from .memory import FreeMemory, free_bytes
from .notices import Notice
from .pixels import require_rgb
from .preview import PREVIEW_LABEL, PREVIEW_SUFFIX, warm_tone
from .provenance import Parameter, Provenance
from .recipe import Prepared, Recipe

_DIFFERS: Final = "differs within the batch"


@dataclass(frozen=True)
class Treated:
    """The pictures and how they came about.

    image: as the input; confidence: (B, H, W) or (H, W) float32 in [0, 1], None when it was
    not asked for. network_extent: what the network saw of the first one.
    """

    image: ImageArray
    notices: tuple[Notice, ...]
    provenance: Provenance
    confidence: FloatArray | None = None
    network_extent: str | None = None


class Treatment(Protocol):
    """`name_suffix` goes before the file name's ending."""

    @property
    def name_suffix(self) -> str: ...

    def apply(
        self,
        image: ImageArray,
        progress: Progress,
        cancel: Cancel,
        out: ImageArray | None = None,
    ) -> Treated:
        """(H, W, 3) or (B, H, W, 3) sRGB -> the same shape and dtype, in `out` if it is given.

        `out` may be `image` itself.
        """
        ...


@dataclass(frozen=True)
class Colorization:
    """One model and one recipe, for any number of photographs."""

    model: LoadedModel
    recipe: Recipe
    guidance: Guidance = NO_GUIDANCE
    confidence: bool = False
    free_memory: FreeMemory = free_bytes
    name_suffix: str = ""

    def apply(
        self,
        image: ImageArray,
        progress: Progress,
        cancel: Cancel,
        out: ImageArray | None = None,
    ) -> Treated:
        require_rgb(image, "photograph", batches=True)
        with memory_errors("colour the photograph"):
            out = np.empty_like(image) if out is None else out
        photos, targets = (x if x.ndim == 4 else x[None] for x in (image, out))
        colorizer = Colorizer(self.model.backend, self.free_memory)
        results: list[Result] = []
        notices = list(self.model.notices)
        records: list[dict[str, Parameter]] = []
        for i, (photo, target) in enumerate(zip(photos, targets, strict=True)):
            cancel()
            with memory_errors("look at the photograph"):
                prepared = self.recipe.prepare(photo, cancel)
            result = colorizer.colorize(
                photo,
                prepared.settings,
                guidance=self.guidance,
                faces=prepared.faces,
                confidence=self.confidence,
                out=target,
                progress=part(progress, i / len(photos), (i + 1) / len(photos)),
                cancel=cancel,
            )
            results.append(result)
            records.append(_parameters(prepared, result))
            notices += [*prepared.notices, *result.notices]
        told = _once(notices)
        return Treated(
            image=out,
            notices=told,
            provenance=self._record(_of_all(records), told),
            confidence=_stacked(results, single=image.ndim == 3),
            network_extent=str(results[0].network_extent),
        )

    def _record(self, parameters: dict[str, Parameter], notices: tuple[Notice, ...]) -> Provenance:
        backend = self.model.backend
        return Provenance(
            kind="colorization",
            model=self.model.name,
            model_sha256=self.model.sha256,
            parameters={
                **parameters,
                **self.guidance.parameters(),
                "backend": backend.name,
                "device": backend.device,
                "precision": backend.precision,
                # False: no SHA-256 is published for this model, or the file is the user's own
                "model_official": self.model.official,
            },
            notices=tuple(notice.text for notice in notices),
            when=datetime.now(timezone.utc),
        )


@dataclass(frozen=True)
class WarmTone:
    """The preview for machines without a model. Every trace of it says that it is one."""

    name_suffix: str = PREVIEW_SUFFIX

    def apply(
        self,
        image: ImageArray,
        progress: Progress,
        cancel: Cancel,
        out: ImageArray | None = None,
    ) -> Treated:
        toned = warm_tone(image, progress, cancel, out)
        notice = Notice("preview", f"Warm-tone {PREVIEW_LABEL}.")
        return Treated(
            toned,
            (notice,),
            Provenance(
                kind="preview",
                model=None,
                model_sha256=None,
                parameters={},
                notices=(notice.text,),
                when=datetime.now(timezone.utc),
            ),
        )


def _parameters(prepared: Prepared, result: Result) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {
        "preset": prepared.preset,
        **prepared.settings.parameters(),
        "network_extent": str(result.network_extent),
    }
    if "ensemble" in found:
        found["ensemble"] = result.passes
    if result.faces is not None:
        found["faces"] = result.faces
    return found


def _of_all(records: list[dict[str, Parameter]]) -> dict[str, Parameter]:
    """One record for a batch: what is not the same for all of it is said to differ."""
    names = {name: None for record in records for name in record}
    return {
        name: records[0][name] if len({record.get(name) for record in records}) == 1 else _DIFFERS
        for name in names
    }


def _once(notices: list[Notice]) -> tuple[Notice, ...]:
    """Pictures of a batch mostly have the same to tell."""
    return tuple({notice.text: notice for notice in notices}.values())


def _stacked(results: list[Result], *, single: bool) -> FloatArray | None:
    maps = [result.confidence for result in results if result.confidence is not None]
    if not maps:
        return None
    return maps[0] if single else np.stack(maps)
