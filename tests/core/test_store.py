"""The store: where it looks and writes, what it trusts, what it refuses."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heliochrome.core.catalog import Catalog, parse_catalog
from heliochrome.core.disk import CannotWrite
from heliochrome.core.download import Patience
from heliochrome.core.endpoints import Endpoints
from heliochrome.core.errors import (
    BadSetting,
    BadWeights,
    ChecksumMismatch,
    DownloadFailed,
    ModelNotFound,
)
from heliochrome.core.store import ModelStore, StoreSettings
from model_server import ONE, ModelServer, archive, running_server

BODY = archive(2 * ONE)
SHA = hashlib.sha256(BODY).hexdigest()
OTHER = archive(2 * ONE, seed=1)
QUICK = Patience(first_wait_s=0.01, tries=2, stall_s=2)

# The server's paths of the made-up catalogue below.
SURE = "o/sure/resolve/r/w.onnx"
FIRST = "o/first/resolve/r/w.onnx"
BACKUP = "models/o/first/resolve/r/w.bin"


def source(host: str, repo: str, file: str, **more: Any) -> dict[str, Any]:
    return {
        "host": host,
        "repo": repo,
        "revision": "r",
        "file": file,
        "checked_against": "made up",
        **more,
    }


def catalogue(sha: str = SHA, size: int = len(BODY)) -> Catalog:
    """`sure` has a published digest; `first` has none, and two sources."""
    model = {"title": "T", "licence": "Apache-2.0"}
    sure = source("huggingface", "o/sure", "w.onnx", sha256=sha, size=size)
    first = [source("huggingface", "o/first", "w.onnx"), source("modelscope", "o/first", "w.bin")]
    models = [
        {"id": "sure", "sources": [sure], **model},
        {"id": "first", "sources": first, **model},
    ]
    return parse_catalog(json.dumps({"format": 1, "models": models}), origin="test")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


def store_at(
    cache: Path, address: str = "http://127.0.0.1:9", *folders: Path, **more: Any
) -> ModelStore:
    settings = StoreSettings(
        offline=more.pop("offline", False), endpoints=Endpoints(address, address), patience=QUICK
    )
    return ModelStore(folders, cache, settings, more.pop("catalog", None) or catalogue())


# --- finding -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "sure.safetensors",
        "sure.pth",
        "sure.pt",
        "sure.bin",
        "sure.onnx",
        "sure/pytorch_model.bin",
        "sure/pytorch_model.pt",
        "sure/model.safetensors",
        "sure/model.onnx",
    ],
)
def test_found_by_name(tmp_path: Path, name: str):
    file = tmp_path / "folder" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(BODY)
    assert (
        store_at(tmp_path / "cache", "http://127.0.0.1:9", tmp_path / "folder").find("sure") == file
    )


def test_folders_are_searched_in_order_and_the_cache_last(tmp_path: Path):
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "cache" / "models"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "sure.bin").write_bytes(BODY)
    store = store_at(tmp_path / "cache", "http://127.0.0.1:9", *folders[:2])
    for folder in folders:
        assert store.find("sure").parent == folder
        (folder / "sure.bin").unlink()
    with pytest.raises(ModelNotFound) as caught:
        store.find("sure")
    message = str(caught.value)
    assert all(str(folder) in message for folder in folders)
    assert "`heliochrome models get sure`" in message


def test_environment(tmp_path: Path):
    (tmp_path / "catalog.json").write_text('{"format": 2, "models": []}')
    environ = {
        "HELIOCHROME_MODELS": f"{tmp_path / 'a'}{os.pathsep}{os.pathsep}{tmp_path / 'b'}",
        "HELIOCHROME_CACHE": str(tmp_path / "c"),
        "HELIOCHROME_OFFLINE": "1",
        "HF_ENDPOINT": "https://mirror.example",
        "HELIOCHROME_MODELSCOPE_ENDPOINT": "https://scope.example/base",
    }
    store = ModelStore.from_environ(environ, extra_folders=[tmp_path / "comfy"])
    assert store.folders == tuple(tmp_path / name for name in ("a", "b", "comfy", "c/models"))
    assert store.settings.offline
    assert store.settings.endpoints == Endpoints(
        "https://mirror.example", "https://scope.example/base"
    )
    own = ModelStore.from_environ({**environ, "HELIOCHROME_HF_ENDPOINT": "https://own.example"})
    assert own.settings.endpoints.huggingface == "https://own.example"
    plain = ModelStore.from_environ({"HELIOCHROME_OFFLINE": "0"})
    assert not plain.settings.offline and plain.settings.endpoints == Endpoints()
    for name, value in (
        ("HF_ENDPOINT", "hf-mirror.com"),
        ("HELIOCHROME_MODELSCOPE_ENDPOINT", "ftp://x"),
        ("HELIOCHROME_CATALOG", str(tmp_path / "catalog.json")),
    ):
        with pytest.raises(BadSetting, match=r"endpoint|ENDPOINT|format must be 1"):
            ModelStore.from_environ({name: value})

    for name in ("HELIOCHROME_MODELS", "HELIOCHROME_CACHE", "HELIOCHROME_CATALOG"):
        with pytest.raises(BadSetting, match="no home folder"):
            ModelStore.from_environ({name: "~nosuchuser/x"})


# --- downloading -------------------------------------------------------------------------


def test_get_downloads_once_and_verifies(server: ModelServer, tmp_path: Path):
    server.serve(SURE, BODY)
    store = store_at(tmp_path, server.address)
    path = store.get("sure")
    assert path == tmp_path / "models" / "sure.onnx" and path.read_bytes() == BODY
    assert store.get("sure") == path and len(server.requests) == 1
    assert store.verify("sure").state == "catalogue"


def test_the_next_source_is_tried_and_every_reason_told(server: ModelServer, tmp_path: Path):
    server.serve(FIRST, BODY, {"html": True})
    server.serve(BACKUP, BODY, {"status": 404})
    store = store_at(tmp_path, server.address)
    with pytest.raises(DownloadFailed) as caught:
        store.get("first")
    message = str(caught.value)
    assert f"{server.address}/{FIRST}: the server sent a web page" in message
    assert f"{server.address}/{BACKUP}: the server answered 404" in message
    assert "models import first FILE" in message

    server.serve(BACKUP, OTHER)
    assert store.get("first").name == "first.bin"


def test_parts_of_a_source_that_failed_are_swept_when_another_succeeds(
    server: ModelServer, tmp_path: Path
):
    server.serve(FIRST, BODY, {"cut_after": ONE}, {"status": 404})
    server.serve(BACKUP, OTHER)
    store_at(tmp_path, server.address).get("first")
    names = {file.name for file in (tmp_path / "models").iterdir()} - {".first.lock"}
    assert names == {"first.bin"}


def test_an_unreachable_host_is_not_asked_for_its_other_files(tmp_path: Path):
    both = parse_catalog(
        json.dumps(
            {
                "format": 1,
                "models": [
                    {
                        "id": "m",
                        "title": "T",
                        "licence": "L",
                        "sources": [
                            source("huggingface", "o/m", "w.onnx"),
                            source("huggingface", "o/m", "w.bin"),
                            source("modelscope", "o/m", "w.pt"),
                        ],
                    }
                ],
            }
        ),
        origin="test",
    )
    with pytest.raises(DownloadFailed) as caught:
        store_at(tmp_path, catalog=both).get("m")
    assert str(caught.value).count("refused") == 2
    assert "w.bin" not in str(caught.value)


def test_wrong_content_is_refused_and_nothing_loadable_stays(server: ModelServer, tmp_path: Path):
    server.serve(SURE, OTHER)
    store = store_at(tmp_path, server.address, catalog=catalogue(size=len(OTHER)))
    with pytest.raises(ChecksumMismatch, match=SHA):
        store.get("sure")
    assert [file.name for file in (tmp_path / "models").iterdir()] == [".sure.lock"]


def test_the_official_file_of_another_model_is_refused(server: ModelServer, tmp_path: Path):
    server.serve(FIRST, BODY)
    server.serve(BACKUP, OTHER, {"status": 404})
    with pytest.raises(ChecksumMismatch, match="official file of sure, not of first"):
        store_at(tmp_path, server.address).get("first")
    assert not list((tmp_path / "models").glob("first.onnx"))


def test_first_use_is_recorded_and_enforced(server: ModelServer, tmp_path: Path):
    server.serve(FIRST, OTHER)
    store = store_at(tmp_path, server.address)
    path = store.get("first")
    outcome = store.verify("first")
    assert outcome.state == "first-use" and "Nobody has published" in outcome.text
    assert f"{server.address}/{FIRST}" in outcome.text

    path.unlink()
    server.serve(FIRST, archive(2 * ONE, seed=7), {"etag": '"two"'})
    server.serve(BACKUP, BODY, {"status": 404})
    with pytest.raises(ChecksumMismatch, match="this machine's record of 20"):
        store_at(tmp_path, server.address).get("first")  # a new process would read the record
    assert not path.exists()


def test_offline_opens_no_connection(server: ModelServer, tmp_path: Path):
    server.serve(SURE, BODY)
    with pytest.raises(ModelNotFound, match=r"HELIOCHROME_OFFLINE is set.*models import sure FILE"):
        store_at(tmp_path, server.address, offline=True).get("sure")
    assert server.requests == []
    path = store_at(tmp_path, server.address).get("sure")
    assert len(server.requests) == 1
    assert store_at(tmp_path, server.address, offline=True).get("sure") == path


def test_plain_http_needs_loopback_or_a_digest(tmp_path: Path):
    far = Endpoints("http://models.invalid", "http://models.invalid")
    sure, first = catalogue()["sure"].sources[0], catalogue()["first"].sources[0]
    assert far.of(sure) == "http://models.invalid"
    with pytest.raises(DownloadFailed, match="not fetched over plain http"):
        far.of(first)
    for near in ("http://localhost:1", "http://127.0.0.9", "http://[::1]:80", "https://x.invalid"):
        assert Endpoints(near).of(first) == near


def test_two_processes_at_once_download_once(server: ModelServer, tmp_path: Path):
    server.serve(SURE, BODY, {"pace": 4 * ONE})
    (tmp_path / "catalog.json").write_text(
        json.dumps(
            {
                "format": 1,
                "models": [
                    {
                        "id": "sure",
                        "title": "T",
                        "licence": "L",
                        "sources": [source("huggingface", "o/sure", "w.onnx", sha256=SHA)],
                    }
                ],
            }
        )
    )
    environ = os.environ | {
        "HELIOCHROME_CACHE": str(tmp_path / "cache"),
        "HELIOCHROME_CATALOG": str(tmp_path / "catalog.json"),
        "HELIOCHROME_HF_ENDPOINT": server.address,
    }
    code = "from heliochrome.core import store; print(store.ModelStore.from_environ().get('sure'))"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    printed = {process.communicate(timeout=20)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(printed) == 1
    assert Path(printed.pop()).read_bytes() == BODY
    assert len([path for path, _ in server.requests if path == SURE]) == 1


# --- folders that cannot be written ------------------------------------------------------


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of an ordinary user, and the process acting as one: root may write anywhere."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no POSIX users")
    import filelock  # noqa: F401  (modules cannot be read any more once the user has changed)
    import obstore.exceptions
    import obstore.store  # noqa: F401

    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def test_read_only_folders_are_used_but_never_written(server: ModelServer, unprivileged: Path):
    server.serve(FIRST, OTHER)
    locked, free = unprivileged / "locked", unprivileged / "free"
    locked.mkdir()
    (locked / "sure.onnx").write_bytes(BODY)
    before = sorted(locked.iterdir())
    locked.chmod(0o555)
    try:
        store = store_at(unprivileged / "cache", server.address, locked, free)
        assert store.get("sure") == locked / "sure.onnx"
        assert store.verify("sure").state == "catalogue"
        assert store.download_folder() == free
        assert store.get("first") == free / "first.onnx"
        assert sorted(locked.iterdir()) == before
        locked_in = store_at(locked / "cache", server.address, locked)
        with pytest.raises(CannotWrite, match="None of these folders can be written"):
            locked_in.get("first")
        assert locked_in.sha256(locked / "sure.onnx") == SHA  # no memory, but no failure either
    finally:
        locked.chmod(0o755)


# --- digests -----------------------------------------------------------------------------


def test_verify_reads_the_file_again_and_sees_damage(tmp_path: Path):
    store = store_at(tmp_path, "http://127.0.0.1:9", tmp_path / "f")
    (tmp_path / "f").mkdir()
    path = tmp_path / "f" / "sure.onnx"
    path.write_bytes(BODY)
    times = path.stat()
    assert store.verify("sure").ok and store.status()[0].state == "catalogue"
    with path.open("r+b") as file:  # one bit, and the clock set back: only reading it shows it
        file.seek(ONE)
        byte = file.read(1)[0]
        file.seek(ONE)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.sha256(path) == SHA  # remembered
    outcome = store.verify("sure")
    assert outcome.state == "mismatch" and "models get sure" in outcome.text
    assert store.status()[0].state == "mismatch"
    with pytest.raises(ChecksumMismatch):
        store.get("sure")


def test_digest_is_remembered_until_the_file_changes(tmp_path: Path):
    store = store_at(tmp_path)
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    first = store.sha256(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    remembered = json.loads((tmp_path / "digests.json").read_text())
    assert remembered[str(path)]["sha256"] == first
    path.write_bytes(b"twoo")
    assert store.sha256(path) == hashlib.sha256(b"twoo").hexdigest()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_memory_is_rebuilt(tmp_path: Path, damage: bytes):
    (tmp_path / "digests.json").write_bytes(damage)
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    assert store_at(tmp_path).sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert str(path) in json.loads((tmp_path / "digests.json").read_text())


USE = {"sha256": hashlib.sha256(OTHER).hexdigest(), "seen": "2024-05-06", "origin": "a disk"}


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        (USE, "first-use"),
        (USE | {"from_the_future": 1}, "first-use"),
        (USE | {"seen": None}, "first-use"),
        ({"sha256": USE["sha256"]}, "first-use"),
        (USE | {"sha256": SHA}, "mismatch"),
        (USE | {"sha256": SHA, "from_the_future": 1}, "mismatch"),
        (USE | {"sha256": 7}, "recorded"),
        (USE | {"sha256": "short"}, "recorded"),
        ({}, "recorded"),
        (["x"], "recorded"),
        ("x", "recorded"),
    ],
)
def test_a_foreign_record_is_used_and_a_damaged_one_ignored(
    tmp_path: Path, entry: object, state: str, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "first.onnx").write_bytes(OTHER)
    (tmp_path / "first_use.json").write_text(json.dumps({"first.onnx": entry}))
    store = store_at(tmp_path)
    assert store.status()[1].state == "unchecked"
    assert store.verify("first").state == state
    assert ("first.onnx is damaged and ignored" in caplog.text) == (state == "recorded")


def test_a_damaged_digest_is_computed_again(tmp_path: Path):
    store = store_at(tmp_path)
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    digest = store.sha256(path)
    memory = json.loads((tmp_path / "digests.json").read_text())
    for damage in (None, 5, "", digest.upper()):
        memory[str(path)]["sha256"] = damage
        (tmp_path / "digests.json").write_text(json.dumps(memory))
        assert store.sha256(path) == digest


def test_only_a_published_file_is_official(tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "first.onnx").write_bytes(OTHER)
    (tmp_path / "models" / "sure.onnx").write_bytes(BODY)
    store = store_at(tmp_path)
    assert store.verify("sure").official
    for state in ("recorded", "first-use"):
        outcome = store.verify("first")
        assert (outcome.state, outcome.ok, outcome.official) == (state, True, False)


def test_a_file_put_here_by_hand_is_recorded_by_verify(tmp_path: Path):
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "first.onnx"
    path.write_bytes(OTHER)
    store = store_at(tmp_path)
    assert {s.spec.id: s.state for s in store.status()} == {"sure": "missing", "first": "unchecked"}
    assert store.verify("first").state == "recorded"
    assert store.verify("first").state == "first-use"
    path.write_bytes(BODY[:-1] + b"x")
    changed = store.verify("first")
    assert changed.state == "mismatch" and "models import first" in changed.text


def test_status_of_missing_models_gives_size_and_command(tmp_path: Path):
    sure, first = store_at(tmp_path).status()
    assert (sure.state, sure.size, sure.advice) == (
        "missing",
        len(BODY),
        "heliochrome models get sure",
    )
    assert first.size is None


# --- importing ---------------------------------------------------------------------------


def test_import_copies_and_leaves_the_original(tmp_path: Path):
    original = tmp_path / "Downloads" / "my model.ONNX"
    original.parent.mkdir()
    original.write_bytes(BODY)
    store = store_at(tmp_path / "cache")
    store.download_folder()
    left = tmp_path / "cache" / "models" / ".sure.0123456789abcdef.heliochrome-part.onnx"
    left.write_bytes(b"of a killed import")
    mask = os.umask(0o022)
    path = store.import_file(original, "sure")
    os.umask(mask)
    assert path == tmp_path / "cache" / "models" / "sure.onnx" and not left.exists()
    assert path.read_bytes() == BODY == original.read_bytes()
    assert store.check("sure", path).state == "catalogue"
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o644


def test_importing_again_replaces_the_record(tmp_path: Path):
    store = store_at(tmp_path / "cache")
    for body in (OTHER, archive(ONE, seed=3)):
        (tmp_path / "w.onnx").write_bytes(body)
        store.import_file(tmp_path / "w.onnx", "first")
        assert store.verify("first").state == "first-use"
    store.import_file(store.find("first"), "first")  # the stored file itself
    assert store.verify("first").state == "first-use"


@pytest.mark.parametrize(
    ("name", "body", "model", "error", "message"),
    [
        ("none.bin", None, "sure", BadWeights, "is not a file"),
        ("w.txt", BODY, "sure", BadWeights, "does not end in .safetensors"),
        ("w.onnx", b"", "sure", BadWeights, "is empty"),
        ("w.onnx", b"\n <!DOCTYPE html><html>", "sure", BadWeights, "is a web page"),
        ("w.pth", b"<html><body>login", "sure", BadWeights, "is a web page"),
        ("w.pth", b'{"error":"Invalid credentials"}', "sure", BadWeights, "is a web page"),
        (
            "w.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n",
            "sure",
            BadWeights,
            "Git LFS pointer.*git lfs pull",
        ),
        ("w.pth", BODY[:-100], "sure", BadWeights, "incomplete"),
        ("w.onnx", OTHER, "sure", ChecksumMismatch, f"catalogue says {SHA}.*models get sure"),
        ("w.onnx", BODY, "first", ChecksumMismatch, "official file of sure, not of first"),
        ("w.onnx", BODY, "third", ModelNotFound, "no model called 'third'"),
    ],
)
def test_import_refusals_leave_nothing(
    tmp_path: Path, name: str, body: bytes | None, model: str, error: type[Exception], message: str
):
    if body is not None:
        (tmp_path / name).write_bytes(body)
    with pytest.raises(error, match=message):
        store_at(tmp_path / "cache").import_file(tmp_path / name, model)
    left = [file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert [name for name in left if not name.endswith(".lock")] == []


def test_a_refused_import_leaves_the_model_that_was_there(tmp_path: Path):
    store = store_at(tmp_path / "cache")
    (tmp_path / "good.onnx").write_bytes(BODY)
    (tmp_path / "bad.onnx").write_bytes(OTHER)
    path = store.import_file(tmp_path / "good.onnx", "sure")
    with pytest.raises(ChecksumMismatch):
        store.import_file(tmp_path / "bad.onnx", "sure")
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pth", {"params": {"conv.weight": None}}, r"w\.pth"),
        ("w.safetensors", b"\x08" + bytes(7) + b"not json", r"w\.safetensors"),
        ("w.bin", b"\x80\x02not a pickle", r"w\.bin"),
    ],
)
def test_import_refuses_what_is_not_ddcolor_where_torch_can_tell(
    tmp_path: Path, name: str, content: object, message: str
):
    torch = pytest.importorskip("torch")
    original = tmp_path / name
    if isinstance(content, bytes):
        original.write_bytes(content)
    else:
        torch.save({"params": {"conv.weight": torch.zeros(1)}}, original)
    with pytest.raises(BadWeights, match=message) as caught:
        store_at(tmp_path / "cache").import_file(original, "first")
    assert str(original) in str(caught.value) and "-part" not in str(caught.value)
    assert not [p for p in (tmp_path / "cache" / "models").iterdir() if p.suffix != ".lock"]


def test_import_takes_a_network_that_loads(tmp_path: Path):
    torch = pytest.importorskip("torch")
    from heliochrome.arch import MICRO, DDColor

    original = tmp_path / "w.pth"
    torch.save({"params": DDColor(MICRO).state_dict()}, original)
    store = store_at(tmp_path / "cache")
    assert store.import_file(original, "first").read_bytes() == original.read_bytes()
    assert store.verify("first").state == "first-use"


def test_import_reports_progress(tmp_path: Path):
    (tmp_path / "w.onnx").write_bytes(BODY)
    seen: list[tuple[int, int]] = []
    store_at(tmp_path / "cache").import_file(
        tmp_path / "w.onnx", "sure", lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (len(BODY), len(BODY))
