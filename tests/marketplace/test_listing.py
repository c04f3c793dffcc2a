"""The listing is built whole or not at all, and its guides can be opened, read and searched."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from marketplace_code import MARKETPLACE, chromium, user_guide
from PIL import Image

from heliochrome.manual import LANGUAGES, Manual
from heliochrome.version import __version__

pypdf = pytest.importorskip("pypdf")
import build_listing  # noqa: E402
import searchable  # noqa: E402

LOGO = (MARKETPLACE / "logo.svg").read_text("utf-8")
both = pytest.mark.parametrize("language", LANGUAGES)


class Document(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]


@both
def test_a_guide_is_whole_in_itself(language: str) -> None:
    found = Document(user_guide.document(Manual.read(), language, __version__, LOGO))
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    inside = [link for link in found.values("href") if not link.startswith("https://")]
    assert len(inside) > 100
    assert {link[1:] for link in inside if link[:1] == "#"} <= set(ids)
    assert [link for link in inside if link[:1] != "#"] == []
    assert all(source.startswith("data:image/") for source in found.values("src"))
    assert len(found.values("src")) >= 4, "pictures"
    policy = found.values("content")[0]
    assert "default-src 'none'" in policy and "http" not in policy


def test_look_alikes_become_what_is_meant() -> None:
    noted = "2 beginbfrange\n<01> <03> <2F63>\n<10> <11> <0041>\nendbfrange\n"
    noted += "2 beginbfchar\n<20> <2EDA>\n<21> <7528>\nendbfchar\n"
    found = searchable.plain(noted)
    assert re.findall(r"<(\w+)> <(\w+)>\n", found.partition("endbfrange")[2]) == [
        ("01", "751F"), ("02", "7528"), ("03", "7530"), ("20", "9875"), ("21", "7528"),
    ]  # fmt: skip
    assert found.startswith("1 beginbfrange\n<10> <11> <0041>\nendbfrange\n3 beginbfchar\n")
    with pytest.raises(searchable.UnknownRadical, match=r"U\+2E80"):
        searchable.plain("1 beginbfchar\n<01> <2E80>\nendbfchar\n")


def test_a_page_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_guide, "PAGES", ("index", "no-such-page"))
    with pytest.raises(KeyError, match="no-such-page"):
        user_guide.document(Manual.read(), "en", "1", LOGO)


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("chromium"):
        pytest.skip("chromium is missing: apt-get install chromium fonts-noto-cjk")
    out = tmp_path_factory.mktemp("built") / "deep/listing"
    assert build_listing.main([str(out)]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["listing"], "nothing is left beside it"
    return out


@pytest.mark.browser
def test_the_listing_has_all_that_the_service_names(listing: Path) -> None:
    for name in ("ros-template.yaml", "compute-nest.yaml", "logo.png", "product.en.md"):
        assert (listing / name).stat().st_size
    service = yaml.safe_load((listing / "compute-nest.yaml").read_text("utf-8"))["Service"]
    named = [info["Image"] for info in service["ServiceInfo"]]
    for config in service["DeployMetadata"]["TemplateConfigs"]:
        named += [config["Url"], config["ArchitectureDiagramUrl"]]
    assert [name for name in named if not (listing / name).is_file()] == []
    assert not (listing / "licences.md").exists()


@pytest.mark.browser
@both
def test_the_drawing_is_a_sharp_picture(listing: Path, language: str) -> None:
    picture = Image.open(listing / f"architecture.{language}.png").convert("L")
    assert picture.size == (2400, 1520)
    assert picture.getextrema()[0] < 64 and picture.getpixel((3, 3)) == 255


HEADINGS = {
    "en": "User guide|Contents|On the cloud marketplace|Quick start|First sign-in|The appliance",
    "zh": "使用指南|目录|云市场|快速上手|第一次登录|一体机",
}


@pytest.mark.browser
@both
def test_a_guide_can_be_opened_read_and_searched(listing: Path, language: str) -> None:
    reader = pypdf.PdfReader(listing / f"user-guide.{language}.pdf")
    pages = [page.extract_text() for page in reader.pages]
    assert len(pages) > 20
    text = "".join(pages)
    squeezed = re.sub(r"\s", "", text)
    # What a reader types is what is found: no look-alikes (radicals, ligatures).
    assert re.findall("[\u2e80-\u2fdf\ufb00-\ufb06]", text) == []
    for heading in HEADINGS[language].split("|"):
        assert re.sub(r"\s", "", heading) in squeezed, heading
    for page in (Manual.read().page(language, name) for name in user_guide.PAGES):
        assert page and re.sub(r"\s", "", page.title) in squeezed
    # Numbers on all pages but the title page.
    assert [index for index, page in enumerate(pages, 1) if str(index) not in page.split()] == [1]
    assert __version__ in pages[0]
    assert len(reader.outline) > 0
    images = sum(len(page.images) for page in reader.pages)
    assert images >= 2, "the pictures of the page"
    # Links lead within the document, or to the web; none to a file of this machine.
    addresses = [
        str(link.get_object()["/A"].get("/URI", ""))
        for page in reader.pages
        for link in page.get("/Annots", [])
        if "/A" in link.get_object()
    ]
    assert [one for one in addresses if one and not one.startswith("https://")] == []
    assert b"file://" not in (listing / f"user-guide.{language}.pdf").read_bytes()
    assert "file:///" not in text


class Visited(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012  # of one test

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Visited)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Visited.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.browser
def test_the_printer_fetches_nothing(stranger: str, tmp_path: Path) -> None:
    if not shutil.which("chromium"):
        pytest.skip("chromium is missing: apt-get install chromium")
    html = f'<link rel=stylesheet href="{stranger}/s.css"><img src="{stranger}/p.png">x'
    chromium.pdf(html, tmp_path / "a.pdf")
    svg = f'<svg viewBox="0 0 9 9"><image href="{stranger}/i.png"/></svg>'
    chromium.png(svg, tmp_path / "a.png", (9, 9))
    assert Visited.seen == []


def test_what_is_there_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    assert build_listing.main([str(tmp_path)]) == 1
    assert "Expected a name that is free" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--sbom", "x.json"], "--sbom and --root together"),
        (["--root", "/"], "--sbom and --root together"),
        (["--host", "/"], "--sbom and --root with --host"),
        (["--sbom", "x.json", "--root", "/nowhere"], "x.json cannot be read"),
        (["--sbom", "SBOM", "--root", "/nowhere"], "/nowhere has no var/lib/dpkg/status"),
    ],
)
def test_half_an_order_is_refused(
    tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"bomFormat": "CycloneDX", "components": []}')
    more = [str(sbom) if one == "SBOM" else one for one in more]
    assert build_listing.main([str(tmp_path / "out"), *more]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [sbom]


@pytest.mark.parametrize("program", ["no-such-browser", "false"])
def test_without_a_browser_nothing_is_left(
    tmp_path: Path,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CHROMIUM", program)
    assert build_listing.main([str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert ("Chromium is missing" if program != "false" else "logo.png was not made") in said
    assert list(tmp_path.iterdir()) == []


def test_what_the_seller_must_fill_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x SELLER_ONE, SELLER_TWO; SELLER_ONE")
    (tmp_path / "b.pdf").write_text("SELLER_THREE")
    assert build_listing.left_open(tmp_path) == {"a.md": ["SELLER_ONE", "SELLER_TWO"]}
