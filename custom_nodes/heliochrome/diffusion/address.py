"""Addresses of models: checked, and the name a model gets from its address."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from ..core.catalog import FileSource
from ..core.endpoints import Endpoints
from ..core.errors import BadSetting
from ..core.object_stores import SCHEMES

_HUGGINGFACE: Final = "huggingface.co"
_REVISIONS: Final = ("tree", "resolve")  # .../tree/main is what a browser shows
_NAME: Final = re.compile(r"[^\w.-]+", re.ASCII)
_LONGEST_NAME: Final = 80


@dataclass(frozen=True)
class Address:
    """url: as the user gave it, without a last slash. endpoint: below which the files are.

    name: of the model's folder here.
    """

    url: str
    endpoint: str
    name: str

    @property
    def own_name(self) -> str:
        """A name that no other address has, for when `name` is taken."""
        return f"{self.name}-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"


def parse_address(url: str, endpoints: Endpoints) -> Address:
    """Raises `BadSetting` for what is not the address of a folder.

    https://huggingface.co/OWNER/NAME is a model's page: its files are fetched from there, or
    from the mirror in `endpoints`.
    """
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise BadSetting(f"{url!r} is not an address: {error}.") from error
    if parts.scheme not in SCHEMES or not host:
        raise BadSetting(
            f"{url!r} is not the address of a model: one begins with "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)} and names a host or a bucket."
        )
    if secret:
        raise BadSetting(
            f"the address of {host} holds a password, which would be stored with the model. "
            "Give credentials for s3:// and oss:// in environment variables."
        )
    if parts.query or parts.fragment:
        raise BadSetting(f"{url!r} must name a folder: leave out what follows ? or #.")
    segments = [segment for segment in parts.path.split("/") if segment]
    if any(unquote(segment) in (".", "..") for segment in segments):
        raise BadSetting(f"{url!r} must name a folder without . or .. in its path.")
    endpoint = url = url.rstrip("/")
    last = unquote(segments[-1]) if segments else host
    if host == _HUGGINGFACE and len(segments) >= 2:
        owner, last = segments[:2]
        revision = segments[3] if len(segments) == 4 and segments[2] in _REVISIONS else "main"
        page = FileSource("huggingface", f"{owner}/{last}", revision, "", None, None, "")
        endpoint = f"{endpoints.huggingface.rstrip('/')}/{page.path.rstrip('/')}"
    name = _NAME.sub("-", last).strip(".-")[:_LONGEST_NAME]
    return Address(url, endpoint, name or "model")
