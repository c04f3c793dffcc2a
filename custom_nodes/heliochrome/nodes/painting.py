"""What the two colourising nodes and the preview node do with an IMAGE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import torch

from ..core.colorize import Notice
from ..core.preview import PREVIEW_LABEL, warm_tone
from ..core.provenance import Provenance
from ..core.settings import Settings
from .host import cancel, notify, progress_bar
from .models import ModelChoice, store
from .sessions import sessions
from .tensors import FloatArray, Pictures, from_image, to_image, to_mask

PREVIEW_CODE = "preview"


@dataclass(frozen=True)
class Painted:
    """image: IMAGE of the shape that came in; confidence: MASK, 0 where not measured."""

    image: torch.Tensor
    confidence: torch.Tensor
    provenance: Provenance


def colorize(
    image: torch.Tensor,
    choice: ModelChoice,
    settings: Settings,
    node_id: str | None,
    *,
    preset: str,
    confidence: bool = False,
) -> Painted:
    """Colourise an IMAGE with a model; raises what the core raises, and the host's interrupt."""
    pictures = from_image(image)
    result = sessions.open_for(choice, settings.size).colorize(
        pictures.color,
        settings,
        confidence=confidence,
        progress=progress_bar(node_id),
        cancel=cancel,
    )
    notify(node_id, result.notices)
    provenance = Provenance(
        kind="colorization",
        model=choice.name,
        model_sha256=store().sha256(choice.path),
        parameters={"preset": preset, **settings.parameters()},
        notices=tuple(notice.text for notice in result.notices),
        when=datetime.now(timezone.utc),
    )
    sure = _no_confidence(pictures) if result.confidence is None else result.confidence
    return Painted(to_image(Pictures(result.image, pictures.alpha)), to_mask(sure), provenance)


def warm_tone_preview(image: torch.Tensor, node_id: str | None) -> Painted:
    """The warm-tone preview of an IMAGE, with its notice; no model is involved."""
    pictures = from_image(image)
    toned: FloatArray = warm_tone(pictures.color)
    notice = Notice(PREVIEW_CODE, f"Warm-tone {PREVIEW_LABEL}.")
    notify(node_id, (notice,))
    provenance = Provenance(
        kind="preview",
        model=None,
        model_sha256=None,
        parameters={},
        notices=(PREVIEW_LABEL,),
        when=datetime.now(timezone.utc),
    )
    sure = _no_confidence(pictures)
    return Painted(to_image(Pictures(toned, pictures.alpha)), to_mask(sure), provenance)


def _no_confidence(pictures: Pictures) -> FloatArray:
    return np.zeros(pictures.color.shape[:3], dtype=np.float32)
