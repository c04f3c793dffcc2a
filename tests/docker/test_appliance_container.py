"""The appliance, built and run: what is in it, what it may do, and that it colours photographs.

In the order of the file: the last tests stop and restore what the first ones use.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from container_engine import Engine
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from image_building import BAKED, COMFYUI, build, contexts, licences
from mirror import archive_server
from outside import machine_outside
from PIL import Image
from running_appliance import SERVICES, Appliance

from heliochrome.studio.keeping import RESTORED

pytestmark = pytest.mark.container

every_service = pytest.mark.parametrize("service", SERVICES)
SITE = "opt/heliochrome/lib/python3.11/site-packages"


# --- The image -----------------------------------------------------------------------------------


def entries(root: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found.append((path.relative_to(root), path.lstat()))
    return found


def test_no_program_makes_its_caller_somebody_else(root: Path) -> None:
    assert [path for path, facts in entries(root) if facts.st_mode & (stat.S_ISUID | stat.S_ISGID)
            and stat.S_ISREG(facts.st_mode)] == []  # fmt: skip


def test_the_user_owns_only_the_data(root: Path) -> None:
    owned = {path for path, facts in entries(root) if facts.st_uid != 0}
    assert owned == set()
    assert (root / "data").stat().st_uid == 10_001
    loose = [path for path, facts in entries(root)
             if facts.st_mode & stat.S_IWOTH and not stat.S_ISLNK(facts.st_mode)]  # fmt: skip
    assert loose == []


def test_there_is_no_compiler_no_installer_and_no_cache(root: Path) -> None:
    programs = {path.name for folder in ("usr/bin", "usr/sbin", "opt/heliochrome/bin")
                for path in (root / folder).iterdir()}  # fmt: skip
    unwanted = r"(.*-)?(gcc|g\+\+|cc|c\+\+|clang|ld|as|make|pip3?|uv|git|curl|wget)(-[\d.]+)?"
    assert [name for name in programs if re.fullmatch(unwanted, name)] == []
    assert not (root / SITE / "pip").exists()
    for folder in ("var/cache", "var/lib/apt/lists", "root", "tmp", "var/log"):
        assert [*(root / folder).rglob("*")] == [], folder


def test_nothing_tells_where_it_was_built(root: Path, engine: Engine) -> None:
    assert not (root / "etc/pip.conf").exists()
    assert {path.name for path in (root / "opt").iterdir()} == {
        "appliance", "comfyui", "heliochrome", "models",
    }  # fmt: skip
    assert [*root.glob("etc/apt/sources.list")] == []
    (sources,) = (root / "etc/apt/sources.list.d").iterdir()
    hosts = set(re.findall(r"^URIs: (\S+)$", sources.read_text("utf-8"), re.MULTILINE))
    assert hosts == {f"http://deb.debian.org/{name}" for name in ("debian", "debian-security")}
    assert not (root / "etc/machine-id").exists()
    resolver = Path("/etc/resolv.conf").read_text("utf-8")
    addresses = set(re.findall(r"^nameserver (\S+)", resolver, re.MULTILINE))
    for name in ("etc/resolv.conf", "etc/hosts", "etc/hostname"):
        text = (root / name).read_text("utf-8") if (root / name).exists() else ""
        assert not [address for address in addresses if address in text], name
    told = engine.call("image", "inspect", engine.image).stdout
    told += engine.call("history", "--no-trunc", engine.image).stdout
    assert "/run/secrets/" not in told and "ca.pem" not in told
    # pip notes from where it took a package, if from a file.
    notes = [path.read_text("utf-8") for path in (root / SITE).glob("*/direct_url.json")]
    places = {json.loads(note)["url"].rpartition("/")[0] for note in notes}
    assert places <= {"file:///wheels", "file:///parts/ours"}


def test_nodes_are_ours_and_there_is_no_node_manager(root: Path) -> None:
    nodes = root / "opt/comfyui/custom_nodes"
    assert [path.name for path in nodes.iterdir()] == ["heliochrome"]
    assert not [*(root / SITE).glob("comfyui_manager*")]
    assert "GNU GENERAL PUBLIC LICENSE" in (root / "opt/comfyui/LICENSE").read_text("utf-8")


def test_the_bill_of_materials_names_every_package(root: Path) -> None:
    text = (root / "opt/heliochrome/sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    places = [part.get("purl", "") for part in json.loads(text)["components"]]
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    assert len([p for p in places if p.startswith("pkg:deb/")]) == status.count("\nVersion: ")
    installed = len([*(root / SITE).glob("*.dist-info")])
    assert len([p for p in places if p.startswith("pkg:pypi/")]) == installed


def test_it_may_be_sold_as_far_as_its_licences_can_be_read(root: Path) -> None:
    assert "## Under the GPL" in licences(root)


def test_a_model_that_was_baked_in_is_there(root: Path) -> None:
    (model,) = (root / "opt/models").iterdir()
    assert model.stem == BAKED and model.stat().st_mode & 0o444 == 0o444


def test_a_damaged_model_is_not_baked_in(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/ddcolor_v2.pth").write_bytes(b"half of it")
    done = build(engine, tmp_path, "whole-cpu", *contexts(tmp_path / "models"), check=False)
    assert done.returncode != 0
    assert "ddcolor_v2" in done.stdout + done.stderr and "SHA-256" in done.stdout + done.stderr


def test_comfyui_can_come_from_a_mirror_as_its_archive(engine: Engine, tmp_path: Path) -> None:
    with archive_server(COMFYUI, tmp_path) as address:
        build(engine, tmp_path, "comfyui", "--build-arg", f"COMFYUI_ARCHIVE={address}")


def test_the_image_is_small_enough(engine: Engine) -> None:
    size = int(engine.call("image", "inspect", "--format", "{{.Size}}",
                          engine.image).stdout)  # fmt: skip
    engine.note("image, MB", size / 1e6)
    assert size <= 2_500_000_000


# --- What a process inside may do ----------------------------------------------------------------


def test_the_password_is_shown_once(appliance: Appliance) -> None:
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", appliance.password)
    assert (appliance.folder / "secrets/password").read_text() == ""
    assert appliance.password not in appliance.handle("logs").stdout
    assert (appliance.folder / "secrets").stat().st_mode & 0o077 == 0


def test_the_first_photograph_is_coloured(appliance: Appliance) -> None:
    brought = coloured_in_the_studio(appliance)
    appliance.engine.note("first photograph after up, s", time.monotonic() - appliance.begun)
    assert is_coloured(appliance.ask("GET", f"/api/v1/photos/{brought}/result").body)


def test_both_presets_are_tried_in_both_engines(appliance: Appliance) -> None:
    assert appliance.starting.wait(timeout=300) == 0
    for part in ("studio", "ComfyUI"):
        for preset in ("portrait", "building"):
            assert f"appliance: {part}, {preset}: good. " in appliance.said
    assert "Not all is as it should be" not in appliance.said


@every_service
def test_every_process_is_without_rights(appliance: Appliance, service: str) -> None:
    code = """
import glob, json
found = []
for path in glob.glob('/proc/[0-9]*/status'):
    try:
        lines = open(path).read().splitlines()
    except OSError:
        continue
    found.append(dict(line.split(':\\t', 1) for line in lines if ':\\t' in line))
print(json.dumps(found))
"""
    processes = json.loads(appliance.python(service, code))
    assert len(processes) >= 3  # init, the program, and who asks
    for process in processes:
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(process[name], 16) == 0, (process["Name"], name)
        assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")
        assert set(process["Uid"].split()) == set(process["Gid"].split()) == {"10001"}


@every_service
def test_nothing_but_data_and_tmp_can_be_written(appliance: Appliance, service: str) -> None:
    code = """
import errno, os
for folder in ('/', '/etc', '/usr', '/usr/bin', '/opt', '/opt/heliochrome', '/opt/comfyui/models',
               '/opt/comfyui/custom_nodes', '/models', '/var', '/root'):
    try:
        os.close(os.open(folder + '/probe', os.O_CREAT | os.O_WRONLY))
        print(folder, 'writable')
    except OSError as error:
        if error.errno not in (errno.EROFS, *([errno.EACCES] if folder == '/root' else [])):
            print(folder, errno.errorcode[error.errno])
for folder in ('/data', '/tmp'):
    open(folder + '/probe', 'w').close()
    os.remove(folder + '/probe')
"""
    assert appliance.python(service, code) == ""


def test_what_is_put_into_tmp_does_not_run(appliance: Appliance) -> None:
    done = appliance.inside(
        "comfyui", "sh", "-c", "cp /bin/true /tmp/t && chmod +x /tmp/t && /tmp/t"
    )
    assert done.returncode == 126 and "Permission denied" in done.stderr


@every_service
def test_the_kernel_is_out_of_reach(appliance: Appliance, service: str) -> None:
    """Namespaces, mounts, tracing, keys, bpf, perf, io_uring, strange sockets; none is allowed."""
    code = """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
calls = {'unshare user': (272, 0x10000000), 'unshare net': (272, 0x40000000),
         'clone user': (56, 0x10000000 | 17, 0, 0, 0, 0), 'setns': (308, 0, 0),
         'mount': (165, 0, 0, 0, 0, 0), 'ptrace': (101, 16, 1, 0, 0), 'bpf': (321, 0, 0, 0),
         'perf': (298, 0, 0, -1, -1, 0), 'keyctl': (250, 0, 0), 'io_uring': (425, 1, 0),
         'userfaultfd': (323, 0), 'process_vm_readv': (310, 1, 0, 0, 0, 0, 0),
         'init_module': (175, 0, 0, 0), 'open_by_handle_at': (304, 0, 0, 0), 'chroot': (161, 0),
         'clock_settime': (227, 0, 0), 'kexec': (246, 0, 0, 0, 0), 'quotactl': (179, 0, 0, 0, 0)}
for name, call in calls.items():
    ctypes.set_errno(0)
    if libc.syscall(*map(ctypes.c_long, call)) != -1 or ctypes.get_errno() != 1:
        print(name, ctypes.get_errno())
if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != 38:
    print('clone3', ctypes.get_errno())
for family in (38, 40, 17, 16 + 14):  # ALG, VSOCK, PACKET, TIPC
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print('socket', family)
    except OSError as error:
        if error.errno != 1:
            print('socket', family, error.errno)
"""
    assert appliance.python(service, code) == ""


def run_once(appliance: Appliance, service: str, code: str) -> subprocess.CompletedProcess[str]:
    """In a container of its own, with this service's limits."""
    return appliance.compose("run", "--rm", "-T", "--no-deps", service, "python", "-c", code)


def test_the_limit_of_processes_bites(appliance: Appliance) -> None:
    code = """
import os, signal
made = []
try:
    for _ in range(500):
        pid = os.fork()
        if not pid:
            signal.pause()
        made.append(pid)
except BlockingIOError:
    print('refused after', len(made))
for pid in made:
    os.kill(pid, 9)
"""
    done = run_once(appliance, "gateway", code)
    found = re.search(r"refused after (\d+)", done.stdout)
    assert found and 100 < int(found[1]) < 128, done.stdout + done.stderr


def test_the_limit_of_memory_bites(appliance: Appliance) -> None:
    done = run_once(appliance, "gateway", "b = bytearray(b'x') * (1500 << 20); print('had it')")
    assert "had it" not in done.stdout
    assert done.returncode == 137


def test_only_the_gateway_has_a_port(appliance: Appliance) -> None:
    for service in SERVICES:
        ports = appliance.engine.call("port", appliance.container(service)).stdout
        expected = f"8443/tcp -> 127.0.0.1:{appliance.port}" if service == "gateway" else ""
        assert ports.strip() == expected


# --- What people do ------------------------------------------------------------------------------


def photo() -> bytes:
    into = io.BytesIO()
    Image.linear_gradient("L").resize((320, 240)).save(into, "JPEG")
    return into.getvalue()


def is_coloured(content: bytes) -> bool:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return any(max(pixel) - min(pixel) > 8 for pixel in picture.get_flattened_data())


def coloured_in_the_studio(appliance: Appliance) -> str:
    """The photograph's id."""
    brought = appliance.ask("POST", "/api/v1/photos?name=aunt.jpg", photo()).json["id"]
    job = appliance.ask("POST", "/api/v1/jobs", {"photos": [brought], "preset": "portrait"}).json

    def over() -> bool:
        state = appliance.ask("GET", f"/api/v1/jobs/{job['id']}").json["state"]
        assert state != "failed", appliance.handle("logs", "studio").stdout
        return bool(state == "done")

    appliance.soon(over)
    return str(brought)


def test_who_has_no_password_stays_outside(appliance: Appliance) -> None:
    assert appliance.ask("GET", "/api/v1/me", password="wrong-password").status == 401
    assert appliance.ask("GET", "/api/v1/me").json["user"] == "admin"


def test_a_photograph_is_coloured_through_comfyui(appliance: Appliance) -> None:
    appliance.soon(lambda: appliance.ask("GET", "/comfyui/system_stats").status == 200)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="aunt.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + photo() + b"\r\n--b--\r\n"
    )
    kept = appliance.ask(
        "POST", "/comfyui/upload/image", form, Content_Type="multipart/form-data; boundary=b"
    ).json
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": kept["name"]}},
        "2": {"class_type": "DDColor-ddcolorize",
              "inputs": {"image": ["1", 0], "model": "ddcolor_v2", "input_size": 512}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "a"}},
    }  # fmt: skip
    info = appliance.ask("GET", "/comfyui/object_info/DDColor-ddcolorize").json
    wanted = info["DDColor-ddcolorize"]["input"]["required"]
    graph["2"]["inputs"] = {
        name: graph["2"]["inputs"].get(name, _default(declared))
        for name, declared in wanted.items()
    }
    queued = appliance.ask("POST", "/comfyui/prompt", {"prompt": graph})
    assert queued.status == 200, queued.body
    run = queued.json["prompt_id"]
    history = appliance.soon(lambda: appliance.ask("GET", f"/comfyui/history/{run}").json)[run]
    assert history["status"]["status_str"] == "success", history["status"]
    (made,) = history["outputs"]["3"]["images"]
    address = f"/comfyui/view?filename={made['filename']}&subfolder={made['subfolder']}&type=output"
    assert is_coloured(appliance.ask("GET", address).body)


def _default(declared: list[object]) -> object:
    kind, facts = declared[0], declared[1] if len(declared) > 1 else {}
    assert isinstance(facts, dict)
    options = kind if isinstance(kind, list) else facts.get("options") or [None]
    return facts.get("default", options[0])


def test_its_models_are_those_of_the_folder_and_of_the_image(appliance: Appliance) -> None:
    found = json.loads(appliance.inside("studio", "heliochrome", "models", "list", "--json").stdout)
    paths = {model["path"] for model in found if model["path"]}
    assert paths == {f"/opt/models/{BAKED}.safetensors", "/models/ddcolor_v2.safetensors"}


@every_service
def test_health_says_that_it_works(appliance: Appliance, service: str) -> None:
    """What the engine runs, if it has somebody to: podman has nobody without systemd."""
    found = appliance.engine.call(
        "inspect", "--format", "{{json .Config.Healthcheck.Test}}",
        appliance.container(service),
    ).stdout  # fmt: skip
    kind, *command = json.loads(found)
    assert (kind, command[:2]) == ("CMD", ["python", "/opt/appliance/health.py"])
    assert appliance.inside(service, *command).returncode == 0
    assert appliance.inside(service, *command[:2], "http://127.0.0.1:9/").returncode == 1
    if appliance.engine.name == "docker":
        status = "{{.State.Health.Status}}"
        asked = ("inspect", "--format", status, appliance.container(service))
        appliance.soon(lambda: appliance.engine.call(*asked).stdout.strip() == "healthy")


# --- Afterwards ----------------------------------------------------------------------------------


def jobs(appliance: Appliance) -> list[str]:
    return [job["id"] for job in appliance.ask("GET", "/api/v1/jobs").json["jobs"]]


def test_a_restart_keeps_jobs_and_users(appliance: Appliance) -> None:
    before, certificate = jobs(appliance), appliance.certificate()
    assert before
    begun = time.monotonic()
    appliance.handle("down")
    assert time.monotonic() - begun < 30  # each ends when told, and need not be killed
    shown = appliance.handle("up").stderr
    assert "password" not in shown
    appliance.soon(appliance.answers)
    assert jobs(appliance) == before
    assert appliance.certificate() == certificate


def test_a_backup_brings_back_what_was_lost(appliance: Appliance, tmp_path: Path) -> None:
    before = jobs(appliance)
    kept = tmp_path / "kept"
    appliance.handle("backup", str(kept))
    assert kept.stat().st_mode & 0o077 == 0
    appliance.soon(appliance.answers)
    for job in before:
        assert appliance.ask("DELETE", f"/api/v1/jobs/{job}").status == 204
    assert jobs(appliance) == []
    refused = appliance.handle("restore", str(kept), check=False)
    assert refused.returncode == 2 and "appliance restore --replace" in refused.stderr
    appliance.handle("restore", "--replace", str(kept))
    appliance.soon(appliance.answers)
    assert jobs(appliance) == before
    assert appliance.inside("studio", "test", "-e", f"/data/studio/{RESTORED}").returncode == 0


def test_a_damaged_backup_is_refused_before_anything_is_lost(
    appliance: Appliance, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    appliance.handle("backup", str(kept))
    appliance.soon(appliance.answers)
    with (kept / "studio.tar").open("r+b") as file:
        file.truncate(2048)
    assert appliance.handle("restore", "--replace", str(kept), check=False).returncode != 0
    assert jobs(appliance)


def test_the_support_bundle_holds_no_secret(appliance: Appliance, tmp_path: Path) -> None:
    appliance.handle("support-bundle", str(tmp_path / "bundle"))
    secrets = [
        appliance.password.encode(),
        (appliance.folder / "secrets/studio_token").read_bytes(),
        b"$argon2id$",
    ]
    with tarfile.open(tmp_path / "bundle.tar.gz") as bundle:
        contents = {member.name: bundle.extractfile(member) for member in bundle.getmembers()}
        files = {name: file.read() for name, file in contents.items() if file}
    assert {Path(name).name for name in files} == {
        "machine.txt", "status.txt", "doctor.txt", "gateway.log", "studio.log", "comfyui.log",
    }  # fmt: skip
    assert b"backend" in files["bundle/doctor.txt"]
    for name, content in files.items():
        assert not [secret for secret in secrets if secret in content], name


def test_a_self_test_without_a_model_says_what_to_do(appliance: Appliance) -> None:
    model = appliance.folder / "models/ddcolor_v2.safetensors"
    away = model.rename(appliance.folder / "away")
    try:
        appliance.handle("down")
        shown = appliance.handle("up").stderr
        assert "appliance: studio, portrait: NOT GOOD. The model ddcolor_v2 is not there" in shown
        assert f"Model files belong into {appliance.folder}/models" in shown
        assert appliance.handle("self-test", check=False).returncode == 1
        added = appliance.handle("user", "add", "mina", "--generate")
        assert re.search(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}", added.stdout + added.stderr)
        assert '"mina"' in appliance.handle("user", "list", "--json").stdout
    finally:
        away.rename(model)
    appliance.soon(appliance.answers)


def test_nobody_outside_was_asked_for_anything(appliance: Appliance) -> None:
    """Since the first `up`: not one packet left the appliance's own networks, and no name was asked
    for that is not one of its services'."""
    networks = appliance.networks()
    appliance.wire.require_whole()
    assert appliance.wire.heard(networks)
    assert appliance.wire.outside(networks) == set()
    assert {name.partition(".")[0] for name in appliance.wire.names_asked(networks)} <= {*SERVICES}


def test_only_the_gateway_has_a_way_out(appliance: Appliance) -> None:
    """To a machine that is one router away."""
    code = "import socket; socket.create_connection(({0!r}, {1}), 3).recv(9)"
    with machine_outside() as (address, port):
        for service in SERVICES:
            done = appliance.inside(service, "python", "-c", code.format(address, port))
            assert (done.returncode == 0) == (service == "gateway"), (service, done.stderr)


def test_another_password_can_be_made(appliance: Appliance) -> None:
    shown = appliance.handle("passwd").stdout
    (made,) = re.findall(r"([a-z2-9]{5}(?:-[a-z2-9]{5}){3})", shown)
    assert appliance.ask("GET", "/api/v1/me").status == 401
    appliance.password = made
    assert appliance.ask("GET", "/api/v1/me").status == 200
