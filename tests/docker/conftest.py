"""The image built by buildah and the compose file run by podman, hardened as a buyer has it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dockerfile import DOCKER, IMAGE, ROOT, read

import micro

TOOLS = ("buildah", "podman", "runc", "mmdebstrap", "podman-compose")
# Kept from run to run, so that only what changed is built again. `make clean` removes it.
STORAGE = Path(os.environ.get("HELIOCHROME_CONTAINERS", ROOT / ".cache/containers"))
BASE = "localhost/heliochrome-test-base"
SERVICES = ("gateway", "studio", "comfyui")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Engine:
    """environ: of every program, so that it uses our storage and nothing of the machine's."""

    image: str
    environ: dict[str, str]

    def run(
        self, *command: str | Path, check: bool = True, cwd: Path | None = None, limit_s: int = 600
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environ, cwd=cwd, capture_output=True, text=True, check=False,
            timeout=limit_s,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done


@dataclass
class Appliance:
    """folder: with the compose file. started_s: from `appliance up` to the first answer."""

    engine: Engine
    folder: Path
    project: str
    port: int
    password: str = ""
    started_s: float = 0.0
    ready: float = field(default_factory=time.monotonic)

    def handle(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.engine.run(self.folder / "appliance", *command, check=check, cwd=self.folder)

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.engine.run("podman", "exec", self.container(service), *command, check=False)

    def python(self, service: str, code: str) -> str:
        done = self.inside(service, "python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(
        self, method: str, path: str, body: bytes | Any = b"", password: str | None = None,
        **headers: str,
    ) -> Answer:  # fmt: skip
        """As admin. body: anything but bytes is sent as JSON."""
        given = f"admin:{self.password if password is None else password}".encode()
        known = {"Authorization": f"Basic {base64.b64encode(given).decode()}"}
        if not isinstance(body, bytes):
            body, known["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=60, context=ssl._create_unverified_context()
        )
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body or None, {**known, **sent})
        response = connection.getresponse()
        answer = Answer(response.status, response.read())
        connection.close()
        return answer

    def soon(self, there: Callable[[], Any], limit_s: float = 180) -> Any:
        end = time.monotonic() + limit_s
        while not (found := there()):
            assert time.monotonic() < end, self.handle("logs", check=False).stdout
            time.sleep(0.2)
        return found

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False


def comfyui_source(expected: str) -> Path | None:
    """A work tree of the pinned version among COMFYUI_DIR, if there is one."""
    for name in filter(None, os.environ.get("COMFYUI_DIR", "").split(os.pathsep)):
        done = subprocess.run(
            [sys.executable, IMAGE / "comfyui_source.py", "digest", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.stdout.strip() == expected:
            return Path(name)
    return None


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The target cpu, built."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if missing := [name for name in TOOLS if shutil.which(name, path=path) is None]:
        pytest.skip(f"{', '.join(missing)} missing: apt-get install buildah podman runc mmdebstrap")
    if os.geteuid() != 0:
        pytest.skip("root makes the base image")
    (pinned,) = (
        text.partition("=")[2]
        for text in read(DOCKER / "Dockerfile").stages["comfyui"].all("ARG")
        if text.startswith("COMFYUI_SHA256=")
    )
    source = comfyui_source(pinned)
    if source is None:
        pytest.skip("COMFYUI_DIR names no ComfyUI of the version that the image is pinned to")
    folder = tmp_path_factory.mktemp("containers")
    STORAGE.mkdir(parents=True, exist_ok=True)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE}/graph"\nrunroot = "{folder}/run"\n'
    )
    # A machine without systemd, whose root may not raise limits.
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
        f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HELIOCHROME")}
    own = {
        "PATH": path,
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "DISABLE_HC_SYSTEMD": "true",
        "TMPDIR": str(STORAGE),
    }
    found = Engine("localhost/heliochrome:test", {**kept, **own})
    try:
        _make_base(found)
        _build(found, source, folder)
        yield found
    finally:
        # podman mounts its storage onto itself, and leaves that.
        found.run("umount", STORAGE / "graph/overlay", check=False)


def _make_base(engine: Engine) -> None:
    if engine.run("podman", "image", "exists", BASE, check=False).returncode == 0:
        return
    archive = STORAGE / "base.tar"
    engine.run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", archive)
    engine.run("podman", "import", "--quiet", archive, BASE)
    archive.unlink()


def _build(engine: Engine, source: Path, folder: Path) -> None:
    """With what pip of this machine knows of its registries, and which no layer may show."""
    tree = folder / "comfyui"
    left = {".venv", ".git", "models", "input", "output"}
    shutil.copytree(
        source, tree, ignore=lambda at, names: left & set(names) if Path(at) == source else set()
    )
    given = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", given, re.MULTILINE))
    wanted = ("index-url", "extra-index-url", "find-links", "timeout")
    lines = [f"{name} = {settings[name]}" for name in wanted if name in settings]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]).replace("\\n", " "))
    options: list[str | Path] = ["--secret", f"id=pip.conf,src={folder}/pip.conf"]
    if bundle := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        options += ["--secret", f"id=ca.pem,src={bundle}"]
    for place in {
        Path(*Path(found).parts[:3])
        for found in re.findall(r"(?:file://)?(/[^\s:]+)", " ".join(lines))
        if Path(found).exists()
    }:
        options += ["--volume", f"{place}:{place}:ro"]
        settings.setdefault("local", str(place))
    if "local" in settings:  # then PyTorch is there, too
        options += ["--build-arg", "TORCH_INDEX="]
    engine.run(
        "buildah", "build", "--layers", "--force-rm", "--format", "docker", "--isolation", "chroot",
        "--network", "host", "--file", DOCKER / "Dockerfile",
        "--ignorefile", DOCKER / "Dockerfile.dockerignore", "--target", "cpu",
        "--tag", engine.image, "--build-arg", f"BASE_IMAGE={BASE}",
        "--build-context", f"comfyui-source={tree}", *options, ROOT, limit_s=1800,
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(engine: Engine) -> Iterator[Path]:
    """The image's file system."""
    yield Path(engine.run("podman", "image", "mount", engine.image).stdout.strip())
    engine.run("podman", "image", "unmount", engine.image)


@pytest.fixture(scope="module")
def appliance(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """Started as a buyer starts it, with a model of the micro network."""
    folder = tmp_path_factory.mktemp("appliance")
    for name in ("appliance", "compose.yaml", "compose.gpu.yaml", "seccomp.json"):
        shutil.copy(DOCKER / name, folder / name)
    model = micro.save(folder / "models/ddcolor_v2.safetensors")
    model.parent.chmod(0o755)
    model.chmod(0o644)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    project = f"heliochrome-test-{os.getpid()}"
    engine.environ |= {
        "HELIOCHROME_COMPOSE": f"podman-compose -p {project}",
        "HELIOCHROME_IMAGE": engine.image,
        "HELIOCHROME_PORT": str(port),
    }
    running = Appliance(engine, folder, project, port)
    try:
        begun = time.monotonic()
        shown = running.handle("up").stderr
        running.started_s = time.monotonic() - begun
        (running.password,) = re.findall(r"with the password (\S+)", shown)
        yield running
    finally:
        # What it has left behind would be in the way of the next run.
        running.engine.run("podman-compose", "-p", project, "down", "-v", check=False, cwd=folder)
