"""Where files are served: http(s)://, s3:// and oss:// addresses as obstore's stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from .endpoints import is_loopback
from .errors import BadSetting

SCHEMES: Final = ("https", "http", "s3", "oss")

_CONNECT_TIMEOUT: Final = "10s"
_WHOLE_REQUEST: Final = "7days"  # obstore's default, 30 s, would cut every large download
# In the order in which obstore and AWS's own programs look at them.
_S3_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OSS_REGIONS: Final = ("OSS_REGION", "ALIBABA_CLOUD_REGION_ID", "FC_REGION")
_OSS_CREDENTIALS: Final[Mapping[str, str]] = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "secret_access_key": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "session_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}


def open_store(address: str, stall_s: float, environ: Mapping[str, str] = os.environ) -> Any:
    """obstore's store for everything below `address`; nothing is asked over the network yet.

    s3://bucket/prefix: credentials, region and endpoint from AWS's own variables. oss://: the
    same protocol at Alibaba, with ALIBABA_CLOUD_ACCESS_KEY_ID, ..._SECRET and
    ALIBABA_CLOUD_SECURITY_TOKEN, and OSS_REGION or OSS_ENDPOINT. stall_s: seconds of silence
    that end an answer. Retrying is the caller's. Raises `BadSetting`.
    """
    from obstore.exceptions import BaseError
    from obstore.store import HTTPStore, S3Store

    parts = urlsplit(address)
    options: Any = {
        "client_options": {
            "allow_http": is_plain_http(address, environ),
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": f"{int(stall_s * 1000)}ms",
            "timeout": _WHOLE_REQUEST,
        },
        "retry_config": {"max_retries": 0},
    }
    prefix = parts.path.strip("/") or None
    try:
        if parts.scheme == "s3":
            if endpoint := _served_at(address, environ):
                options["endpoint"] = endpoint.geturl()
            return S3Store(parts.netloc, prefix=prefix, **options)
        if parts.scheme == "oss":
            return S3Store(parts.netloc, prefix=prefix, **_oss(parts.netloc, environ), **options)
        return HTTPStore.from_url(address.rstrip("/"), **options)
    except (BaseError, ValueError) as error:
        raise BadSetting(f"{address} cannot be opened: {error}") from error


def is_plain_http(address: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what `address` serves would travel unencrypted. Raises `BadSetting`."""
    served = _served_at(address, environ)
    return served is not None and served.scheme == "http"


def is_safe(address: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether nobody on the way can change what `address` serves: encrypted, or this machine.

    Raises `BadSetting`.
    """
    served = _served_at(address, environ)
    return served is None or served.scheme == "https" or is_loopback(served.hostname or "")


def hides_absence(address: str) -> bool:
    """Whether "forbidden" may mean "not there": so S3 answers whoever may read but not list."""
    return urlsplit(address).scheme in ("s3", "oss")


def _served_at(address: str, environ: Mapping[str, str]) -> SplitResult | None:
    """The web address behind `address`; None where it is AWS's own, which is https."""
    parts = urlsplit(address)
    if parts.scheme == "s3":
        name = next((name for name in _S3_ENDPOINTS if environ.get(name)), None)
        return None if name is None else _web(name, environ[name])
    if parts.scheme == "oss":
        return urlsplit(str(_oss(parts.netloc, environ)["endpoint"]))
    return _web("the address", address)


def _web(name: str, address: str) -> SplitResult:
    """In parts, the scheme in lower case. Raises `BadSetting` unless it is http(s) with a host."""
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise BadSetting(f"{name} is {address!r}, which is no address: {error}.") from error
    if not whole:
        raise BadSetting(f"{name} must be an address like https://host, got {address!r}.")
    return parts


def _oss(bucket: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """OSS takes only addresses that begin with the bucket's name."""
    keys = {name: environ[key] for name, key in _OSS_CREDENTIALS.items() if environ.get(key)}
    region = _first(environ, _OSS_REGIONS)
    endpoint = _web(
        "OSS_ENDPOINT",
        # In Alibaba's own network it names the internal host, which costs nothing.
        environ.get("OSS_ENDPOINT") or f"https://s3.oss-{region}.aliyuncs.com",
    )
    if is_loopback(endpoint.hostname or ""):  # a stand-in, which has no such names
        return {**keys, "endpoint": endpoint.geturl(), "region": region or "us-east-1"}
    if not region:
        raise BadSetting(
            f"oss://{bucket} needs a region: set OSS_REGION, for example to cn-hangzhou."
        )
    return {
        **keys,
        "endpoint": f"{endpoint.scheme}://{bucket}.{endpoint.netloc}",
        "region": region,
        "virtual_hosted_style_request": True,
    }


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)
