"""The image built by buildah, and the compose file run by podman and Docker as a buyer runs it."""

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
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from docker_daemon import docker_daemon
from wire import Network, Wire

import micro
from dockerfile import DOCKER, IMAGE, ROOT, read

TOOLS = ("buildah", "podman", "runc", "mmdebstrap", "podman-compose")
DOCKER_TOOLS = ("docker", "dockerd", "docker-compose")
# Kept from run to run, so that only what changed is built again. `make clean` removes it.
STORAGE = Path(os.environ.get("HELIOCHROME_CONTAINERS", ROOT / ".cache/containers"))
COMFYUI = STORAGE / "comfyui"
BASE = "localhost/heliochrome-test-base"
SERVICES = ("gateway", "studio", "comfyui")
BAKED = "ddcolor_v1"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Engine:
    """environ: of every program, so that it uses our storage and nothing of the machine's.

    name: of its command; compose: of the one that reads compose files.
    """

    image: str
    environ: dict[str, str]
    name: str = "podman"
    compose: str = "podman-compose"

    def run(
        self, *command: str | Path, check: bool = True, cwd: Path | None = None, limit_s: int = 600
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environ, cwd=cwd, capture_output=True, text=True, check=False,
            timeout=limit_s,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def call(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(self.name, *command, check=check)

    def subnets(self, *networks: str) -> list[Network]:
        found = json.loads(self.call("network", "inspect", *networks).stdout)
        if self.name == "podman":
            texts = [subnet["subnet"] for network in found for subnet in network["subnets"]]
        else:
            texts = [part["Subnet"] for network in found for part in network["IPAM"]["Config"]]
        return [ip_network(text) for text in texts]

    def note(self, what: str, value: float) -> None:
        """Figures are for people to read, and no test is about them."""
        with (STORAGE / "measured.txt").open("a") as file:
            file.write(f"{self.name}: {what}: {value:.1f}\n")


@dataclass
class Appliance:
    """folder: with the compose file. begun: when `appliance up` was called (time.monotonic).
    wire: what goes over the network since then. starting: that `up`, which goes on for a while
    after the page is there; it writes to `said`."""

    engine: Engine
    folder: Path
    project: str
    port: int
    begun: float
    wire: Wire
    starting: subprocess.Popen[bytes]
    password: str = ""
    had: set[Network] = field(default_factory=set)

    @property
    def said(self) -> str:
        return (self.folder / "up.txt").read_text("utf-8")

    def networks(self) -> set[Network]:
        """Of its own: `down` takes them away, and the next `up` may make others."""
        names = [f"{self.project}_{name}" for name in ("outside", "inside")]
        self.had |= set(self.engine.subnets(*names))
        return self.had

    def handle(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        if command[0] in ("down", "restore"):
            self.networks()
        return self.engine.run(self.folder / "appliance", *command, check=check, cwd=self.folder)

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.engine.call("exec", self.container(service), *command, check=False)

    def compose(self, *command: str) -> subprocess.CompletedProcess[str]:
        engine = self.engine
        return engine.run(
            engine.compose, "-p", self.project, *command, check=False, cwd=self.folder
        )

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

    def certificate(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def soon(self, there: Callable[[], Any], limit_s: float = 180) -> Any:
        end = time.monotonic() + limit_s
        while not (found := there()):
            assert time.monotonic() < end, self.handle("logs", check=False).stdout
            time.sleep(0.05)
        return found

    def answers(self, path: str = "/readyz") -> bool:
        try:
            return self.ask("GET", path).status == 200
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
        f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE}/graph"\nrunroot = "{STORAGE}/run"\n'
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
        begun = time.monotonic()
        _make_base(found)
        _build(found, source, folder)
        found.note("build, s", time.monotonic() - begun)
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
    """With one model baked in."""
    left = {".venv", ".git", "models", "input", "output"}
    shutil.rmtree(COMFYUI, ignore_errors=True)
    shutil.copytree(
        source, COMFYUI, ignore=lambda at, names: left & set(names) if Path(at) == source else set()
    )
    micro.save(folder / f"baked/{BAKED}.safetensors")
    build(engine, folder, "cpu", "--tag", engine.image, *contexts(folder / "baked"))


def contexts(models: Path) -> list[str]:
    """ComfyUI from a folder, and models to bake in."""
    return [
        "--build-context", f"comfyui-source={COMFYUI}", "--build-context", f"models={models}",
    ]  # fmt: skip


def build(
    engine: Engine, folder: Path, target: str, *options: str | Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """With what pip of this machine knows of its registries, and which no layer may show.

    folder: for the secrets.
    """
    return engine.run(
        "buildah", "build", "--layers", "--force-rm", "--format", "docker", "--isolation", "chroot",
        "--network", "host", "--file", DOCKER / "Dockerfile",
        "--ignorefile", DOCKER / "Dockerfile.dockerignore", "--target", target,
        "--build-arg", f"BASE_IMAGE={BASE}", *_registries(folder), *options, ROOT,
        check=check, limit_s=1800,
    )  # fmt: skip


def _registries(folder: Path) -> list[str | Path]:
    given = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", given, re.MULTILINE))
    wanted = ("index-url", "extra-index-url", "find-links", "timeout")
    lines = [f"{name} = {settings[name]}" for name in wanted if name in settings]
    options: list[str | Path] = ["--secret", f"id=pip.conf,src={folder}/pip.conf"]
    if bundle := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        options += ["--secret", f"id=ca.pem,src={bundle}"]
    # Mounted below /run, of which nothing gets into the image.
    places: set[Path] = set()

    def mounted(found: re.Match[str]) -> str:
        if not Path(found[2]).exists():
            return found[0]
        places.add(Path(*Path(found[2]).parts[:3]))
        return f"{found[1]}/run/registries{found[2]}"

    lines = [re.sub(r"(file://|(?<![\w:/]))(/[^\s:]+)", mounted, line) for line in lines]
    for place in sorted(places):
        options += ["--volume", f"{place}:/run/registries{place}:ro"]
    if places:  # then PyTorch is there, too
        options += ["--build-arg", "TORCH_INDEX="]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]).replace("\\n", " "))
    return options


@contextmanager
def mounted(engine: Engine, image: str, place: Path) -> Iterator[Path]:
    """An image's file system. Not by podman, which takes away its own mount when a build fails."""
    asked = ("image", "inspect", "--format", "{{json .GraphDriver.Data}}", image)
    layers = json.loads(engine.call(*asked).stdout)
    below = ":".join(layers[name] for name in ("UpperDir", "LowerDir") if layers.get(name))
    engine.run("mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={below}", place)
    try:
        yield place
    finally:
        engine.run("umount", place)


@pytest.fixture(scope="module")
def root(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The processor's image's file system."""
    with mounted(engine, engine.image, tmp_path_factory.mktemp("root")) as place:
        yield place


def licences(root: Path) -> str:
    """The list for whoever gets the image; fails where it holds what may not be sold."""
    done = subprocess.run(
        [sys.executable, DOCKER / "marketplace/licences.py",
         root / "opt/heliochrome/sbom.cdx.json", "--root", root],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["podman", "docker"])
def running_engine(
    request: pytest.FixtureRequest, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Podman, and Docker with the same image, as far as there is one."""
    if request.param == "podman":
        yield engine
        return
    if missing := [name for name in DOCKER_TOOLS if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} missing: apt-get install docker.io docker-compose")
    folder = tmp_path_factory.mktemp("docker")
    with docker_daemon(STORAGE / "docker", folder) as address:
        environ = {**engine.environ, "DOCKER_HOST": address}
        docker = Engine(engine.image, environ, "docker", "docker-compose")
        archive = folder / "image.tar"
        engine.run("podman", "save", "--quiet", "--output", archive, engine.image)
        docker.run("docker", "load", "--quiet", "--input", archive)
        archive.unlink()
        yield docker


@pytest.fixture(scope="module")
def appliance(
    running_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Appliance]:
    """Started as a buyer starts it, with a model of the micro network."""
    engine = running_engine
    folder = tmp_path_factory.mktemp("appliance")
    for name in ("appliance", "compose.yaml", "compose.gpu.yaml", "seccomp.json"):
        shutil.copy(DOCKER / name, folder / name)
    model = micro.save(folder / "models/ddcolor_v2.safetensors")
    model.parent.chmod(0o755)
    model.chmod(0o644)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    project = f"heliochrome-{engine.name}-{os.getpid()}"
    engine.environ |= {
        "HELIOCHROME_COMPOSE": f"{engine.compose} -p {project}",
        "HELIOCHROME_IMAGE": engine.image,
        "HELIOCHROME_PORT": str(port),
    }
    wire = Wire()
    wire.start()
    with (folder / "up.txt").open("wb") as said:
        begun = time.monotonic()
        starting = subprocess.Popen(
            [folder / "appliance", "up"], env=engine.environ, stdout=said, stderr=said
        )
    running = Appliance(engine, folder, project, port, begun, wire, starting)
    try:
        running.soon(lambda: running.answers("/healthz"))
        engine.note("first answer after up, s", time.monotonic() - begun)
        running.soon(lambda: "The page is at" in running.said)
        (running.password,) = re.findall(r"with the password (\S+)", running.said)
        yield running
    finally:
        starting.terminate()  # if it is still at its self-test
        starting.wait(timeout=60)
        wire.stop()
        # What it has left behind would be in the way of the next run.
        running.compose("down", "-v")
