"""Models by name, folder and address, against a real server and killed processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_diffusion
from heliochrome.core.disk import CannotWrite
from heliochrome.core.download import Patience
from heliochrome.core.endpoints import Endpoints
from heliochrome.core.errors import (
    BadSetting,
    BadWeights,
    Cancelled,
    ChecksumMismatch,
    DownloadFailed,
    ModelNotFound,
)
from heliochrome.core.store import ModelStore, StoreSettings
from heliochrome.diffusion.layout import layout_of
from heliochrome.diffusion.manifest import MANIFEST
from heliochrome.diffusion.sources import content, digest, find_diffusion_models, resolve
from model_server import ModelServer, running_server
from tiny_diffusion_networks import Shape
from waiting import eventually

QUICK = Patience(first_wait_s=0.01, tries=3, stall_s=2)
UNET = "unet/openvino_model.bin"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.build(tmp_path_factory.mktemp("built") / "tiny")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore([tmp_path / "models"], tmp_path / "cache", StoreSettings(patience=QUICK))


@pytest.fixture
def url(server: ModelServer, request: pytest.FixtureRequest) -> str:
    own = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    return f"{server.address}/{own}/my-model"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish(server: ModelServer, url: str, model: Path, **steps: dict[str, object]) -> None:
    """steps: how a file is sent the first time, after the server was asked what it has."""
    base = url.removeprefix(server.address)
    for name, body in files(model).items():
        step = steps.get(name)
        server.serve(f"{base}/{name}", body, *([{}, step, {}] if step else []))


def asked(server: ModelServer, url: str) -> list[str]:
    base = url.removeprefix(server.address).lstrip("/")
    return [path.removeprefix(f"{base}/") for path, _ in server.requests if path.startswith(base)]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_names_are_those_of_folders_in_the_stores_order(
    model: Path, store: ModelStore, tmp_path: Path
):
    for folder in ("models/one", "cache/models/one", "cache/models/two", "models/.hidden"):
        shutil.copytree(model, tmp_path / folder)
    (tmp_path / "models/ddcolor_v2").mkdir()
    found = find_diffusion_models(store)
    assert found == {
        "one": tmp_path / "models/one",
        "two": tmp_path / "cache/models/two",
    }
    assert resolve(store, "two") == found["two"]
    assert resolve(store, str(model)) == model


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("nothing", ModelNotFound, "one"),
        ("", BadSetting, "Name a model"),
        ("a\0b", BadSetting, "Name a model"),
        ("~nosuchuser/x", BadSetting, "no home folder"),
        ("{tmp}/empty", ModelNotFound, "no model_index.json"),
        ("{tmp}/legacy", BadWeights, "heliochrome sd convert"),
        ("{tmp}/half", BadWeights, "unet/openvino_model.bin is missing"),
        ("{tmp}/list", BadWeights, "no JSON object"),
        ("{tmp}/ddcolor", BadWeights, "Heliochrome runs StableDiffusionPipeline"),
        ("ftp://host/model", BadSetting, "begins with https://"),
        ("https:///model", BadSetting, "names a host"),
        ("https://me:secret@host/model", BadSetting, "password"),
        ("https://host/model?X-Amz-Signature=1", BadSetting, "leave out"),
        ("https://host/a/../b", BadSetting, "without . or .."),
        ("https://host/a/%2e%2e/b", BadSetting, "without . or .."),
        ("https://[half/model", BadSetting, "not an address"),
        ("https://host/model", ModelNotFound, "heliochrome sd get https://host/model"),
        ("s3://bucket/model", ModelNotFound, "heliochrome sd get s3://bucket/model"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(
    model: Path, store: ModelStore, tmp_path: Path, name: str, error: type[Exception], says: str
):
    shutil.copytree(model, tmp_path / "models/one")
    shutil.copytree(model, tmp_path / "half")
    (tmp_path / "half" / UNET).unlink()
    for folder in ("empty", "legacy", "list", "ddcolor"):
        (tmp_path / folder).mkdir()
    for part in ("unet", "text_encoder", "vae_decoder"):
        (tmp_path / f"legacy/{part}.xml").touch()
    (tmp_path / "list/model_index.json").write_text("[]")
    (tmp_path / "ddcolor/model_index.json").write_text("{}")
    with pytest.raises(error) as caught:
        resolve(store, name.format(tmp=tmp_path))
    assert says in str(caught.value) and "secret" not in str(caught.value)


def test_an_address_is_fetched_once_and_whole(
    model: Path, store: ModelStore, server: ModelServer, url: str
):
    publish(server, url, model)
    seen: list[tuple[int, int]] = []
    folder = resolve(store, url, download=True, progress=lambda *at: seen.append(at))
    assert folder == store.folders[0] / "my-model" and visible(folder.parent) == ["my-model"]
    wanted, got = files(model), files(folder)
    manifest = json.loads(got.pop(MANIFEST))
    assert manifest["origin"] == url and set(manifest["files"]) == set(got)
    assert got.items() <= wanted.items() and set(
        layout_of(got["model_index.json"], "").required
    ) <= set(got)
    whole = sum(map(len, got.values()))
    first = seen[: seen.index((whole, whole)) + 1]
    assert [done for done, _ in first] == sorted(done for done, _ in first)
    assert {total for _, total in seen} == {whole}
    before = len(server.requests)
    assert resolve(store, url) == resolve(store, "my-model") == folder
    assert len(server.requests) == before


def test_the_bar_only_grows_and_ends_full(
    model: Path, store: ModelStore, server: ModelServer, url: str
):
    publish(server, url, model, **{UNET: {"cut_after": 3000}})
    seen: list[tuple[int, int]] = []
    resolve(store, url, download=True, progress=lambda *at: seen.append(at))
    arriving = seen[: seen.index((seen[0][1], seen[0][1])) + 1]
    assert arriving == sorted(arriving) and len(arriving) > 10


def test_optional_files_may_be_missing(
    store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    bare = tiny_diffusion.build(tmp_path / "bare", vae_encoder=False)
    for name in ("openvino_detokenizer.xml", "openvino_detokenizer.bin", "vocab.json"):
        (bare / "tokenizer" / name).unlink()
    publish(server, url, bare)
    folder = resolve(store, url, download=True)
    assert set(files(folder)) == {*files(bare), MANIFEST}


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        (UNET, None, f"it has no {UNET}"),
        (UNET, b"", f"it has no {UNET}"),
        ("model_index.json", None, "is not there"),
        ("model_index.json", b"{", "not the index of a model"),
        ("model_index.json", b"[" * 5000, "not the index of a model"),
        ("model_index.json", b" " * (1 << 21), "it has 2097152 bytes"),
        ("model_index.json", b'{"_class_name": "FluxPipeline"}', "is of a FluxPipeline"),
        ("unet/openvino_model.xml", b"<html>log in</html>", "web page"),
        ("unet/openvino_model.bin", b"version https://git-lfs.github.com/spec/v1", "LFS pointer"),
        (MANIFEST, b"{}", "format 1 expected"),
        (MANIFEST, b'{"format": 1, "origin": "x", "files": {}}', "1 to 200 files"),
    ],
)
def test_what_is_served_wrongly_is_refused_and_no_model_appears(
    model: Path,
    store: ModelStore,
    server: ModelServer,
    url: str,
    name: str,
    body: bytes | None,
    says: str,
):
    base = url.removeprefix(server.address)
    for other, content_ in files(model).items():
        if other != name:
            server.serve(f"{base}/{other}", content_)
    if body is not None:
        server.serve(f"{base}/{name}", body)
    with pytest.raises((DownloadFailed, BadWeights)) as caught:
        resolve(store, url, download=True)
    assert says in str(caught.value)
    assert not find_diffusion_models(store) and visible(store.folders[0]) == []


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "unet/../../outside",
        "/etc/outside",
        "a/b/c",
        "unet\\..\\outside",
        ".hidden",
        "unet/.hidden",
        "unet//x",
        "",
        "x\n",
        "heliochrome-model.json",
        "C:outside",
        "unet/\u202ebin",
    ],
)
def test_no_name_in_a_manifest_leads_out_of_the_folder(
    model: Path, store: ModelStore, server: ModelServer, url: str, tmp_path: Path, name: str
):
    publish(server, url, model)
    note = {"size": 4, "sha256": hashlib.sha256(b"evil").hexdigest()}
    manifest = {"format": 1, "origin": "x", "files": {name: note}}
    base = url.removeprefix(server.address)
    server.serve(f"{base}/{name}", b"evil")
    server.serve(f"{base}/{MANIFEST}", json.dumps(manifest).encode())
    before = set(tmp_path.parent.iterdir())
    with pytest.raises(BadWeights, match="not the name of a model's file"):
        resolve(store, url, download=True)
    assert set(tmp_path.parent.iterdir()) == before and visible(store.folders[0]) == []


def described(store: ModelStore, model: Path) -> dict[str, Any]:
    return content(store, model, "its maker").to_json()


def test_a_publishers_manifest_is_kept_to(
    model: Path, store: ModelStore, server: ModelServer, url: str
):
    publish(server, url, model)
    base = url.removeprefix(server.address)
    manifest = described(store, model)
    good = json.dumps(manifest).encode()
    manifest["files"][UNET]["sha256"] = "0" * 64
    server.serve(f"{base}/{MANIFEST}", json.dumps(manifest).encode())
    with pytest.raises(ChecksumMismatch, match=f"{MANIFEST} says 0000"):
        resolve(store, url, download=True)
    manifest["files"][UNET] = {"size": 1, "sha256": "0" * 64}
    server.serve(f"{base}/{MANIFEST}", json.dumps(manifest).encode())
    with pytest.raises(DownloadFailed, match="but the file has 1"):
        resolve(store, url, download=True)
    assert not find_diffusion_models(store)
    server.serve(f"{base}/{MANIFEST}", good)
    folder = resolve(store, url, download=True)
    assert files(folder).items() >= files(model).items()
    assert digest(store, folder) == digest(store, model)


def test_a_changed_file_is_told_when_the_model_is_asked_for(
    model: Path, store: ModelStore, server: ModelServer, url: str
):
    publish(server, url, model)
    folder = resolve(store, url, download=True)
    good = (folder / UNET).read_bytes()
    for bad in (good[:-1], bytes([good[0] ^ 1]) + good[1:]):
        (folder / UNET).write_bytes(bad)
        for name in ("my-model", url):
            with pytest.raises(ChecksumMismatch, match=UNET):
                resolve(store, name)
        if len(bad) == len(good):
            assert resolve(store, "my-model", thorough=False) == folder
        else:
            with pytest.raises(ChecksumMismatch, match=UNET):
                resolve(store, "my-model", thorough=False)
    (folder / UNET).unlink()
    with pytest.raises(BadWeights, match=f"{UNET} is missing"):
        resolve(store, "my-model")
    (folder / UNET).write_bytes(good)
    assert resolve(store, "my-model") == folder


def test_what_an_address_gave_first_is_remembered(
    model: Path, store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    publish(server, url, model)
    folder = resolve(store, url, download=True)
    shutil.rmtree(folder)
    publish(server, url, tiny_diffusion.build(tmp_path / "other", seed=1))
    with pytest.raises(ChecksumMismatch, match=r"this machine's record of .* --accept-change"):
        resolve(store, url, download=True)
    assert not find_diffusion_models(store)
    assert resolve(store, url, download=True, accept_change=True) == folder
    assert (folder / UNET).read_bytes() == (tmp_path / "other" / UNET).read_bytes()


def test_two_addresses_with_one_name_are_two_models(
    model: Path, store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    other = tiny_diffusion.build(tmp_path / "other", seed=1)
    for address, source in ((f"{url}/one/sd", model), (f"{url}/two/sd", other)):
        publish(server, address, source)
    first, second = (resolve(store, f"{url}/{n}/sd/", download=True) for n in ("one", "two"))
    assert first.name == "sd" and second.name.startswith("sd-") and len(second.name) == 11
    assert (first / UNET).read_bytes() == (model / UNET).read_bytes()
    assert (second / UNET).read_bytes() == (other / UNET).read_bytes()
    assert resolve(store, f"{url}/two/sd") == second


BRING = (
    "import sys; from pathlib import Path; from heliochrome.core.store import ModelStore\n"
    "from heliochrome.diffusion.sources import resolve\n"
    "folder, cache, url = sys.argv[1:]\n"
    "store = ModelStore([Path(folder)], Path(cache))\n"
    "print(resolve(store, url, download=True))"
)


def bring(store: ModelStore, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BRING, str(store.folders[0]), str(store.cache), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_download_goes_on_where_it_was(
    store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    # Some blocks long: the network's own buffer holds the first 64 kB back.
    wide = Shape(channels=(24, 48, 64, 64), context=32)
    model = tiny_diffusion.build(tmp_path / "wide", shape=wide)
    whole = (model / UNET).read_bytes()
    publish(server, url, model, **{UNET: {"stall_after": len(whole) // 2}})
    hidden = store.folders[0].glob
    with bring(store, url) as process:
        assert eventually(
            lambda: any(part.stat().st_size for part in hidden(".*/unet/*.part")), limit_s=30
        )
        process.kill()
    assert not find_diffusion_models(store) and visible(store.folders[0]) == []
    before = len(server.requests)
    folder = resolve(store, url, download=True)
    again = [(path, span) for path, span in server.requests[before:] if path.endswith(UNET)]
    assert any(len(span or "") > len("bytes=0-") for _, span in again)
    assert files(folder).items() >= files(model).items()
    assert [path.name for path in store.folders[0].iterdir() if "part" in path.name] == []


def test_a_model_that_changes_between_two_runs_is_not_mixed(
    model: Path, store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Cancelled("stopped")

    publish(server, url, model)
    with pytest.raises(Cancelled):
        resolve(store, url, download=True, progress=stop)
    other = tiny_diffusion.build(tmp_path / "other", seed=1, vae_encoder=False)
    base = url.removeprefix(server.address)
    for name in files(model):
        server.serve(f"{base}/{name}", b"", {"status": 404})
    for name, body in files(other).items():
        server.serve(f"{base}/{name}", body, {"etag": '"two"'})
    folder = resolve(store, url, download=True)
    got = files(folder)
    del got[MANIFEST]
    assert got == {name: body for name, body in files(other).items() if name in got}
    assert "vae_encoder/config.json" not in got


def test_two_processes_bring_it_once(model: Path, store: ModelStore, server: ModelServer, url: str):
    publish(server, url, model)
    with bring(store, url) as one, bring(store, url) as two:
        told = [process.communicate()[0].strip() for process in (one, two)]
    assert told == [str(store.folders[0] / "my-model")] * 2
    assert asked(server, url).count(UNET) == 2  # looked at, and fetched


def test_cancelling_and_offline_and_plain_http(
    model: Path, store: ModelStore, server: ModelServer, url: str, tmp_path: Path
):
    publish(server, url, model)

    def cancel() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        resolve(store, url, download=True, cancel=cancel)
    offline = ModelStore(store.folders, store.cache, StoreSettings(offline=True))
    before = len(server.requests)
    with pytest.raises(ModelNotFound, match="HELIOCHROME_OFFLINE"):
        resolve(offline, url, download=True)
    assert len(server.requests) == before
    with pytest.raises(DownloadFailed, match="plain http"):
        resolve(store, "http://example.invalid/model", download=True)
    resolve(store, url, download=True)
    assert resolve(offline, url, download=True).name == "my-model"


def test_want_of_room_is_told_before_anything_large_arrives(
    model: Path, store: ModelStore, server: ModelServer, url: str
):
    publish(server, url, model)
    manifest = described(store, model)
    manifest["files"][UNET]["size"] = 10**18
    base = url.removeprefix(server.address)
    server.serve(f"{base}/{MANIFEST}", json.dumps(manifest).encode())
    with pytest.raises(CannotWrite, match="has only"):
        resolve(store, url, download=True)
    assert UNET not in asked(server, url)


def test_a_page_at_hugging_face_is_fetched_from_the_mirror(
    model: Path, store: ModelStore, server: ModelServer, tmp_path: Path
):
    settings = StoreSettings(endpoints=Endpoints(huggingface=server.address), patience=QUICK)
    mirrored = ModelStore(store.folders, store.cache, settings)
    publish(server, f"{server.address}/OpenVINO/sd-ov/resolve/main", model)
    publish(server, f"{server.address}/OpenVINO/sd-ov/resolve/v2", model)
    page = "https://huggingface.co/OpenVINO/sd-ov"
    assert resolve(mirrored, page, download=True).name == "sd-ov"
    assert resolve(mirrored, page + "/tree/v2", download=True).name.startswith("sd-ov-")


def test_models_on_a_disk_that_cannot_be_written_are_used(model: Path, tmp_path: Path):
    """An EFS mount, a function without HOME."""
    store = ModelStore([model.parent], tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert resolve(store, "tiny") == model
    assert len(digest(store, model)) == 64
