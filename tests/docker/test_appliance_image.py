"""What docker/Dockerfile promises, read from it; and its scripts, run."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from mirror import archive_server

from dockerfile import DOCKER, IMAGE, ROOT, copied_by, read, shown_to
from heliochrome_gateway.settings import GatewaySettings
from lockfile import declared, pinned

FILE = read(DOCKER / "Dockerfile")
LOCKS = ("cpu.txt", "gpu.txt", "build.txt")

targets = pytest.mark.parametrize("target", ["cpu", "gpu"])


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"image_{name}", IMAGE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- The Dockerfile ------------------------------------------------------------------------------


def test_the_base_is_debian_slim_unless_told_otherwise_and_cpu_is_the_default_target() -> None:
    assert FILE.arguments == {"BASE_IMAGE": "debian:bookworm-slim"}
    assert list(FILE.stages)[-1] == "cpu"
    outside = {stage.parent for stage in FILE.stages.values()} - set(FILE.stages)
    assert outside == {"${BASE_IMAGE}", "scratch"}


@targets
def test_an_image_is_one_root_and_what_was_put_together(target: str) -> None:
    """So nothing that was needed to make it is in any layer."""
    own, runtime = FILE.lineage(target)
    assert (runtime.name, runtime.parent) == ("runtime", "scratch")
    assert runtime.all("COPY") == ["--from=rootfs /rootfs /"]
    assert own.all("COPY") == [
        f"--from=packages-{target} /opt/heliochrome /opt/heliochrome",
        "--from=parts /parts/comfyui /opt/comfyui",
        f"--from=whole-{target} /parts/models /opt/models",
        f"--from=whole-{target} /parts/added /opt/heliochrome",
    ]
    assert own.all("RUN") == runtime.all("RUN") == []
    packages = [
        re.search(r"apt-get install -y --no-install-recommends ([\w. -]+?) &&", step)
        for stage in FILE.lineage("rootfs")
        for step in stage.all("RUN")
    ]
    assert [found[1] for found in packages if found] == ["ca-certificates python3 tini"]


@targets
def test_it_runs_as_a_fixed_user_below_an_init(target: str) -> None:
    _, runtime = FILE.lineage(target)
    (user,) = runtime.all("USER")
    uid, gid = map(int, user.split(":"))
    assert uid == gid >= 10_000
    assert any(f"x:{uid}:{gid}:" in step for step in FILE.stages["rootfs"].all("RUN"))
    (entry,) = runtime.all("ENTRYPOINT")
    assert json.loads(entry) == ["/usr/bin/tini", "--", "/opt/appliance/entrypoint.sh"]
    assert len(runtime.all("HEALTHCHECK")) == 1
    assert runtime.all("EXPOSE") == ["8443"]


@targets
def test_nothing_is_fetched_at_run_time_and_passwords_do_not_cross_a_network_in_the_clear(
    target: str,
) -> None:
    _, runtime = FILE.lineage(target)
    settings = " ".join(runtime.all("ENV")).split()
    assert "HELIOCHROME_OFFLINE=1" in settings
    assert "HELIOCHROME_GATEWAY_TLS=self-signed" in settings


def test_nothing_is_fetched_that_is_not_known_by_its_hash() -> None:
    """Of ComfyUI the script looks at the whole; TensorRT's wheels are brought, not fetched."""
    steps = [step for stage in FILE.stages.values() for step in stage.all("RUN")]
    scripts = [re.sub(r"\\\n\s*", "", path.read_text("utf-8")) for path in IMAGE.glob("*.sh")]
    assert [stage.name for stage in FILE.stages.values() if stage.all("ADD")] == []
    commands = [command for text in (*steps, *scripts) for command in re.split(r"&&|[;\n]", text)]
    fetching = [text for text in commands if re.search(r"/pip (wheel|install|--python)", text)]
    assert len(fetching) == 5
    for command in fetching:
        assert "--require-hashes" in command or "--no-index" in command, command
    assert not [text for text in commands if re.search(r"\b(curl|wget|git)\b", text)]


def test_build_secrets_stay_in_stages_that_are_thrown_away() -> None:
    seeing = {
        stage.name
        for stage in FILE.stages.values()
        if any("--mount=type=secret" in step for step in stage.all("RUN"))
    }
    assert seeing == {"tools", "packages-cpu", "packages-gpu", "comfyui"}
    shipped = {stage.name for name in ("cpu", "gpu", "rootfs") for stage in FILE.lineage(name)}
    assert not seeing & shipped
    assert all("secret" not in name.lower() for name in FILE.arguments)


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    shown = shown_to(DOCKER / "Dockerfile")
    assert shown == copied_by(FILE)
    assert [path for path in shown if not (ROOT / path).exists()] == []


def tool(name: str) -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name) or shutil.which(name, path=beside)
    if found is None:
        pytest.skip(f"{name} is missing")
    return found


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [tool("hadolint"), DOCKER / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_finds_nothing() -> None:
    scripts = [DOCKER / "appliance", *IMAGE.glob("*.sh")]
    assert len(scripts) == 5
    done = subprocess.run(
        [tool("shellcheck"), *scripts], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


# --- The pinned packages -------------------------------------------------------------------------


@targets
def test_the_lock_holds_what_the_package_declares(target: str) -> None:
    versions = pinned(IMAGE / f"{target}.txt")
    extras = ("torch", "diffusion", "studio", "gateway", *(["gpu"] if target == "gpu" else []))
    for requirement in declared(*extras):
        if target == "gpu" and requirement.name == "onnxruntime":
            assert "onnxruntime" not in versions  # onnxruntime-gpu is the same module
            continue
        found = versions[requirement.name.lower()]
        assert requirement.specifier.contains(found), f"{requirement} is pinned to {found}"


def test_the_processors_image_holds_no_cuda_and_both_hold_the_same_rest() -> None:
    cpu, gpu = pinned(IMAGE / "cpu.txt"), pinned(IMAGE / "gpu.txt")
    assert cpu["torch"].endswith("+cpu")
    assert not [name for name in cpu if re.match(r"nvidia|cuda|triton", name)]
    assert {name for name in cpu if name in gpu and cpu[name] != gpu[name]} == {"torch"}
    assert set(cpu) - set(gpu) == {"onnxruntime"}


def test_there_is_no_node_manager() -> None:
    for lock in LOCKS:
        assert not [name for name in pinned(IMAGE / lock) if "manager" in name]


# --- The scripts ---------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The entrypoint, with an nvidia-smi that says this, or none."""

    def run(processor: str, card: str | None, code: int = 0) -> subprocess.CompletedProcess[str]:
        for name in ("sh", "echo"):
            target = tmp_path / name
            if not target.exists():
                target.symlink_to(shutil.which(name) or name)
        if card is not None:
            smi = tmp_path / "nvidia-smi"
            smi.write_text(f"#!/bin/sh\necho '{card}'\nexit {code}\n")
            smi.chmod(0o755)
        return subprocess.run(
            [IMAGE / "entrypoint.sh", "sh", "-c",
             'echo "$HELIOCHROME_PROCESSOR/${CUDA_VISIBLE_DEVICES-all}/$*"', "_", "a b", "c"],
            env={"PATH": str(tmp_path), "HELIOCHROME_PROCESSOR": processor},
            capture_output=True, text=True, check=True,
        )  # fmt: skip

    return run


def test_a_good_card_is_used(start: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = start("gpu", "580.65.06, NVIDIA L4")
    assert done.stdout == "gpu/all/a b c\n"
    assert "NVIDIA L4" in done.stderr


@pytest.mark.parametrize(
    ("card", "code", "said"),
    [
        (None, 0, "No graphics card reaches this container"),
        ("NVIDIA-SMI has failed", 9, "does not answer"),
        ("570.86.10, NVIDIA L4", 0, "is 570.86.10; CUDA 13 needs 580"),
        ("[N/A], NVIDIA L4", 0, "cannot be read"),
        ("", 0, "cannot be read"),
    ],
)
def test_without_a_usable_card_the_processor_is_used_and_the_reason_said(
    start: Callable[..., subprocess.CompletedProcess[str]], card: str | None, code: int, said: str
) -> None:
    done = start("gpu", card, code)
    assert done.stdout == "cpu//a b c\n"
    assert said in done.stderr and "processor instead" in done.stderr


def test_the_processors_image_does_not_ask_for_a_card(
    start: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = start("cpu", "570.0, old")
    assert (done.stdout, done.stderr) == ("cpu/all/a b c\n", "")


def test_health_is_what_the_address_answers() -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    health = script("health")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert health.main(f"{address}/good") == 0
        assert health.main(f"{address}/bad") == 1
        server.shutdown()
    assert health.main(address) == 1
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED  # for all others


def work_tree(folder: Path) -> Path:
    for name in ("main.py", "LICENSE", "comfy/sd.py", "app/a.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_of_comfyui_only_what_runs_is_taken(tmp_path: Path) -> None:
    source = script("comfyui_source")
    tree = work_tree(tmp_path / "tree")
    before = source.digest(tree)
    for name in (
        "custom_nodes/manager/__init__.py", "models/a.safetensors", ".git/config", "tests/t.py",
        "comfy/__pycache__/sd.pyc", "output/photo.png", "user/keys.json",
        "comfy/text_encoders/t5_tokenizer/tokenizer.json",
    ):  # fmt: skip
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("not for the image")
    assert source.digest(tree) == before
    source.take(tree, tmp_path / "taken", before)
    taken = {
        path.relative_to(tmp_path / "taken").as_posix() for path in (tmp_path / "taken").rglob("*")
    }
    assert taken == {
        "main.py", "LICENSE", "comfy", "comfy/sd.py", "app", "app/a.json", "custom_nodes", "models",
    }  # fmt: skip


@pytest.mark.parametrize("change", ["content", "name", "more", "less"])
def test_another_comfyui_is_refused_and_its_digest_said(tmp_path: Path, change: str) -> None:
    source = script("comfyui_source")
    tree = work_tree(tmp_path / "tree")
    pinned_digest = source.digest(tree)
    if change == "content":
        (tree / "comfy/sd.py").write_text("import os")
    elif change == "name":
        (tree / "comfy/sd.py").rename(tree / "comfy/se.py")
    elif change == "more":
        (tree / "comfy/more.py").write_text("")
    else:
        (tree / "app/a.json").unlink()
    with pytest.raises(SystemExit, match=source.digest(tree)):
        source.take(tree, tmp_path / "taken", pinned_digest)
    assert not (tmp_path / "taken").exists()


def test_without_comfyui_the_build_says_how_to_give_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--build-context comfyui-source"):
        script("comfyui_source").take(tmp_path, tmp_path / "taken", "0" * 64)


def fetched(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, IMAGE / "comfyui_source.py", "fetch", address, folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_comfyui_is_fetched_as_the_archive_that_its_upstream_offers(tmp_path: Path) -> None:
    tree = work_tree(tmp_path / "tree")
    (tmp_path / "served").mkdir()
    with archive_server(tree, tmp_path / "served") as address:
        assert fetched(address, tmp_path / "fetched").returncode == 0
        missing = fetched(address + ".not-there", tmp_path / "nothing")
    source = script("comfyui_source")
    assert source.digest(tmp_path / "fetched") == source.digest(tree)
    assert missing.returncode == 1 and "404" in missing.stderr
    assert "--build-arg COMFYUI_ARCHIVE" in missing.stderr and "Traceback" not in missing.stderr


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    b"not HTTP at all\r\n\r\n",
])  # fmt: skip
def test_a_download_that_breaks_off_is_told_as_that(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        threading.Thread(target=once, daemon=True).start()
        done = fetched(f"http://127.0.0.1:{server.getsockname()[1]}/a.tar.gz", tmp_path / "a")
    assert done.returncode == 1
    assert "could not be had" in done.stderr and "Traceback" not in done.stderr


def test_a_broken_or_hostile_archive_leaves_nothing_outside(tmp_path: Path) -> None:
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for name, kind in (
            ("top/../../escaped", tarfile.REGTYPE),
            ("top/link", tarfile.SYMTYPE),
            ("top/main.py", tarfile.REGTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member, io.BytesIO())
    assert fetched(archive.as_uri(), tmp_path / "a/b/c").returncode == 0
    found = {path.name for path in tmp_path.rglob("*") if not path.is_dir()}
    assert found == {"hostile.tar.gz", "main.py"}
    archive.write_bytes(archive.read_bytes()[:40])
    assert "could not be had" in fetched(archive.as_uri(), tmp_path / "b").stderr


def test_only_wheels_of_tensorrt_10_are_put_beside_the_others(tmp_path: Path) -> None:
    for name in ("tensorrt_cu13_libs-10.16.1.11-py3-none-any.whl", "torch-2.13.0.whl"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [IMAGE / "packages.sh", "tensorrt", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "there is torch-2.13.0.whl" in done.stderr
    (tmp_path / "empty").mkdir()
    without = [IMAGE / "packages.sh", "tensorrt", tmp_path / "empty"]
    assert subprocess.run(without, check=False).returncode == 0


def test_comfyui_writes_only_to_data_and_uses_the_card_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(IMAGE))  # it imports what lies beside it
    options = script("comfyui").options
    cpu, gpu = options("cpu", "0.0.0.0"), options("gpu", "0.0.0.0")
    assert cpu == [*gpu, "--cpu"]
    assert "--disable-api-nodes" in gpu
    most = GatewaySettings.max_upload_bytes  # what the gateway lets through, with a form around it
    assert int(gpu[gpu.index("--max-upload-size") + 1]) << 20 > most
    written = [gpu[gpu.index(f"--{n}-directory") + 1] for n in ("input", "output", "temp", "user")]
    assert all(path.startswith("/data/") for path in written)
    assert gpu[gpu.index("--database-url") + 1].startswith("sqlite:////data/")


def test_what_the_image_leaves_out_can_be_imported_and_not_used() -> None:
    code = """
import importlib.util, sys
sys.path.insert(0, sys.argv[1])
import absent
absent.PACKAGES = ("av", "json")
absent.stand_in()
import av, json
from av.video.reformatter import ColorTrc
table = {ColorTrc.BT709: 1, ColorTrc.SMPTE2084: 2}
def play(container: av.container.InputContainer | None) -> None: ...
assert len(table) == 2 and ColorTrc.BT709 is ColorTrc.BT709
assert not isinstance(3, av.VideoStream) and importlib.util.find_spec("av.error")
assert json.loads("[]") == [], "what is there wins"
try:
    av.open("film.mp4")
except RuntimeError as error:
    print(error)
try:
    raise KeyError
except (av.error.FFmpegError, KeyError):
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code, IMAGE], capture_output=True, text=True, check=True
    )
    assert done.stdout == "av.open is not in this image.\n"


@targets
def test_no_encoders_under_the_gpl_are_in_it(target: str) -> None:
    assert not {"av", "torchaudio"} & set(pinned(IMAGE / f"{target}.txt"))


def test_the_bill_of_materials_is_cyclonedx_and_the_same_each_time(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n"
        "Version: 2.36-9+deb12u10\nDescription: C library\n more words\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    )
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    packages = Path(pytest.__file__).parents[1]
    made = [
        subprocess.run(
            [sys.executable, IMAGE / "sbom.py", "heliochrome-cpu", status, packages, tmp_path],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert made[0] == made[1]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made[0]) is None
    parts = {part["name"]: part for part in json.loads(made[0])["components"]}
    assert parts["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64"
    assert parts["numpy"]["purl"] == f"pkg:pypi/numpy@{version('numpy')}"
    assert parts["ComfyUI"]["licenses"] == [{"license": {"id": "GPL-3.0-only"}}]
    assert "gone" not in parts
