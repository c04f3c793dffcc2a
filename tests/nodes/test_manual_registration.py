"""How the pack puts the manual into the host's routes, with the host's own kind of table."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from aiohttp import web

from heliochrome.manual.web import routes

NODES = Path(__file__).parents[2] / "custom_nodes" / "heliochrome" / "nodes"


async def own_route(request: web.Request) -> web.StreamResponse:
    return web.Response()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> web.RouteTableDef:
    """The routes of a host that has one of its own."""
    found = web.RouteTableDef()
    found.get("/queue")(own_route)
    server = ModuleType("server")
    server.PromptServer = SimpleNamespace(  # type: ignore[attr-defined]
        instance=SimpleNamespace(routes=found)
    )
    monkeypatch.setitem(sys.modules, "server", server)
    return found


@pytest.fixture
def pack(table: web.RouteTableDef, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """nodes/manual.py alone: the package around it needs the whole host."""
    package = ModuleType("heliochrome.nodes")
    package.__path__ = [str(NODES)]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    name = f"{package.__name__}.manual"
    spec = importlib.util.spec_from_file_location(name, NODES / "manual.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def paths(table: web.RouteTableDef) -> list[str]:
    return [route.path for route in table if isinstance(route, web.RouteDef)]


def test_the_routes_are_added_once(pack: ModuleType, table: web.RouteTableDef) -> None:
    pack.serve_manual()
    pack.serve_manual()
    assert paths(table) == ["/queue", *(route.path for route in routes())]


def test_the_host_can_copy_them(pack: ModuleType, table: web.RouteTableDef) -> None:
    """As its server.py does: a copy of each below /api, then all into the application."""
    pack.serve_manual()
    copies = web.RouteTableDef()
    for route in table:
        assert isinstance(route, web.RouteDef)
        copies.route(route.method, f"/api{route.path}")(route.handler, **route.kwargs)
    app = web.Application()
    app.add_routes(copies)
    app.add_routes(table)
    known = {resource.canonical for resource in app.router.resources()}
    assert {"/help", "/api/help", "/help/{language}/{page}"} <= known


def test_without_markdown_it_one_line_says_what_to_do(
    pack: ModuleType,
    table: web.RouteTableDef,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in [name for name in sys.modules if name.startswith("heliochrome.manual")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    with caplog.at_level(logging.INFO, "heliochrome"):
        pack.serve_manual()
    (line,) = caplog.records
    assert "pip install markdown-it-py" in line.getMessage()
    assert "markdown_it is missing" in line.getMessage()
    assert paths(table) == ["/queue"]
