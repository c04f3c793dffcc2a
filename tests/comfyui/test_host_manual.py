"""The manual on the host's own server, and the way there from help pages and notices."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from graphs import drop_in
from running_host import RunningHost, custom_nodes
from test_host_browser import shots as shots  # a fixture
from test_host_browser import visit

from heliochrome.core.notices import HELP

pytestmark = pytest.mark.comfyui

DOCS = custom_nodes() / "heliochrome" / "web" / "docs"
LINKS = sorted(
    {
        link
        for page in DOCS.rglob("*.md")
        for link in re.findall(r"\]\((/help[^)]*)\)", page.read_text("utf-8"))
    }
)


def test_the_manual_is_served_in_both_languages(host: RunningHost) -> None:
    for language, title in (("en", "Heliochrome manual"), ("zh", "Heliochrome 手册")):
        page = host.get(f"/help/{language}").decode()
        assert f'<html lang="{language}">' in page
        assert title in page
    assert b"size" in host.get("/help/en/search?q=size")
    assert b"prefers-color-scheme" in host.get("/help/manual.css")
    # The host puts each address below /api as well.
    assert host.get("/api/help/en/models") == host.get("/help/en/models")


def test_the_host_has_kept_its_own_pages(host: RunningHost) -> None:
    assert b"<html" in host.get("/")
    assert "HeliochromeColorize" in host.json("/object_info/HeliochromeColorize")


def test_what_is_not_there_is_not_found(host: RunningHost) -> None:
    for path in ("/help/en/no-such-page", "/help/en/..%2f..%2fREADME", "/help/pictures/x.png"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(host.url + path)
        assert refused.value.code == 404


def test_every_link_of_the_nodes_help_is_answered(host: RunningHost) -> None:
    assert len(LINKS) > 20
    for link in LINKS:
        address, _, anchor = link.partition("#")
        page = host.get(address).decode()
        assert not anchor or f'id="{anchor}"' in page


def test_a_notice_says_where_it_is_explained(host: RunningHost, photo: Path) -> None:
    run = host.run(drop_in(host.upload(photo), size=300))
    (notice,) = run.of("heliochrome.notice")
    assert notice["code"] == "size-snapped"
    page, _, anchor = notice["help"].partition("#")
    assert f'id="{anchor}"' in host.get(f"/help/zh/{page}").decode()


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_message_in_the_browser_ends_with_the_address(
    host: RunningHost, shots: Path, photo: Path, language: str
) -> None:
    toasts = visit(host, shots, photo, "preview", language)["toasts"]
    address = f"{host.url}/help/{language}/{HELP['preview']}"
    assert any(toast.strip().endswith(address) for toast in toasts), toasts
