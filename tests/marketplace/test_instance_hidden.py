"""docker/marketplace: what `seal` leaves is found after it, and what is innocent is not."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from instance_checker import Image, places, report
from instance_hidden import CONFIG, HIDDEN
from instance_plants import Dirt
from instance_root import ROOT, as_root, copy, seal, write

from heliochrome.core.weights_file import SUFFIXES

INNOCENT = {
    "etc/cloud/cloud.cfg": (
        "users: [default]\nuser: {name: root, lock_passwd: False}\n# password: a\n"
        "system_info:\n  default_user:\n    name: ubuntu\n\n    lock_passwd: False\n"
        '    sudo: ["ALL=(ALL) NOPASSWD:ALL"]\n  # NOPASSWD\n'
        "cloud_config_modules:\n - ssh_import_id\n - runcmd\n - set-passwords\n - ssh\n"
    ),
    CONFIG: "ssh_authorized_keys: []\nchpasswd: {}\nruncmd: [ ]\n",
    "etc/apt/sources.list.d/more.sources": "Types: deb\nTrusted: no\n# Allow-Insecure: yes\n",
    "etc/apt/sources.list.d/more.list": "deb [trusted=0 allow-weak=no] https://a.b/trusted= c d\n",
    "etc/apt/apt.conf.d/99own": (
        '// AllowUnauthenticated "1"\nAPT::Get::AllowUnauthenticated "0";\n'
    ),
    "etc/default/job": (
        "KEYMAP=us\nSECRET_FILE=/run/a\nTOKEN=$(cat /run/a)\nKEY=$OTHER\nPASSWORD=\n"
        "# TOKEN=abc\nUSE_KEYS=yes\n"
    ),
    "home/keeper/.bashrc": '[ "$key" = x ] || [[ $token = x ]]\n',
    "etc/netplan/90-default.yaml": (
        "dhcp4: true\nroutes: [{to: 0.0.0.0/0, via: 169.254.0.1}]\n"
        "nameservers: {addresses: [100.100.2.136]}\n"
    ),
    "etc/network/if-up.d/wait": "#!/bin/sh\n",
    "etc/udev/rules.d/70-snap.lxd.rules": "# of snapd\n",
    "usr/share/doc/support-a.tar": "a\n",
    "var/lib/other/SHA256SUMS": "0  a\n",
    "usr/local/cuda-13.0/a": "a\n",
}


@as_root
@pytest.mark.parametrize("dirt", HIDDEN, ids=str)
def test_what_was_there_before_the_seal_is_found_after_it(
    root: Path, check: Callable[..., dict[str, list[str]]], dirt: Dirt
) -> None:
    dirt.plant(root)
    assert seal(root).returncode == 0
    assert set(check(root)) == dirt.points


@as_root
def test_what_is_innocent_is_not_found(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    root = copy(sealed, tmp_path / "root")
    for path, text in INNOCENT.items():
        write(root, path, text)
    assert check(root) == {}


@as_root
def test_a_secret_is_not_said(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    root = copy(sealed, tmp_path / "root")
    write(root, "etc/environment", "A_TOKEN=hunter2\n")
    write(root, CONFIG, "password: hunter2\n")
    assert check(root) == {
        "credentials": ["etc/environment: A_TOKEN"],
        "cloud-settings": [f"{CONFIG}: password"],
    }


@as_root
def test_what_dpkg_and_ucf_know_is_as_they_brought_it(
    sealed: Path, tmp_path: Path, check: Callable[..., dict[str, list[str]]]
) -> None:
    """A file that another package put aside, and settings that ucf keeps."""
    root = copy(sealed, tmp_path / "root")
    other, unit = "[Service]\nExecStart=/usr/bin/other\n", "/lib/systemd/system/cron.service"
    write(root, unit[1:], other)
    write(root, "etc/default/kept", "API_KEY=abc\n")
    assert set(check(root)) == {"additions", "credentials"}
    digests = {text: hashlib.md5(text.encode()).hexdigest() for text in (other, "API_KEY=abc\n")}
    write(root, "var/lib/dpkg/diversions", f"{unit}\n{unit}.aside\nother\n")
    write(root, "var/lib/dpkg/info/other.md5sums", f"{digests[other]}  {unit[1:]}\n")
    write(root, "var/lib/ucf/hashfile", f"{digests['API_KEY=abc' + chr(10)]}  /etc/default/kept\n")
    assert check(root) == {}


@as_root
def test_what_cannot_be_read_is_not_taken_for_absent(tmp_path: Path) -> None:
    """As somebody whom the folder is closed to."""
    write(tmp_path, "root/.ssh/authorized_keys")
    (tmp_path / "root").chmod(0o700)
    tmp_path.chmod(0o755)
    image = Image(tmp_path)
    assert image.has("root/.ssh/authorized_keys") and not image.has("root/none/a")
    assert not image.has("root/.ssh/authorized_keys/a")
    try:
        os.seteuid(65534)
    except OSError as cause:
        pytest.skip(f"no other users here: {cause}")
    try:
        for look in (image.has, image.at, image.entry, image.data, image.names, image.link):
            with pytest.raises(PermissionError):
                look("root/.ssh/authorized_keys")
    finally:
        os.seteuid(0)


def test_nobody_but_root_is_told_that_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert report.main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Expected root" in said.err and "sudo" in said.err


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Image, path: str) -> bytes:
        raise OSError(5, "read error")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Image, "data", broken)
    assert report.main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "read error" in said.err


def test_models_are_those_that_the_store_takes() -> None:
    assert set(places.MODELS) == set(SUFFIXES)


def test_backups_and_bundles_are_named_as_the_appliance_names_them() -> None:
    handle = (ROOT / "docker/appliance").read_text("utf-8")
    (kept,) = re.findall(r'^kept="([a-z ]+)"$', handle, re.MULTILINE)
    assert {f"{name}.tar" for name in kept.split()} == set(places.KEPT)
    assert "support-$(date -u +%Y%m%dT%H%M%SZ)" in handle and '"$target.tar.gz"' in handle
    assert places.BUNDLE.fullmatch("support-20260101T000000Z.tar.gz")
