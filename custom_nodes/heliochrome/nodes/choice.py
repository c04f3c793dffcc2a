"""Values of combo widgets, checked by us: ComfyUI 0.3.64 does not check those of V3 nodes."""

from __future__ import annotations

from collections.abc import Collection


def check_choice(name: str, value: str | None, options: Collection[str]) -> bool | str:
    """What `validate_inputs` answers: True, or the message. A linked value (None) is not known."""
    if value is None or value in options:
        return True
    return f"{name} must be one of {', '.join(options)}, got {value!r}."
