"""What the operator sets, once, for one deployed function: read from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core import variables
from ..core.disk import is_writable
from ..core.errors import BadSetting
from ..core.paths import user_cache
from ..core.presets import DEFAULT_MODEL
from .places import Place
from .variables import folder, folders

# Lambda's limit for a request and for a buffered response, each way, after base64: 6 MB
# (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). Room is left for the envelope.
LAMBDA_PAYLOAD: Final = 6 * 1024 * 1024
ENVELOPE: Final = 64 * 1024
# What can be written on a serverless machine.
_SCRATCH: Final = Path("/tmp/heliochrome")


@dataclass(frozen=True, kw_only=True)
class HandlerSettings:
    """Validated on construction; raises BadSetting. VARIABLES names where each comes from.

    diffusion_model: folder (an EFS mount too), name, s3:// or https:// address of a Stable
    Diffusion model; None: nothing is generated. device: where that runs. color_model: id or
    file of a DDColor model; color_backend: its runtime ("auto" would measure on every cold
    start). download: whether a DDColor model that is missing is downloaded.
    buckets: folders that requests may name pictures in. output: where pictures go that are too
    large for an answer, or that have nobody to be answered to; output_seconds: how long a link
    to one holds. event_source, event_target: a picture created below the first is coloured to
    the second; event_settings: the fields of a colorize request for that.
    max_request_bytes, max_response_bytes: as the platform counts, so after base64.
    max_image_bytes: of one picture's file; max_image_pixels: of one picture.
    deadline_margin_s: work stops so long before the platform would end the process.
    record_prompt: the prompt is written into the picture's own metadata. log_content: prompts
    and settings of requests may go into the log. cache: a folder that can be written to.
    """

    diffusion_model: str | None = None
    device: str = "CPU"
    color_model: str = DEFAULT_MODEL
    color_backend: str = "openvino"
    download: bool = False
    buckets: tuple[Place, ...] = ()
    output: Place | None = None
    output_seconds: int = 3600
    event_source: Place | None = None
    event_target: Place | None = None
    event_settings: Mapping[str, Any] = field(default_factory=dict)
    max_request_bytes: int = LAMBDA_PAYLOAD
    max_response_bytes: int = LAMBDA_PAYLOAD - ENVELOPE
    max_image_bytes: int = 200_000_000
    max_image_pixels: int = 50_000_000
    deadline_margin_s: float = 2.0
    record_prompt: bool = False
    log_content: bool = False
    cache: Path = _SCRATCH

    def __post_init__(self) -> None:
        source, target = self.event_source, self.event_target
        if (source is None) != (target is None):
            raise BadSetting(
                "HELIOCHROME_EVENT_SOURCE and HELIOCHROME_EVENT_TARGET belong together: set both."
            )
        if source and target and (source.holds(target) or target.holds(source)):
            raise BadSetting(
                f"{target} (HELIOCHROME_EVENT_TARGET) and {source} (HELIOCHROME_EVENT_SOURCE) lie "
                "one in the other, so that results would be taken for new photographs. Name "
                "folders apart from each other, such as in/ and coloured/."
            )
        if source and self.output and source.holds(self.output):
            raise BadSetting(
                f"{self.output} (HELIOCHROME_OUTPUT) lies in {source} (HELIOCHROME_EVENT_SOURCE), "
                "so that results would be taken for new photographs. Name another folder."
            )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> HandlerSettings:
        """Read VARIABLES; one that is empty counts as not set. Raises BadSetting.

        Without HELIOCHROME_CACHE it is the user's cache folder if that can be written to, else
        one in /tmp: on serverless machines there is no home, and all but /tmp is read-only.
        """
        given: dict[str, Any] = {}
        for name, (variable, read) in _READ.items():
            if text := environ.get(variable, "").strip():
                given[name] = read(variable, text)
        if "cache" not in given:
            usual = user_cache()
            given["cache"] = usual if usual and is_writable(usual) else _SCRATCH
        return cls(**given)


# Each field's variable and how its text is read.
_READ: Final[Mapping[str, tuple[str, Callable[[str, str], Any]]]] = {
    "diffusion_model": ("HELIOCHROME_DIFFUSION_MODEL", variables.text),
    "device": ("HELIOCHROME_DEVICE", variables.text),
    "color_model": ("HELIOCHROME_COLOR_MODEL", variables.text),
    "color_backend": ("HELIOCHROME_COLOR_BACKEND", variables.backend),
    "download": ("HELIOCHROME_DOWNLOAD", variables.switch),
    "buckets": ("HELIOCHROME_BUCKETS", folders),
    "output": ("HELIOCHROME_OUTPUT", folder),
    "output_seconds": ("HELIOCHROME_OUTPUT_SECONDS", variables.whole(60, 604_800)),
    "event_source": ("HELIOCHROME_EVENT_SOURCE", folder),
    "event_target": ("HELIOCHROME_EVENT_TARGET", folder),
    "event_settings": ("HELIOCHROME_EVENT_SETTINGS", variables.document),
    "max_request_bytes": ("HELIOCHROME_MAX_REQUEST_BYTES", variables.whole(1024, 1 << 30)),
    "max_response_bytes": ("HELIOCHROME_MAX_RESPONSE_BYTES", variables.whole(1024, 1 << 30)),
    "max_image_bytes": ("HELIOCHROME_MAX_IMAGE_BYTES", variables.whole(1024, 1 << 32)),
    "max_image_pixels": ("HELIOCHROME_MAX_IMAGE_PIXELS", variables.whole(1, 250_000_000)),
    "deadline_margin_s": ("HELIOCHROME_DEADLINE_MARGIN", variables.number(0, 300)),
    "record_prompt": ("HELIOCHROME_RECORD_PROMPT", variables.switch),
    "log_content": ("HELIOCHROME_LOG_CONTENT", variables.switch),
    "cache": ("HELIOCHROME_CACHE", variables.path),
}
VARIABLES: Final = tuple(variable for variable, _ in _READ.values())
