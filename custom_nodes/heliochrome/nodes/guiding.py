"""The user's own pictures, from the host's tensors to what the core takes."""

from __future__ import annotations

import torch

from ..core.errors import BadImage
from ..core.guidance import Guidance
from ..core.hints import Hints
from ..core.reference_color import ReferenceColors
from .tensors import from_image


def guidance(
    reference: torch.Tensor | None, hints: torch.Tensor | None, hint_mask: torch.Tensor | None
) -> Guidance:
    """reference, hints: IMAGE (B, H, W, C), of which the first is taken; hint_mask: MASK (B, H, W).

    Raises BadImage: a reference without colour, hints without a mask or of another size.
    """
    colours = painted = None
    if reference is not None:
        colours = ReferenceColors.of(from_image(reference).color[0])
    if (hints is None) != (hint_mask is None):
        lone, missing = ("hints", "hint_mask") if hint_mask is None else ("hint_mask", "hints")
        raise BadImage(
            f"Expected hints and hint_mask together, but got {lone} alone. Connect {missing} too, "
            "or neither."
        )
    if hints is not None and hint_mask is not None:
        mask = hint_mask.detach().to(device="cpu", dtype=torch.float32).numpy()
        first = mask.reshape(-1, *mask.shape[-2:])[0]  # some nodes give a MASK of (H, W)
        painted = Hints(from_image(hints).color[0], first)
    return Guidance(colours, painted)
