from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from heliochrome_gateway.errors import BadSetting
from heliochrome_gateway.settings import _RANGES, GatewaySettings, variable

TOKEN = "0123456789abcdef"


def test_nothing_set_is_a_gateway_for_this_machine_only() -> None:
    settings = GatewaySettings.from_environ({"HELIOCHROME_GATEWAY_STUDIO": " ", "HOME": "/"})
    assert settings == GatewaySettings()
    assert settings.is_local and not settings.secure and settings.studio is None
    assert settings.users_path.parent == settings.audit_path.parent == settings.folder


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("listen_port", "0", 0),
        ("folder", "~/x", Path("~/x").expanduser()),
        ("upstream", "HTTP://ComfyUI:80/", "http://comfyui"),
        ("studio", "https://[::1]:8000", "https://[::1]:8000"),
        ("allowed_origins", "https://a.example, https://b.example:443", None),
        ("trusted_proxies", "10.0.0.0/8,::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("requests_per_s", "0.5", 0.5),
        ("behind_tls", "1", True),
        ("extra_nodes", "A, B,", ("A", "B")),
        ("metrics_token", TOKEN, TOKEN),
    ],
)
def test_a_variable_becomes_its_value(name: str, text: str, value: Any) -> None:
    # A studio is nothing without its token.
    beside = {variable("studio_token"): TOKEN} if name == "studio" else {}
    settings = GatewaySettings.from_environ({variable(name): text, **beside})
    if name == "allowed_origins":
        value = ("https://a.example", "https://b.example")
    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"studio": "http://127.0.0.1:8190"}, "belong together"),
        ({"studio_token": "x" * 20}, "belong together"),
        ({"studio": "http://127.0.0.1:8190", "studio_token": "short"}, "at least 16 characters"),
        ({"listen_port": "65536"}, "from 0 to 65535, got 65536"),
        ({"listen_port": "-1"}, "a whole number, got '-1'"),
        ({"listen_port": "８"}, "a whole number"),
        ({"requests_per_s": "nan"}, "from 0.1"),
        ({"requests_per_s": "fast"}, "must be a number"),
        ({"behind_tls": "yes"}, "1 (on) or 0 (off), got 'yes'"),
        ({"upstream": "127.0.0.1:8188"}, "https://photos.example, got '127.0.0.1:8188'"),
        ({"upstream": "http://a/b"}, "without a path"),
        ({"upstream": "http://user@a"}, "without a path"),
        ({"upstream": "http://a:99999"}, "without a path"),
        ({"upstream": "file:///etc"}, "without a path"),
        ({"allowed_origins": "*"}, "without a path"),
        ({"trusted_proxies": "10.0.0.1/8"}, "has host bits set"),
        ({"tls": "on"}, "none, self-signed, files, got 'on'"),
        ({"tls": "files"}, "belong together"),
        ({"tls": "files", "tls_certificate": "c"}, "belong together"),
        ({"tls_key": "k"}, "belong together"),
        ({"listen_host": "0.0.0.0"}, "TLS=self-signed"),
        ({"listen_host": "::"}, "ALLOW_PLAIN=1"),
        ({"listen_host": "photos.example"}, "BEHIND_TLS=1"),
        ({"session_idle_s": "7200", "session_max_s": "3600"}, "must not be longer"),
        ({"metrics_token": "short"}, "at least 16"),
        ({"metrics_token": TOKEN, "metrics_token_file": "x"}, "both set"),
        ({"metrics_token_file": "/nowhere"}, "cannot be read"),
        ({"sesion_max_s": "60"}, "SESION_MAX_S is not a setting"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_variables_name(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        GatewaySettings.from_environ({variable(name): text for name, text in environ.items()})
    assert said in str(caught.value)
    assert "HELIOCHROME_GATEWAY_" in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"listen_host": "0.0.0.0", "allow_plain": True},
        {"listen_host": "0.0.0.0", "behind_tls": True},
        {"listen_host": "0.0.0.0", "tls": "self-signed"},
        {"listen_host": "localhost"},
        {"listen_host": "127.8.9.1"},
        {"listen_host": "::1"},
    ],
)
def test_passwords_cross_a_network_in_the_clear_only_when_told_so(settings: Any) -> None:
    made = GatewaySettings(**settings)
    assert made.secure == (made.tls != "none" or made.behind_tls)


@pytest.mark.parametrize(("name", "ends"), _RANGES.items(), ids=_RANGES)
def test_both_ends_of_a_range_are_in_it(name: str, ends: tuple[float, float]) -> None:
    rest = {"session_max_s": 30 * 86_400, "session_idle_s": 60}
    for end, beyond in zip(ends, (ends[0] - 1, ends[1] + 1), strict=True):
        assert getattr(GatewaySettings(**{**rest, name: end}), name) == end
        with pytest.raises(BadSetting, match=variable(name)):
            GatewaySettings(**{**rest, name: beyond})


@pytest.mark.parametrize("value", [True, "8", None, 8.0, float("nan")])
def test_a_number_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(BadSetting):
        GatewaySettings(listen_port=value)


@pytest.mark.parametrize(
    ("content", "token"),
    [(TOKEN, TOKEN), (f"{TOKEN}\n", TOKEN), (f"{TOKEN}\r\n", TOKEN), (f" {TOKEN}", f" {TOKEN}")],
)
def test_a_secret_may_be_in_a_file_and_is_never_shown(
    tmp_path: Path, content: str, token: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content, newline="")
    settings = GatewaySettings.from_environ({f"{variable('metrics_token')}_FILE": str(file)})
    assert settings.metrics_token == token
    assert TOKEN not in repr(settings)
    file.write_text("\n")
    with pytest.raises(BadSetting, match="which is empty"):
        GatewaySettings.from_environ({f"{variable('metrics_token')}_FILE": str(file)})
