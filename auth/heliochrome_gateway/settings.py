"""What the operator sets, once, for one gateway: read from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Final, Literal, get_args

from platformdirs import user_data_path

from . import variables
from .errors import BadSetting

TlsMode = Literal["none", "self-signed", "files"]
_PREFIX: Final = "HELIOCHROME_GATEWAY_"
_DAY: Final = 86_400
_SECRETS: Final = ("studio_token", "metrics_token")
_LEAST_SECRET: Final = 16


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """Validated on construction; raises BadSetting. `variable(field)` names where each comes from.

    listen_host, listen_port: where browsers come in; port 0: any free one. upstream: ComfyUI;
    studio: the studio, None where there is none; studio_token: what it is shown.
    folder: what the gateway keeps; it must be writable. users_file, audit_folder: None: in it.
    tls: "files" takes tls_certificate and tls_key (PEM), "self-signed" makes its own for
    tls_names beside this machine's. behind_tls: a proxy in front speaks TLS. allow_plain:
    passwords may cross a network in the clear. allowed_origins: pages of other origins than
    the gateway's own that may use it. trusted_proxies: whose X-Forwarded-* is believed.
    session_idle_s, session_max_s: a session ends when unused so long, and at last.
    password_*: the cost of Argon2id, so many checks at once, so many waiting, and for how long
    one that succeeded is not repeated. lockout_*: wrong passwords before delays begin, the first
    delay (each next is twice as long), the longest, and after how long all is forgotten.
    refusal_pause_s: a wrong password is answered so late, so that who guesses at full speed
    waits instead of keeping the gateway busy.
    requests_per_s, request_burst, requests_at_once, sockets_at_once: of one user.
    max_upload_bytes, max_image_pixels: of one picture; max_body_bytes: of any other request.
    max_message_bytes: of one WebSocket message. max_graph_nodes: of one workflow;
    extra_nodes: class_types that workflows may use beside the built-in list.
    audit_file_bytes: one file of the record is closed when it is so large.
    metrics_token: what /metrics asks for; "": nobody gets it.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int = 8443
    upstream: str = "http://127.0.0.1:8188"
    studio: str | None = None
    studio_token: str = field(default="", repr=False)
    folder: Path = field(default_factory=lambda: user_data_path("heliochrome-gateway"))
    users_file: Path | None = None
    audit_folder: Path | None = None
    tls: TlsMode = "none"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_names: tuple[str, ...] = ()
    behind_tls: bool = False
    allow_plain: bool = False
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    session_idle_s: int = 2 * 3600
    session_max_s: int = 12 * 3600
    password_memory_kib: int = 65_536
    password_passes: int = 3
    password_workers: int = max(1, (os.cpu_count() or 1) // 2)
    password_queue: int = 16
    password_cache_s: int = 300
    lockout_free: int = 5
    lockout_first_s: float = 2.0
    lockout_max_s: float = 900.0
    lockout_forget_s: float = 3600.0
    refusal_pause_s: float = 1.0
    requests_per_s: float = 100.0
    request_burst: int = 1000
    requests_at_once: int = 64
    sockets_at_once: int = 16
    max_upload_bytes: int = 256 * 1024 * 1024
    max_image_pixels: int = 100_000_000
    max_body_bytes: int = 16 * 1024 * 1024
    max_message_bytes: int = 16 * 1024 * 1024
    max_graph_nodes: int = 200
    extra_nodes: tuple[str, ...] = ()
    audit_file_bytes: int = 16 * 1024 * 1024
    metrics_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            _in_range(name, getattr(self, name), least, most)
        for name in ("upstream", "studio"):
            if (given := getattr(self, name)) is not None:
                variables.origin(variable(name), given)
        for given in self.allowed_origins:
            if variables.origin(variable("allowed_origins"), given) != given:
                raise BadSetting(f"{variable('allowed_origins')}: write {given!r} in lower case.")
        if self.session_idle_s > self.session_max_s:
            raise BadSetting(
                f"{variable('session_idle_s')} ({self.session_idle_s}) must not be longer than "
                f"{variable('session_max_s')} ({self.session_max_s})."
            )
        for name in _SECRETS:
            if 0 < len(getattr(self, name)) < _LEAST_SECRET:
                raise BadSetting(f"{variable(name)} must have at least {_LEAST_SECRET} characters.")
        if (self.studio is None) != (not self.studio_token):
            raise BadSetting(
                f"{variable('studio')} and {variable('studio_token')} belong together: the studio "
                "answers only whoever shows it its HELIOCHROME_STUDIO_TOKEN."
            )
        self._check_tls()

    def _check_tls(self) -> None:
        if self.tls not in get_args(TlsMode):
            raise BadSetting(
                f"{variable('tls')} must be one of {', '.join(get_args(TlsMode))}, "
                f"got {self.tls!r}."
            )
        files = (self.tls_certificate, self.tls_key)
        if (self.tls == "files") != (None not in files) or (self.tls != "files" and any(files)):
            raise BadSetting(
                f"{variable('tls')}=files, {variable('tls_certificate')} and "
                f"{variable('tls_key')} belong together: set all three or none."
            )
        if self.tls == "none" and not (self.is_local or self.behind_tls or self.allow_plain):
            raise BadSetting(
                f"{variable('listen_host')}={self.listen_host} can be reached over the network, "
                "where anybody could read passwords. Set one of: "
                f"{variable('tls')}=self-signed (or files), {variable('behind_tls')}=1 if a "
                f"proxy in front speaks TLS, {variable('allow_plain')}=1 if the network is yours."
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the gateway."""
        if self.listen_host == "localhost":
            return True
        try:
            return ip_address(self.listen_host).is_loopback
        except ValueError:
            return False

    @property
    def secure(self) -> bool:
        """Whether browsers speak TLS with us, so that cookies are Secure and HSTS is sent."""
        return self.tls != "none" or self.behind_tls

    @property
    def users_path(self) -> Path:
        return self.users_file or self.folder / "users.json"

    @property
    def audit_path(self) -> Path:
        return self.audit_folder or self.folder / "audit"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> GatewaySettings:
        """Read the variables; one that is empty counts as not set. Raises BadSetting.

        A misspelt HELIOCHROME_GATEWAY_* variable is refused: it would silently protect nothing.
        """
        known = {variable(name) for name in (*_READ, *_SECRETS)}
        known |= {f"{variable(name)}_FILE" for name in _SECRETS}
        if unknown := sorted(v for v in environ if v.startswith(_PREFIX) and v not in known):
            raise BadSetting(f"{unknown[0]} is not a setting of the gateway. Remove or correct it.")
        given: dict[str, Any] = {}
        for name, read in _READ.items():
            if text := environ.get(variable(name), "").strip():
                given[name] = read(variable(name), text)
        given.update((name, variables.secret(environ, variable(name))) for name in _SECRETS)
        return cls(**given)


def variable(name: str) -> str:
    """The environment variable of a field of GatewaySettings."""
    return f"{_PREFIX}{name.upper()}"


def _in_range(name: str, value: float, least: float, most: float) -> None:
    whole = isinstance(least, int)
    number = isinstance(value, int) or (isinstance(value, float) and not whole)
    # NaN compares as outside of every range.
    if not number or isinstance(value, bool) or not least <= value <= most:
        what = "a whole number" if whole else "a number"
        raise BadSetting(f"{variable(name)} must be {what} from {least} to {most}, got {value!r}.")


# Both ends are allowed. A float's ends are floats.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "listen_port": (0, 65_535),
    "session_idle_s": (60, 30 * _DAY),
    "session_max_s": (60, 30 * _DAY),
    "password_memory_kib": (8, 4 * 1024 * 1024),
    "password_passes": (1, 100),
    "password_workers": (1, 64),
    "password_queue": (0, 10_000),
    "password_cache_s": (0, 3600),
    "lockout_free": (1, 100),
    "lockout_first_s": (0.0, 3600.0),
    "lockout_max_s": (0.0, float(_DAY)),
    "lockout_forget_s": (1.0, 30.0 * _DAY),
    "refusal_pause_s": (0.0, 10.0),
    "requests_per_s": (0.1, 1_000_000.0),
    "request_burst": (1, 1_000_000),
    "requests_at_once": (1, 10_000),
    "sockets_at_once": (1, 10_000),
    "max_upload_bytes": (1024, 1 << 34),
    "max_image_pixels": (1, 1 << 30),
    "max_body_bytes": (1024, 1 << 30),
    "max_message_bytes": (1024, 1 << 30),
    "max_graph_nodes": (1, 10_000),
    "audit_file_bytes": (4096, 1 << 30),
}

_READ: Final[Mapping[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys(_RANGES, variables.number),
    **{name: variables.whole for name, ends in _RANGES.items() if isinstance(ends[0], int)},
    "listen_host": variables.text,
    "upstream": variables.origin,
    "studio": variables.origin,
    "folder": variables.path,
    "users_file": variables.path,
    "audit_folder": variables.path,
    "tls": variables.text,
    "tls_certificate": variables.path,
    "tls_key": variables.path,
    "tls_names": variables.words,
    "behind_tls": variables.switch,
    "allow_plain": variables.switch,
    "allowed_origins": variables.origins,
    "trusted_proxies": variables.networks,
    "extra_nodes": variables.words,
}
