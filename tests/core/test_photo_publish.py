"""Files appear whole or not at all, and never over one that must stay."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heliochrome.core.errors import OutputExists, OutputFailed
from heliochrome.core.photo import publish, read_photo, write_photo
from photo_samples import PROVENANCE, noise, smooth

SUFFIXES = [".jpg", ".png", ".tif", ".webp"]


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth(8, 8)).save(tmp_path / "in" / "a.png")
    return read_photo(tmp_path / "in" / "a.png")


def write(path, photo, **options):
    return write_photo(path, photo.pixels, photo, PROVENANCE, **options)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_another_file_is_not_overwritten_unless_asked(tmp_path, photo):
    write_photo(tmp_path / "b.png", 255 - photo.pixels, photo, PROVENANCE)
    before = (tmp_path / "b.png").read_bytes()
    with pytest.raises(OutputExists, match="already there"):
        write(tmp_path / "b.png", photo)
    assert (tmp_path / "b.png").read_bytes() == before
    write(tmp_path / "b.png", photo, overwrite=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), smooth(8, 8))
    assert names(tmp_path) == ["b.png", "in"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("how", ["same", "relative", "symlink", "hardlink", "folder-link", "dots"])
def test_the_input_is_never_overwritten(tmp_path, photo, how, overwrite, monkeypatch):
    source = tmp_path / "in" / "a.png"
    before = source.read_bytes()
    target = tmp_path / "other.png"
    match how:
        case "same":
            target = source
        case "relative":
            monkeypatch.chdir(tmp_path / "in")
            target = Path("a.png")
        case "symlink":
            target.symlink_to(source)
        case "hardlink":
            target.hardlink_to(source)
        case "folder-link":
            (tmp_path / "link").symlink_to(tmp_path / "in")
            target = tmp_path / "link" / "a.png"
        case "dots":
            target = tmp_path / "in" / ".." / "in" / "a.png"
    with pytest.raises(OutputExists, match="never overwritten"):
        write(target, photo, overwrite=overwrite)
    assert source.read_bytes() == before


def test_an_input_given_by_a_relative_path_is_protected_elsewhere_too(tmp_path, monkeypatch):
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    photo = read_photo("a.png")
    monkeypatch.chdir("/")
    with pytest.raises(OutputExists, match="never overwritten"):
        write(tmp_path / "a.png", photo, overwrite=True)


def test_links_are_followed_only_to_overwrite(tmp_path, photo):
    write_photo(tmp_path / "real.png", 255 - photo.pixels, photo, PROVENANCE)
    (tmp_path / "link.png").symlink_to("real.png")
    with pytest.raises(OutputExists):
        write(tmp_path / "link.png", photo)
    write(tmp_path / "link.png", photo, overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "real.png")), smooth(8, 8))


def test_a_dangling_link_is_there_already(tmp_path, photo):
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(OutputExists):
        write(tmp_path / "link.png", photo)
    assert not (tmp_path / "nowhere.png").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_and_devices_are_refused(tmp_path, photo, overwrite):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "null.png").symlink_to("/dev/null")
    for name in ("folder.png", "null.png"):
        with pytest.raises(OutputExists):
            write(tmp_path / name, photo, overwrite=overwrite)
    assert not Path("/dev/null").is_file()


def test_a_missing_folder_is_one_clear_error(tmp_path, photo):
    with pytest.raises(OutputFailed, match="No such file"):
        write(tmp_path / "no" / "b.png", photo)


def test_the_file_has_ordinary_permissions(tmp_path, photo):
    old = os.umask(0o027)
    try:
        write(tmp_path / "b.png", photo)
    finally:
        os.umask(old)
    assert (tmp_path / "b.png").stat().st_mode & 0o777 == 0o640


def test_long_names_work(tmp_path, photo):
    name = "照" * 83 + ".png"  # 253 bytes of the 255 that file systems take
    write(tmp_path / name, photo)
    assert name in names(tmp_path)


def test_of_many_writers_one_succeeds(tmp_path, photo):
    """No moment between looking and naming: exactly one file, and it is whole."""
    outcomes = []
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        try:
            write(tmp_path / "b.png", photo)
            outcomes.append("written")
        except OutputExists:
            outcomes.append("refused")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), smooth(8, 8))
    assert names(tmp_path) == ["b.png", "in"]


def test_a_file_that_appears_while_writing_is_not_overwritten(tmp_path):
    target = tmp_path / "b.png"
    with pytest.raises(OutputExists), publish.new_file(target, overwrite=False) as file:
        file.write(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["b.png"]


def test_nothing_is_left_when_the_work_fails(tmp_path):
    for error in (KeyboardInterrupt, RuntimeError, MemoryError):
        with pytest.raises(error), publish.new_file(tmp_path / "b.png", overwrite=False) as file:
            file.write(b"half")
            raise error
    assert names(tmp_path) == []


def mounted(tmp_path, kind, options):
    """A folder with a file system of its own; None where this machine does not give one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    source = "tmpfs"
    if kind == "vfat":
        source = str(tmp_path / "image")
        Path(source).write_bytes(b"\0" * (8 << 20))
        if (mkfs := shutil.which("mkfs.vfat", path=f"{os.environ['PATH']}:/sbin")) is None:
            return None
        subprocess.run([mkfs, source], capture_output=True, check=True)
    command = ["mount", "-t", kind, "-o", options, source, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return folder if done.returncode == 0 else None


@pytest.fixture
def small_disk(tmp_path):
    folder = mounted(tmp_path, "tmpfs", "size=256k") if os.geteuid() == 0 else None
    if folder is None:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_nothing(tmp_path, small_disk, suffix, overwrite):
    Image.fromarray(noise(400, 400)).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    target = small_disk / f"b{suffix}"
    if overwrite:
        Image.fromarray(smooth(8, 8)).save(tmp_path / "small.png")
        write(target, read_photo(tmp_path / "small.png"), allow_loss=True)
        before = target.read_bytes()
    with pytest.raises(OutputFailed, match="No space left on device"):
        write(target, photo, overwrite=overwrite)
    assert names(small_disk) == ([target.name] if overwrite else [])
    if overwrite:
        assert target.read_bytes() == before
    assert sum(p.stat().st_blocks for p in small_disk.iterdir()) <= 8


@pytest.fixture
def disk_without_links(tmp_path):
    """A real FAT disk where one can be mounted; it knows no hard links."""
    folder = mounted(tmp_path, "vfat", "loop") if os.geteuid() == 0 else None
    if folder is None:
        pytest.skip("mounting a FAT disk needs root, mkfs.vfat and loop devices")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_hard_links(disk_without_links, photo):
    write(disk_without_links / "b.png", photo)
    with pytest.raises(OutputExists):
        write(disk_without_links / "b.png", photo)
    assert names(disk_without_links) == ["b.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_process_leaves_no_half_file(tmp_path, photo, overwrite):
    """At most a part under its own name; the destination is untouched."""
    Image.fromarray(noise(1500, 1500)).save(tmp_path / "a.png", compress_level=0)
    out = tmp_path / "out"
    out.mkdir()
    code = f"""
from heliochrome.core.photo import read_photo, write_photo
from photo_samples import PROVENANCE
photo = read_photo({str(tmp_path / "a.png")!r})
print("ready", flush=True)
for n in range(1000):
    write_photo({str(out)!r} + "/b.png", photo.pixels, photo, PROVENANCE, overwrite=True)
"""
    if overwrite:
        write(out / "b.png", photo)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert worker.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 20
    while not list(out.glob(".*.heliochrome-part.png")) and time.monotonic() < deadline:
        time.sleep(0.001)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    worker.stdout.close()
    left = names(out)
    parts = [name for name in left if name.endswith(".heliochrome-part.png")]
    assert len(parts) <= 1
    assert set(left) - set(parts) <= {"b.png"}
    assert "b.png" in left or not overwrite
    if "b.png" in left:
        Image.open(out / "b.png").load()
