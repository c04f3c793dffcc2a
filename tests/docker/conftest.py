"""The image built by buildah, and the compose file run by podman and Docker as a buyer runs it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import STORAGE, Engine
from docker_daemon import docker_daemon
from image_building import build_cpu, comfyui_source, make_base, mounted
from running_appliance import Appliance
from wire import Wire

import micro
from dockerfile import DOCKER, read

TOOLS = ("buildah", "podman", "runc", "mmdebstrap", "podman-compose")
DOCKER_TOOLS = ("docker", "dockerd", "docker-compose")


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
        make_base(found)
        build_cpu(found, source, folder)
        found.note("build, s", time.monotonic() - begun)
        yield found
    finally:
        # podman mounts its storage onto itself, and leaves that.
        found.run("umount", STORAGE / "graph/overlay", check=False)


@pytest.fixture(scope="module")
def root(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The processor's image's file system."""
    with mounted(engine, engine.image, tmp_path_factory.mktemp("root")) as place:
        yield place


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
