"""Addresses: what has more than one reading is refused, and what no rule names does not exist."""

from __future__ import annotations

import pytest

from heliochrome_gateway.refusals import Denied
from heliochrome_gateway.routes import RULES, Routes
from heliochrome_gateway.targets import encoded, parse

ROUTES = Routes()


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "http://evil.example/comfyui/",
        "//evil.example/",
        "/comfyui//internal/logs",
        "/comfyui/assets/../internal/logs",
        "/comfyui/assets/./x.js",
        "/comfyui/assets/..",
        "/comfyui/assets/%2e%2e/internal/logs",
        "/comfyui/assets/.%2E/internal/logs",
        "/comfyui/assets/%2e/x.js",
        "/comfyui/assets%2finternal",
        "/comfyui/assets%2F..%2Finternal",
        "/comfyui/assets/..%5cinternal",
        "/comfyui/assets\\..\\internal",
        "/comfyui/assets/%252e%252e/internal",
        "/comfyui/assets/%25",
        "/comfyui/view%00.png",
        "/comfyui/view?filename=a%00b",
        "/comfyui/assets/%c0%ae%c0%ae/internal",  # overlong UTF-8
        "/comfyui/assets/%e0%80%af",
        "/comfyui/assets/%ff",
        "/comfyui/assets/%ef%bc%8e%ef%bc%8e/internal",  # full-width dots
        "/comfyui/assets/a%ef%bc%8fb",  # full-width slash
        "/comfyui/assets/%",
        "/comfyui/assets/%zz",
        "/comfyui/assets/%u002e",
        "/comfyui/assets/a b",
        "/comfyui/assets/é",
        "/comfyui/assets/a%0d%0aX: y",
        "/comfyui/assets/a%7f",
        "/comfyui/assets/x.js#y",
        "/comfyui/assets/...",
        "/comfyui/assets/..;/internal",
        "/comfyui/assets/..%20",
        "/comfyui/assets/C:",
        "/comfyui/view?a=%2",
        "/comfyui/userdata/..%2f..%2fetc",
        "/comfyui/api/userdata/%2fetc%2fpasswd",
        "/comfyui/api/userdata/a%2f%2fb",
        "/comfyui/api/userdata/a%252fb",
        "/comfyui/assets/" + "a" * 5000,
    ],
)
def test_a_path_with_two_readings_is_refused(raw):
    with pytest.raises(Denied) as denied:
        parse(raw)
    assert denied.value.status == 400


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/comfyui/", "/comfyui/"),
        ("/comfyui/assets/index-B_x.1.js?v=%2f", "/comfyui/assets/index-B_x.1.js"),
        ("/comfyui/templates/%E6%96%87%20a.json", "/comfyui/templates/文 a.json"),
        (
            "/comfyui/api/userdata/workflows%2Fmine.json",
            "/comfyui/api/userdata/workflows/mine.json",
        ),
    ],
)
def test_a_plain_path_is_decoded_once(raw, path):
    assert parse(raw).path == path
    assert parse(encoded(path)).path == path


def test_a_field_given_twice_is_refused():
    assert parse("/x?a=1&b=").fields() == {"a": "1", "b": ""}
    with pytest.raises(Denied):
        parse("/x?a=1&a=2").fields()
    with pytest.raises(Denied):
        parse("/x?a=%ff").fields()


FORBIDDEN = [
    ("GET", "/internal/logs"),
    ("GET", "/internal/logs/raw"),
    ("GET", "/internal/folder_paths"),
    ("GET", "/internal/files/output"),
    ("PATCH", "/internal/logs/subscribe"),
    ("POST", "/free"),
    ("POST", "/users"),
    ("GET", "/view_metadata/loras"),
    ("GET", "/experiment/models"),
    ("GET", "/experiment/models/preview/checkpoints/0/x"),
    ("GET", "/models"),
    ("GET", "/models/checkpoints"),
    ("GET", "/assets"),
    ("POST", "/assets"),
    ("POST", "/assets/from-hash"),
    ("DELETE", "/assets/1"),
    ("POST", "/assets/import"),
    ("GET", "/tags"),
    ("GET", "/v2/userdata"),
    ("POST", "/userdata"),
    ("PUT", "/userdata/a.json"),
    ("GET", "/manager/reboot"),
    ("POST", "/customnode/install"),
    ("GET", "/api/api/history"),
    ("OPTIONS", "/prompt"),
    ("TRACE", "/prompt"),
    ("CONNECT", "/prompt"),
    ("DELETE", "/history"),
    ("PUT", "/view"),
    ("POST", "/view"),
    ("GET", "/interrupt"),
    ("GET", "/upload/image"),
    ("GET", "/index.html"),
    ("GET", "/PROMPT"),
    ("GET", "/prompt/"),
    ("POST", "/ws"),
]


@pytest.mark.parametrize("prefix", ["/comfyui", "/comfyui/api"])
@pytest.mark.parametrize(("method", "path"), FORBIDDEN)
def test_what_no_rule_names_does_not_exist(method, path, prefix):
    with pytest.raises(Denied) as denied:
        ROUTES.match(method, prefix + path, "admin")
    assert denied.value.status in (404, 405)


@pytest.mark.parametrize("prefix", ["/comfyui", "/comfyui/api"])
@pytest.mark.parametrize(
    ("method", "path", "handling", "roles"),
    [
        ("GET", "/prompt", "pass", "admin user viewer"),
        ("POST", "/prompt", "prompt", "admin user"),
        ("GET", "/ws", "socket", "admin user viewer"),
        ("GET", "/view", "view", "admin user viewer"),
        ("GET", "/history", "history", "admin user viewer"),
        ("GET", "/history/1-2", "history", "admin user viewer"),
        ("POST", "/history", "forget", "admin user"),
        ("GET", "/queue", "queue", "admin user viewer"),
        ("POST", "/queue", "dequeue", "admin user"),
        ("POST", "/interrupt", "interrupt", "admin user"),
        ("POST", "/upload/image", "upload", "admin user"),
        ("POST", "/upload/mask", "mask", "admin user"),
        ("GET", "/object_info", "object_info", "admin user viewer"),
        ("GET", "/userdata/a/b.json", "userdata", "admin user viewer"),
        ("DELETE", "/userdata/a/b.json", "userdata", "admin user"),
        ("POST", "/settings/Comfy.Locale", "settings_change", "admin user"),
        ("GET", "/workflow_templates/heliochrome/a.jpg", "pass", "admin user viewer"),
    ],
)
def test_plain_and_api_paths_have_the_same_rule(prefix, method, path, handling, roles):
    for role in ("admin", "user", "viewer"):
        if role in roles.split():
            match = ROUTES.match(method, prefix + path, role)
            assert match.rule.handling == handling
            assert match.path == (prefix + path).removeprefix("/comfyui")
        else:
            with pytest.raises(Denied) as denied:
                ROUTES.match(method, prefix + path, role)
            assert denied.value.status == 403


def test_files_are_not_looked_for_below_api():
    """There newer hosts have their store of everybody's assets."""
    assert ROUTES.match("GET", "/comfyui/assets/1/content", "user").path == "/assets/1/content"
    with pytest.raises(Denied):
        ROUTES.match("GET", "/comfyui/api/assets/1/content", "admin")


def test_a_viewer_changes_nothing():
    for rule in RULES:
        if rule.methods - {"GET", "HEAD"}:
            assert "viewer" not in rule.roles
