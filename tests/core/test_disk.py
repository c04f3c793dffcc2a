"""Files that are whole or not there, whoever writes them, and notes that may be damaged."""

import logging
from pathlib import Path

import pytest

from heliochrome.core import disk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_target_is_there_only_when_it_is_whole(tmp_path: Path, overwrite: bool):
    target = tmp_path / "b.png"
    with disk.whole_file(target, overwrite=overwrite) as file:
        file.write(b"all of it")
        assert not target.exists()
        part = Path(file.name)
        assert names(tmp_path) == [part.name]
        assert part.name.startswith(".") and part.suffix == ".png"
    assert target.read_bytes() == b"all of it" and names(tmp_path) == ["b.png"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, overwrite: bool):
    target = tmp_path / "b.png"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), disk.whole_file(target, overwrite=overwrite) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert target.read_bytes() == b"old" and names(tmp_path) == ["b.png"]


def test_only_overwriting_replaces(tmp_path: Path):
    target = tmp_path / "b.png"
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError), disk.whole_file(target, overwrite=False) as file:
        file.write(b"new")
    assert target.read_bytes() == b"old"
    with disk.whole_file(target, overwrite=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new" and names(tmp_path) == ["b.png"]


def test_the_way_without_hard_links_refuses_and_keeps(tmp_path: Path):
    part, target = tmp_path / "part", tmp_path / "b"
    part.write_bytes(b"new")
    disk._reserve_and_replace(part, target)
    assert target.read_bytes() == b"new"
    part.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        disk._reserve_and_replace(part, target)
    assert target.read_bytes() == b"new"
    part.unlink()
    with pytest.raises(FileNotFoundError):
        disk._reserve_and_replace(part, tmp_path / "c")
    assert names(tmp_path) == ["b"]


def test_a_folder_is_there_only_when_it_is_whole(tmp_path: Path):
    target = tmp_path / "model"
    with disk.whole_folder(target, owner="model") as folder:
        (folder / "unet").mkdir()
        (folder / "unet/a.bin").write_bytes(b"all of it")
        assert not target.exists() and names(tmp_path) == [folder.name]
    assert (target / "unet/a.bin").read_bytes() == b"all of it" and names(tmp_path) == ["model"]


@pytest.mark.parametrize("there", [None, "file", "empty folder", "full folder"])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path: Path, there: str | None):
    target = tmp_path / "model"
    if there == "file":
        target.write_bytes(b"old")
    elif there is not None:
        target.mkdir()
    if there == "full folder":
        (target / "old").touch()
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(KeyboardInterrupt if there is None else FileExistsError),
        disk.whole_folder(target, owner="model") as folder,
    ):
        (folder / "half").touch()
        if there is None:
            raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before


def test_folders_that_killed_processes_left_are_swept(tmp_path: Path):
    for name in ("model", "another"):
        (tmp_path / f".{name}.00{disk.PART}/unet").mkdir(parents=True)
    disk.sweep_parts(tmp_path, "model")
    assert names(tmp_path) == [f".another.00{disk.PART}"]


def test_only_the_owner_s_parts_are_swept(tmp_path: Path):
    with disk.whole_file(tmp_path / "a.bin", overwrite=True, owner="mine") as file:
        for other in ("theirs", "min", "mine-too"):
            disk.sweep_parts(tmp_path, other)
            assert Path(file.name).exists()
        left = tmp_path / Path(file.name).name.replace(".mine.", ".mine.killed")
        left.touch()
        (tmp_path / "mine.bin").touch()
    disk.sweep_parts(tmp_path, "mine")
    assert names(tmp_path) == ["a.bin", "mine.bin"]


def test_progress_counts_what_has_been_dealt_with(tmp_path: Path):
    body = bytes(5 << 18)  # one block and a quarter
    (tmp_path / "a").write_bytes(body)
    seen: list[tuple[int, int]] = []
    read = 0
    for block in disk.read_blocks(tmp_path / "a", lambda done, total: seen.append((done, total))):
        assert sum(done for done, _ in seen[-1:]) == read
        read += len(block)
    assert seen == [(1 << 20, len(body)), (len(body), len(body))]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 200_000])
def test_a_damaged_note_is_empty_and_logged(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "note.json"
    with caplog.at_level(logging.WARNING, "heliochrome"):
        assert disk.read_json(path) == {} and not caplog.records  # a missing one is no damage
        path.write_bytes(damage)
        assert disk.read_json(path) == {}
    assert str(path) in caplog.text
    disk.write_json(path, {"照": 1})
    assert disk.read_json(path) == {"照": 1} and names(tmp_path) == ["note.json"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (54_240_000, "54.2 MB"),
        (340_400_000, "340 MB"),
        (1_000_000_000, "1.0 GB"),
        (12_340_000_000, "12.3 GB"),
        (2_500_000_000_000_000, "2500 TB"),
    ],
)
def test_amounts_are_for_people(size: int, words: str):
    assert disk.human_bytes(size) == words
