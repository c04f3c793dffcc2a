"""Every error a user can meet. Each says what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SHOWN: Final = 60  # characters of what came; it may be megabytes


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, and short."""
    try:
        # Megabytes are not written out to show so little of them.
        text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        return f"{type(value).__name__} too long to show"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def nearest(name: object, known: Sequence[str], alike: float = 0) -> str | None:
    """The one of `known` that is most like a name that is not, for "did you mean".

    alike: how much at least, from 0 to 1; None if none is.
    """
    import difflib  # only a wrong name needs it

    near = difflib.get_close_matches(str(name)[:_SHOWN], known, 1, cutoff=alike)
    return near[0] if near else None


class HeliochromeError(Exception):
    """Base of all errors whose message is written for the user.

    code: stable, for programs; the manuals explain each.
    """

    code: str = "internal_error"


class BadImage(HeliochromeError):
    """The file is not a photograph we can read, or cannot hold the result."""

    code = "bad_image"


class BadSetting(HeliochromeError):
    """A parameter is outside its range or of the wrong kind."""

    code = "bad_setting"


class BadWeights(HeliochromeError):
    """A checkpoint is not a DDColor state dict; the message names the offending key."""

    code = "model_unavailable"


class ModelNotFound(HeliochromeError):
    """The model is not on this machine; the message holds the command that gets it."""

    code = "model_unavailable"


class ChecksumMismatch(HeliochromeError):
    """A model file does not have the SHA-256 it must have."""

    code = "model_unavailable"


class DownloadFailed(HeliochromeError):
    """No source gave the file; what has arrived is kept for resuming."""

    code = "model_unavailable"


class BackendUnavailable(HeliochromeError):
    """The asked runtime or device is not usable on this machine."""

    code = "model_unavailable"


class OutOfMemory(HeliochromeError):
    """There is not enough memory for what was asked."""

    code = "out_of_memory"


class GenerationFailed(HeliochromeError):
    """The runtime failed while it made a picture. The next request starts with a fresh one."""

    code = "generation_failed"


class OutputExists(HeliochromeError):
    """The destination is already there, or is the input itself."""

    code = "output_failed"


class OutputFailed(HeliochromeError):
    """The result could not be stored: the disk is full or the folder cannot be written to."""

    code = "output_failed"


class Cancelled(HeliochromeError):
    """The user stopped the work. No result is half written; a download can go on."""

    code = "cancelled"
