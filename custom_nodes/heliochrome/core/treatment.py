"""What is done to a photograph, and the record of it: colourisation or the preview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

from .colorize import Colorizer, Result
from .jobs import Cancel, Progress
from .lab import ImageArray
from .loading import LoadedModel
from .notices import Notice
from .preview import PREVIEW_LABEL, PREVIEW_SUFFIX, warm_tone
from .provenance import Provenance
from .settings import Settings


@dataclass(frozen=True)
class Treated:
    """The picture and how it came about."""

    result: Result
    provenance: Provenance


class Treatment(Protocol):
    """`name_suffix` goes before the file name's ending."""

    @property
    def name_suffix(self) -> str: ...

    def apply(self, image: ImageArray, progress: Progress, cancel: Cancel) -> Treated:
        """(H, W, 3) or (B, H, W, 3) sRGB -> the same shape and dtype."""
        ...


@dataclass(frozen=True)
class Colorization:
    """One model with one preset's settings, for any number of photographs."""

    model: LoadedModel
    preset: str
    settings: Settings
    confidence: bool = False
    name_suffix: str = ""

    def apply(self, image: ImageArray, progress: Progress, cancel: Cancel) -> Treated:
        backend = self.model.backend
        result = Colorizer(backend).colorize(
            image, self.settings, confidence=self.confidence, progress=progress, cancel=cancel
        )
        return Treated(
            result,
            Provenance(
                kind="colorization",
                model=self.model.name,
                model_sha256=self.model.sha256,
                parameters={
                    "preset": self.preset,
                    **self.settings.parameters(),
                    "network_extent": str(result.network_extent),
                    "backend": backend.name,
                    "device": backend.device,
                    # False: no SHA-256 is published for this model, or the file is the user's own
                    "model_official": self.model.official,
                },
                notices=tuple(notice.text for notice in result.notices),
                when=datetime.now(timezone.utc),
            ),
        )


@dataclass(frozen=True)
class WarmTone:
    """The preview for machines without a model. Every trace of it says that it is one."""

    name_suffix: str = PREVIEW_SUFFIX

    def apply(self, image: ImageArray, progress: Progress, cancel: Cancel) -> Treated:
        toned = warm_tone(image, progress, cancel)
        notice = Notice("preview", f"Warm-tone {PREVIEW_LABEL}.")
        return Treated(
            Result(toned, None, (notice,)),
            Provenance(
                kind="preview",
                model=None,
                model_sha256=None,
                parameters={},
                notices=(notice.text,),
                when=datetime.now(timezone.utc),
            ),
        )
