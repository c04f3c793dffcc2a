"""The text of an environment variable into a value; BadSetting names the variable."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import BadSetting

_PORTS: Final = {"http": 80, "https": 443}


def text(variable: str, text: str) -> str:
    return text


def path(variable: str, text: str) -> Path:
    return Path(text).expanduser()


def switch(variable: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise BadSetting(f"{variable} must be 1 (on) or 0 (off), got {text!r}.")
    return text == "1"


def whole(variable: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadSetting(f"{variable} must be a whole number, got {text!r}.")
    return int(text)


def number(variable: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadSetting(f"{variable} must be a number, got {text!r}.") from error


def words(variable: str, text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip()))


def networks(variable: str, text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(item) for item in words(variable, text))
    except ValueError as error:
        raise BadSetting(
            f"{variable} must hold addresses or networks such as 10.0.0.0/8, but {error}."
        ) from error


def secret(environ: Mapping[str, str], variable: str) -> str:
    """`variable`, or what the file named by `variable`_FILE holds; "" where neither is set.

    One line break at the file's end is not part of the secret: editors put it there.
    """
    given, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
    if given and file:
        raise BadSetting(f"{variable} and {variable}_FILE are both set: keep one of them.")
    if not file:
        return given
    try:
        found = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{variable}_FILE names {file}, which cannot be read: {error}.") from error
    found = found.removesuffix("\n").removesuffix("\r")
    if not found:
        raise BadSetting(f"{variable}_FILE names {file}, which is empty.")
    return found


def origin(variable: str, text: str) -> str:
    """An origin as a browser writes it (RFC 6454): lower case, no usual port, no path."""
    try:
        parts = urlsplit(text.lower())
        scheme, host, port = parts.scheme, parts.hostname, parts.port
        plain = f"{scheme}://{parts.netloc}" == text.lower().removesuffix("/")
    except ValueError:
        plain, scheme, host, port = False, "", None, None
    if not plain or not host or scheme not in _PORTS or "@" in parts.netloc:
        raise BadSetting(
            f"{variable} must be an address without a path such as https://photos.example, "
            f"got {text!r}."
        )
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port in (None, _PORTS[scheme]) else f"{scheme}://{host}:{port}"


def origins(variable: str, text: str) -> tuple[str, ...]:
    return tuple(origin(variable, item) for item in words(variable, text))
