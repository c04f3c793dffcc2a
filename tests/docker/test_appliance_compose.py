"""What the compose file and the seccomp profile promise, read from them; and the handle, run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dockerfile import DOCKER, IMAGE, ROOT, read
from heliochrome.studio.settings import StudioSettings
from heliochrome_gateway.settings import GatewaySettings

COMPOSE: Mapping[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
SECCOMP: Mapping[str, Any] = json.loads((DOCKER / "seccomp.json").read_text("utf-8"))
SERVICES: Mapping[str, Any] = COMPOSE["services"]

every_service = pytest.mark.parametrize("service", sorted(SERVICES))


@every_service
def test_a_service_has_no_rights_and_bounds(service: str) -> None:
    found = SERVICES[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"] and "cap_add" not in found
    assert found["security_opt"] == ["no-new-privileges:true", "seccomp=seccomp.json"]
    assert not {"privileged", "pid", "userns_mode", "devices", "network_mode"} & set(found)
    assert found["ipc"] == "private"
    assert 0 < found["pids_limit"] <= 512
    assert found["mem_limit"] and found["cpus"]
    assert found["restart"].startswith("on-failure:")
    assert found["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert found["healthcheck"]["test"][1:3] == ["python", "/opt/appliance/health.py"]
    (user,) = read(DOCKER / "Dockerfile").stages["runtime"].all("USER")
    assert found["user"] == user


@every_service
def test_what_a_service_writes_is_its_own_volume_or_small(service: str) -> None:
    found = SERVICES[service]
    own, *others = found["volumes"]
    assert own == f"{service}:/data"
    assert all(mount.endswith(":/models:ro") for mount in others)
    assert not any("docker.sock" in mount for mount in found["volumes"])
    (temporary,) = found["tmpfs"]
    folder, _, options = temporary.partition(":")
    assert folder == "/tmp"
    assert {"noexec", "nosuid", "nodev"} <= set(options.split(",")) and "size=" in options


def test_only_the_gateway_can_be_reached_and_only_it_reaches_out() -> None:
    assert [name for name, found in SERVICES.items() if "ports" in found] == ["gateway"]
    (port,) = SERVICES["gateway"]["ports"]
    assert port.startswith("${HELIOCHROME_ADDRESS:-127.0.0.1}:") and port.endswith(":8443")
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["gateway"]["networks"] == ["outside", "inside"]
    assert SERVICES["studio"]["networks"] == SERVICES["comfyui"]["networks"] == ["inside"]


def test_secrets_are_files_and_comfyui_gets_none() -> None:
    files = {f"/run/secrets/{name}" for name in COMPOSE["secrets"]}
    for name, found in SERVICES.items():
        for variable, text in found["environment"].items():
            if "TOKEN" in variable or "PASSWORD" in variable:
                assert variable.endswith("_FILE") and text in files, (name, variable)
    assert "secrets" not in SERVICES["comfyui"]
    assert SERVICES["studio"]["secrets"] == ["studio_token"]
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "/docker/secrets/" in ignored


def test_gateway_and_studio_accept_their_settings(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x" * 43)

    def environment(service: str) -> dict[str, str]:
        steps = read(DOCKER / "Dockerfile").stages["runtime"].all("ENV")
        image = dict(setting.split("=", 1) for step in steps for setting in step.split())
        own = {
            name: text if not text.startswith("${") else text.partition(":-")[2].rstrip("}")
            for name, text in SERVICES[service]["environment"].items()
        }
        return {**image, **own}

    gateway = environment("gateway")
    gateway["HELIOCHROME_GATEWAY_STUDIO_TOKEN_FILE"] = str(tmp_path / "token")
    found = GatewaySettings.from_environ(gateway)
    assert (found.tls, found.listen_host, found.listen_port) == ("self-signed", "0.0.0.0", 8443)
    assert str(found.folder).startswith("/data/")
    studio = environment("studio")
    studio["HELIOCHROME_STUDIO_TOKEN_FILE"] = str(tmp_path / "token")
    served = StudioSettings.from_environ(studio)
    assert found.studio == f"http://studio:{served.listen_port}"
    assert str(served.folder).startswith("/data/")


def test_the_card_is_reserved_for_those_that_compute() -> None:
    extra = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text("utf-8"))["services"]
    assert set(extra) == set(SERVICES)
    reserved = {name for name, found in extra.items() if "deploy" in found}
    assert reserved == {"studio", "comfyui"}
    for found in extra.values():
        assert set(found) <= {"image", "deploy", "environment"}  # nothing is opened again


@pytest.mark.parametrize("compose", ["podman-compose", "docker-compose"])
@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]])
def test_what_reads_compose_files_accepts_them(
    tmp_path: Path, compose: str, files: list[str]
) -> None:
    command = shutil.which(compose, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if command is None:
        pytest.skip(f"{compose} is missing")
    for name in files:
        shutil.copy(DOCKER / name, tmp_path)
    shutil.copy(DOCKER / "seccomp.json", tmp_path)
    options = [word for name in files for word in ("-f", name)]
    done = subprocess.run(
        [command, *options, "config"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = yaml.safe_load(done.stdout)["services"]
    assert set(found) == set(SERVICES)
    assert all(
        service["read_only"] and service["cap_drop"] == ["ALL"] for service in found.values()
    )
    assert ("deploy" in found["studio"]) == (len(files) == 2)


# --- The profile ---------------------------------------------------------------------------------

ALLOWED = {
    name
    for rule in SECCOMP["syscalls"]
    if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
    for name in rule["names"]
}


def test_what_is_not_named_is_refused() -> None:
    assert SECCOMP["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {rule["action"] for rule in SECCOMP["syscalls"]} == {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}
    assert not [
        rule for rule in SECCOMP["syscalls"] if rule.keys() & {"includes", "excludes"}
    ]  # no capability opens anything


REFUSED = """
    unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fsconfig
    mount_setattr ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp bpf perf_event_open
    userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register
    init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff
    open_by_handle_at name_to_handle_at mknod mknodat quotactl acct syslog settimeofday
    clock_settime adjtimex clock_adjtime iopl ioperm modify_ldt personality clone clone3 socket
    landlock_restrict_self fanotify_init lookup_dcookie vhangup sethostname setdomainname
    move_pages migrate_pages mbind seccomp
"""


@pytest.mark.parametrize("refused", REFUSED.split())
def test_what_reaches_the_kernel_or_others_is_not_free(refused: str) -> None:
    assert refused not in ALLOWED


def test_a_thread_is_allowed_and_a_namespace_is_not() -> None:
    (clone,) = (rule for rule in SECCOMP["syscalls"] if "clone" in rule["names"])
    ((mask, wanted),) = {(arg["value"], arg["valueTwo"]) for arg in clone["args"]}
    assert [arg["op"] for arg in clone["args"]] == ["SCMP_CMP_MASKED_EQ"]
    # NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
    for flag in (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30):
        assert flag & mask != wanted
    thread = 0x003D0F00  # what pthread_create asks for
    assert thread & mask == wanted
    (clone3,) = (rule for rule in SECCOMP["syscalls"] if "clone3" in rule["names"])
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_sockets_are_of_the_families_that_are_used() -> None:
    families = {
        rule["args"][0]["value"] for rule in SECCOMP["syscalls"] if rule["names"] == ["socket"]
    }
    assert families == {1, 2, 10, 16}  # UNIX, INET, INET6, NETLINK


# --- The handle ----------------------------------------------------------------------------------


@pytest.fixture
def handle(tmp_path: Path) -> Path:
    """The script in a folder of its own, with a compose that writes down what it is told."""
    shutil.copy(DOCKER / "appliance", tmp_path / "appliance")
    compose = tmp_path / "compose"
    compose.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/told\n'
        'case "$*" in *port*) echo 0.0.0.0:8443 ;; *tar*-cf*) tar -cf - -T /dev/null ;;\n'
        f'*logs*) cat {tmp_path}/log ;; *self-test*) exec {tmp_path}/self-test "$@" ;; esac\n'
    )
    compose.chmod(0o755)
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nexit 0\n")
    smi.chmod(0o755)
    (tmp_path / "log").touch()
    tested = tmp_path / "self-test"
    tested.write_text("#!/bin/sh\necho 'portrait: good. It was coloured.'\n")
    tested.chmod(0o755)
    return tmp_path


def run(
    handle: Path, *command: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": f"{handle}:{os.environ['PATH']}",
        "HELIOCHROME_COMPOSE": str(handle / "compose"),
        **more,
    }
    return subprocess.run(
        [handle / "appliance", *command], env=environ, cwd=cwd or handle,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_first_start_makes_a_password_shows_it_and_forgets_it(handle: Path) -> None:
    first = run(handle, "up")
    assert first.returncode == 0, first.stderr
    assert "sign in as admin with the password " in first.stderr
    token = (handle / "secrets/studio_token").read_text()
    assert len(token) == 43
    assert (handle / "secrets/password").read_text() == ""
    assert (handle / "secrets").stat().st_mode & 0o777 == 0o700
    second = run(handle, "up")
    assert "password" not in second.stderr
    assert (handle / "secrets/studio_token").read_text() == token


def test_a_password_that_was_given_is_used_and_not_shown(handle: Path) -> None:
    (handle / "secrets").mkdir()
    (handle / "secrets/password").write_text("chosen by myself\n")
    done = run(handle, "up")
    assert "chosen by myself" not in done.stdout + done.stderr
    assert "password" not in done.stderr
    assert (handle / "secrets/password").read_text() == ""


def test_a_backup_is_where_the_caller_means_and_written_over_nothing(
    handle: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert run(handle, "backup", "kept", cwd=elsewhere).returncode == 0
    assert {path.name for path in (elsewhere / "kept").iterdir()} == {
        "gateway.tar", "studio.tar", "comfyui.tar", "SHA256SUMS",
    }  # fmt: skip
    told = (handle / "told").read_text().splitlines()
    assert "stop" in told[0] and told[-1].endswith("up -d")
    assert run(handle, "backup", "kept", cwd=elsewhere).returncode != 0


def test_a_backup_that_fails_leaves_nothing_and_the_appliance_runs_again(handle: Path) -> None:
    compose = handle / "compose"
    compose.write_text(compose.read_text().replace("tar -cf - -T /dev/null", "exit 1"))
    done = run(handle, "backup", "kept")
    assert done.returncode != 0 and "No backup was made" in done.stderr
    assert not [*handle.glob("kept*")]
    assert (handle / "told").read_text().splitlines()[-1].endswith("up -d")


def test_a_backup_is_not_restored_over_what_is_there_unless_told(handle: Path) -> None:
    assert run(handle, "backup", "kept").returncode == 0
    compose = handle / "compose"
    compose.write_text(compose.read_text().replace("*port*)", "*'ls -A'*) echo full ;; *port*)"))
    (handle / "told").unlink()
    done = run(handle, "restore", "kept")
    assert done.returncode == 2 and "appliance restore --replace" in done.stderr
    told = (handle / "told").read_text()
    assert "-delete" not in told and told.splitlines()[-1].endswith("up -d")
    assert run(handle, "restore", "--replace", "kept").returncode == 0
    assert "-delete" in (handle / "told").read_text()
    assert (handle / "secrets/password").read_text() == "", "the users are those of the backup"


def test_the_first_password_is_shown_by_the_start_that_succeeds(handle: Path) -> None:
    compose = handle / "compose"
    working = compose.read_text()
    compose.write_text(working.replace("*port*)", "*health.py*) exit 1 ;; *port*)"))
    slow = run(handle, "up", HELIOCHROME_UP_WAIT_S="1")
    assert slow.returncode == 1 and "password admin" not in slow.stderr
    made = (handle / "secrets/password").read_text().strip()
    assert made
    compose.write_text(working)
    assert f"sign in as admin with the password {made}" in run(handle, "up").stderr
    assert made not in run(handle, "up").stderr


@pytest.mark.parametrize(
    ("line", "card"),
    [
        ("HELIOCHROME_GPU=1", True),
        ("HELIOCHROME_GPU='1'", True),
        ('HELIOCHROME_GPU="1"  # the L4', True),
        ("export HELIOCHROME_GPU=1 ", True),
        ("HELIOCHROME_GPU=0\nHELIOCHROME_GPU=1\r", True),
        ("HELIOCHROME_GPU=1\nHELIOCHROME_GPU=0", False),
        ("#HELIOCHROME_GPU=1", False),
        ("HELIOCHROME_GPUS=1", False),
    ],
)
def test_the_file_is_read_as_compose_reads_it(handle: Path, line: str, card: bool) -> None:
    (handle / ".env").write_text(f"{line}\n")
    run(handle, "down")
    assert ("compose.gpu.yaml" in (handle / "told").read_text()) == card


def test_a_card_is_on_or_off(handle: Path) -> None:
    done = run(handle, "down", HELIOCHROME_GPU="yes")
    assert done.returncode == 2 and 'got "yes"' in done.stderr and not (handle / "told").exists()


def test_a_card_whose_driver_fails_does_not_keep_the_page_down(handle: Path) -> None:
    (handle / "nvidia-smi").write_text(
        "#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n"
    )
    compose = handle / "compose"
    compose.write_text(compose.read_text().replace("echo ", 'echo "$HELIOCHROME_IMAGE" ', 1))
    done = run(handle, "up", HELIOCHROME_GPU="1")
    assert done.returncode == 0
    assert "cannot be used: Driver/library version mismatch" in done.stderr
    told = (handle / "told").read_text()
    assert "gpu.yaml" not in told and "localhost/heliochrome:gpu" in told


def test_with_a_card_the_second_file_is_used(handle: Path) -> None:
    run(handle, "down", HELIOCHROME_GPU="1")
    assert "-f compose.yaml -f compose.gpu.yaml down" in (handle / "told").read_text()


def entrypoint_says(path: str) -> str:
    done = subprocess.run(
        [IMAGE / "entrypoint.sh", "true"], capture_output=True, text=True, check=True,
        env={"HELIOCHROME_PROCESSOR": "gpu", "PATH": path},
    )  # fmt: skip
    return "".join(f"studio-1 | {line}\n" for line in done.stderr.splitlines())


def test_the_card_that_was_found_is_told(handle: Path) -> None:
    (handle / "nvidia-smi").write_text("#!/bin/sh\necho '580.95.05, NVIDIA L4'\n")
    said = entrypoint_says(f"{handle}:{os.environ['PATH']}")
    (handle / "log").write_text(f"studio-1 | heliochrome: something else\n{said}")
    (handle / ".env").write_text("HELIOCHROME_GPU=1\nHELIOCHROME_ADDRESS=0.0.0.0\n")
    done = run(handle, "up")
    assert "appliance: graphics card found: 580.95.05, NVIDIA L4\n" in done.stderr
    assert "something else" not in done.stderr
    assert "https://<address of this machine>:8443/" in done.stderr


def test_a_card_that_does_not_reach_the_container_is_told_with_the_reason(handle: Path) -> None:
    (handle / "log").write_text(entrypoint_says("/usr/bin:/bin"))
    done = run(handle, "up", HELIOCHROME_GPU="1")
    assert "appliance: No graphics card reaches this container." in done.stderr
    assert "processor instead" in done.stderr


def test_both_engines_are_tried_and_what_is_wrong_is_told_with_what_to_do(handle: Path) -> None:
    done = run(handle, "self-test")
    assert done.returncode == 0
    told = (handle / "told").read_text()
    assert "_ --worker" in told and "_ --comfyui http://comfyui:8188" in told
    for part in ("studio", "ComfyUI"):
        assert f"appliance: {part}, portrait: good. It was coloured." in done.stderr
    (handle / "self-test").write_text("#!/bin/sh\necho 'portrait: NOT GOOD. No model.'\nexit 1\n")
    wrong = run(handle, "self-test")
    assert wrong.returncode == 1
    assert "appliance: studio, portrait: NOT GOOD. No model." in wrong.stderr
    assert f"Model files belong into {handle}/models" in wrong.stderr
    assert "appliance logs studio" in wrong.stderr and "appliance logs comfyui" in wrong.stderr
    up = run(handle, "up")
    assert up.returncode == 0 and "NOT GOOD" in up.stderr, "the page is there all the same"
    (handle / "self-test").write_text("#!/bin/sh\necho 'photographs keep it busy.'\nexit 2\n")
    busy = run(handle, "self-test")
    assert busy.returncode == 2 and "Model files belong" not in busy.stderr


@pytest.mark.parametrize("command", [[], ["explode"], ["backup"], ["restore"]])
def test_wrong_use_is_told(handle: Path, command: list[str]) -> None:
    done = run(handle, *command)
    assert done.returncode == 2 and done.stderr
    if not command:
        by_name = subprocess.run(
            ["sh", f"{handle.name}/appliance"], cwd=handle.parent, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert "support-bundle" in done.stderr and by_name.stderr == done.stderr
    assert not (handle / "told").exists()
