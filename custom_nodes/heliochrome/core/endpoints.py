"""Where the model hosts are: the public sites, or mirrors named by the user."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from .catalog import FileSource
from .errors import BadSetting, DownloadFailed

_HUGGINGFACE: Final = "https://huggingface.co"
_MODELSCOPE: Final = "https://modelscope.cn"


@dataclass(frozen=True)
class Endpoints:
    """Base addresses, such as https://hf-mirror.com; a path below the host is allowed."""

    huggingface: str = _HUGGINGFACE
    modelscope: str = _MODELSCOPE

    def __post_init__(self) -> None:
        for name, address in (
            ("HELIOCHROME_HF_ENDPOINT", self.huggingface),
            ("HELIOCHROME_MODELSCOPE_ENDPOINT", self.modelscope),
        ):
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise BadSetting(
                    f"{name} must be an address like https://hf-mirror.com, got {address!r}."
                )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Endpoints:
        """Read HELIOCHROME_HF_ENDPOINT (or HF_ENDPOINT) and HELIOCHROME_MODELSCOPE_ENDPOINT."""
        own = environ.get("HELIOCHROME_HF_ENDPOINT") or environ.get("HF_ENDPOINT")
        return cls(
            huggingface=own or _HUGGINGFACE,
            modelscope=environ.get("HELIOCHROME_MODELSCOPE_ENDPOINT") or _MODELSCOPE,
        )

    def of(self, source: FileSource) -> str:
        """The base address for a source. Raises `DownloadFailed` for unsafe plain http.

        Over http anyone on the way can change the file. That is caught if its digest is
        published; without one (trust on first use) only this machine itself is trusted.
        """
        address = self.huggingface if source.host == "huggingface" else self.modelscope
        parts = urlsplit(address)
        if parts.scheme == "http" and not source.sha256 and not is_loopback(parts.hostname or ""):
            raise DownloadFailed(
                f"{address}/{source.path}: not fetched over plain http, because no SHA-256 is "
                "published for this file and nothing would show that it was changed on the way."
            )
        return address


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
