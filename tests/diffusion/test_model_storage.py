"""Models in S3 and OSS, against moto's server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tiny_diffusion
from heliochrome.core.download import Patience
from heliochrome.core.errors import BadSetting, DownloadFailed, ModelNotFound
from heliochrome.core.object_stores import hides_absence, is_safe, open_store
from heliochrome.core.store import ModelStore, StoreSettings
from heliochrome.diffusion.manifest import MANIFEST
from heliochrome.diffusion.sources import content, find_diffusion_models, resolve
from model_server import running_server

# The stand-in for S3 is shared with the handlers' tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "handlers"))
from object_storage import CREDENTIALS, ObjectStorage, running_storage

QUICK = Patience(first_wait_s=0.01, tries=2, stall_s=5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.build(tmp_path_factory.mktemp("built") / "tiny")


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    pytest.importorskip("moto.server", reason="the S3 stand-in: pip install 'moto[server]'")
    with running_storage() as found:
        found.bucket("models")
        yield found


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore([tmp_path / "models"], tmp_path / "cache", StoreSettings(patience=QUICK))


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "OSS_ENDPOINT", "OSS_REGION", "FC_REGION"):
        monkeypatch.delenv(name, raising=False)


def use(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def upload(storage: ObjectStorage, prefix: str, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            storage.put("models", f"{prefix}/{name}", path.read_bytes())


def same(folder: Path, other: Path) -> bool:
    """Whether every file that came is the published one, and the UNet came."""
    names = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    ]
    alike = all((folder / name).read_bytes() == (other / name).read_bytes() for name in names)
    return alike and Path("unet/openvino_model.bin") in names


def test_a_model_below_a_prefix_in_s3(
    storage: ObjectStorage, store: ModelStore, model: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, storage.environ)
    upload(storage, "sd/tiny", model)
    storage.put("models", "sd/tiny/", b"")  # what consoles make of a folder
    for number in range(40):  # nothing is listed, so what else is there does not matter
        storage.put("models", f"sd/tiny/logs/{number}", b"x")
    folder = resolve(store, "s3://models/sd/tiny", download=True)
    assert folder == store.folders[0] / "tiny" and same(folder, model)
    storage.client.delete_object(Bucket="models", Key="sd/tiny/model_index.json")
    assert resolve(store, "s3://models/sd/tiny") == folder
    offline = ModelStore(store.folders, store.cache, StoreSettings(offline=True))
    assert resolve(offline, "s3://models/sd/tiny/") == folder


def test_keys_in_a_bucket_lead_nowhere_else(
    storage: ObjectStorage,
    store: ModelStore,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    use(monkeypatch, storage.environ)
    upload(storage, "evil", model)
    for key in ("../outside", "unet/../../outside", "/outside", "unet/openvino_model.xml/../x"):
        storage.put("models", f"evil/{key}", b"evil")
    folder = resolve(store, "s3://models/evil", download=True)
    assert same(folder, model)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("outside", "x")]


def test_a_whole_bucket_is_a_model_with_a_manifest(
    storage: ObjectStorage, store: ModelStore, model: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, storage.environ)
    storage.bucket("whole-model")
    for path in model.rglob("*"):
        if path.is_file():
            name = path.relative_to(model).as_posix()
            storage.put("whole-model", name, path.read_bytes())
    manifest = content(store, model, "its maker")
    storage.put("whole-model", MANIFEST, json.dumps(manifest.to_json()).encode())
    folder = resolve(store, "s3://whole-model", download=True)
    assert folder.name == "whole-model" and same(folder, model)


def test_a_model_in_oss(
    storage: ObjectStorage, store: ModelStore, model: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in storage.environ:
        monkeypatch.delenv(name, raising=False)
    use(
        monkeypatch,
        {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "testing",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testing",
            "OSS_ENDPOINT": storage.environ["AWS_ENDPOINT_URL"],
        },
    )
    upload(storage, "in-oss", model)
    folder = resolve(store, "oss://models/in-oss", download=True)
    assert folder.name == "in-oss" and same(folder, model)


@pytest.mark.parametrize(
    "url", ["s3://models/nothing/here", "s3://no-such-bucket/tiny", "s3://models"]
)
def test_what_is_not_there_is_told(
    storage: ObjectStorage, store: ModelStore, monkeypatch: pytest.MonkeyPatch, url: str
):
    use(monkeypatch, storage.environ)
    with pytest.raises(DownloadFailed, match="is not there, or may not be read") as caught:
        resolve(store, url, download=True)
    assert url in str(caught.value)
    assert not find_diffusion_models(store)
    with pytest.raises(ModelNotFound, match="heliochrome sd get"):
        resolve(store, url)


def test_whoever_may_read_but_not_list_gets_the_model(
    store: ModelStore, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """S3 then answers 403 for what is not there."""
    plain = tiny_diffusion.build(tmp_path / "plain", vae_encoder=False)
    with running_server() as server:
        use(monkeypatch, {**CREDENTIALS, "AWS_ENDPOINT_URL": server.address})
        published = {
            path.relative_to(plain).as_posix(): path.read_bytes()
            for path in plain.rglob("*")
            if path.is_file()
        }
        for name in ("vae_encoder/config.json", "vae_encoder/openvino_model.xml", MANIFEST):
            server.serve(f"bucket/sd/{name}", b"", {"status": 403})
        for name in ("vae_encoder/openvino_model.bin", "tokenizer/tokenizer_config.json"):
            server.serve(f"bucket/sd/{name}", b"", {"status": 403})
        for name, body in published.items():
            server.serve(f"bucket/sd/{name}", body)
        folder = resolve(store, "s3://bucket/sd", download=True)
        assert same(folder, plain) and not (folder / "vae_encoder").exists()
        server.serve("bucket/other/model_index.json", b"", {"status": 403})
        with pytest.raises(DownloadFailed, match="may not be read"):
            resolve(store, "s3://bucket/other", download=True)


@pytest.mark.parametrize(
    ("address", "environ", "safe"),
    [
        ("https://host/model", {}, True),
        ("http://host/model", {}, False),
        ("HTTP://host/model", {}, False),
        ("HTTPS://host/model", {}, True),
        ("s3://bucket/model", {"AWS_ENDPOINT_URL": "HTTP://minio:9000"}, False),
        ("http://127.0.0.1/model", {}, True),
        ("http://localhost:9000/model", {}, True),
        ("http://localhost.evil.example/model", {}, False),
        ("s3://bucket/model", {}, True),
        ("s3://bucket/model", {"AWS_ENDPOINT_URL": "http://minio:9000"}, False),
        ("s3://bucket/model", {"AWS_ENDPOINT_URL": "https://minio:9000"}, True),
        ("s3://bucket/model", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, True),
        ("oss://bucket/model", {"OSS_REGION": "cn-hangzhou"}, True),
        ("oss://bucket/model", {"FC_REGION": "cn-hangzhou"}, True),
    ],
)
def test_only_what_nobody_can_change_on_the_way_is_safe(
    address: str, environ: dict[str, str], safe: bool
):
    assert is_safe(address, environ) is safe
    assert hides_absence(address) is (not address.lower().startswith("http"))


@pytest.mark.parametrize(
    ("address", "name", "value"),
    [
        (address, name, value)
        for address, name in (
            ("s3://bucket/model", "AWS_ENDPOINT_URL"),
            ("s3://bucket/model", "AWS_ENDPOINT_URL_S3"),
            ("oss://bucket/model", "OSS_ENDPOINT"),
        )
        for value in (
            "http://[bad",
            "https://[bad",
            "https://host:x",
            "https://",
            "ftp://host",
            "s3.oss-cn-hangzhou-internal.aliyuncs.com",
            "minio:9000",
        )
    ],
)
def test_an_endpoint_that_is_no_address_is_told_at_once(
    address: str, name: str, value: str, store: ModelStore, monkeypatch: pytest.MonkeyPatch
):
    environ = {"OSS_REGION": "cn-hangzhou", name: value}
    with pytest.raises(BadSetting, match=name):
        open_store(address, 1, environ)
    with pytest.raises(BadSetting, match=name):
        is_safe(address, environ)
    use(monkeypatch, environ)
    with pytest.raises(BadSetting, match=name):
        resolve(store, address, download=True)


def test_oss_needs_a_region_and_names_the_bucket_in_the_host():
    with pytest.raises(BadSetting, match="OSS_REGION"):
        open_store("oss://bucket/model", 1, {})
    for environ, host in (
        ({"OSS_REGION": "cn-hangzhou"}, "https://bucket.s3.oss-cn-hangzhou.aliyuncs.com"),
        (
            {
                "FC_REGION": "cn-beijing",
                "OSS_ENDPOINT": "https://s3.oss-cn-beijing-internal.aliyuncs.com",
            },
            "https://bucket.s3.oss-cn-beijing-internal.aliyuncs.com",
        ),
    ):
        config: Any = open_store("oss://bucket/model", 1, environ).config
        assert config["endpoint"] == host and config["virtual_hosted_style_request"] in (
            True,
            "true",
        )
