"""Models by name, folder and address, against a real server and killed processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_diffusion
from heliochrome.core.download import Patience
from heliochrome.core.errors import (
    BadSetting,
    BadWeights,
    ModelNotFound,
)
from heliochrome.core.store import ModelStore, StoreSettings
from heliochrome.diffusion.layout import layout_of
from heliochrome.diffusion.manifest import MANIFEST
from heliochrome.diffusion.sources import find_diffusion_models, resolve
from model_server import ModelServer, running_server

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
    return f"{server.address}/{request.node.name.replace('[', '-').replace(']', '')}/my-model"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish(server: ModelServer, url: str, model: Path, **steps: dict[str, object]) -> None:
    base = url.removeprefix(server.address)
    for name, body in files(model).items():
        step = steps.get(name)
        server.serve(f"{base}/{name}", body, *([step, {}] if step else []))


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
        ("{tmp}/empty", BadWeights, "no model_index.json"),
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
