"""What the colourising nodes and the preview node do with an IMAGE."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..core.guidance import NO_GUIDANCE, Guidance
from ..core.provenance import Provenance
from ..core.recipe import Recipe
from ..core.treatment import Colorization, Treatment
from .host import cancel, notify, progress_bar
from .models import ModelChoice
from .networks import free_memory, networks
from .tensors import Pictures, from_image, to_image, to_mask


@dataclass(frozen=True)
class Painted:
    """image: IMAGE of the shape that came in; confidence: MASK, 0 where not measured."""

    image: torch.Tensor
    confidence: torch.Tensor
    provenance: Provenance


def colorization(
    choice: ModelChoice,
    recipe: Recipe,
    guidance: Guidance = NO_GUIDANCE,
    *,
    confidence: bool = False,
) -> Colorization:
    """The treatment with an open model. Raises ModelNotFound, BadWeights, ChecksumMismatch..."""
    return Colorization(networks.open(choice), recipe, guidance, confidence, free_memory)


def paint(
    image: torch.Tensor,
    treatment: Treatment,
    node_id: str | None,
    before: Provenance | None = None,
) -> Painted:
    """Treat every picture of an IMAGE, and say what was changed for the user.

    before: the record that came with the picture, if it had one. Raises what the core
    raises, and the host's interrupt.
    """
    pictures = from_image(image)
    treated = treatment.apply(pictures.color, progress_bar(node_id), cancel)
    notify(node_id, (*pictures.notices, *treated.notices))
    provenance = treated.provenance
    noted = (*(notice.text for notice in pictures.notices), *provenance.notices)
    sure = treated.confidence
    if sure is None:
        sure = np.zeros(pictures.color.shape[:3], dtype=np.float32)
    return Painted(
        image=to_image(Pictures(treated.image, pictures.alpha)),
        confidence=to_mask(sure),
        provenance=replace(provenance, notices=noted).after(before),
    )
