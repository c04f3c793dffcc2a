"""The downloader against a real server process that cuts, stalls, lies and redirects."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heliochrome.core.disk import CannotWrite
from heliochrome.core.download import Patience, Remote, Unreachable, download
from heliochrome.core.errors import BadWeights, Cancelled, ChecksumMismatch, DownloadFailed
from model_server import ONE, ModelServer, archive, running_server

BODY = archive(6 * ONE)
SHA = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(first_wait_s=0.01, tries=3, stall_s=1)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    return f"files/{request.node.name.replace('[', '-').replace(']', '')}.bin"


def spans(server: ModelServer, path: str) -> list[str | None]:
    return [span for asked, span in server.requests if asked == path]


def parts(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_whole_file_with_progress(server: ModelServer, path: str, tmp_path: Path):
    server.serve(path, BODY)
    seen: list[tuple[int, int]] = []
    remote = Remote(server.address, path, len(BODY), SHA)
    digest = download(
        remote, tmp_path / "m.bin", progress=lambda done, total: seen.append((done, total))
    )
    assert digest == SHA and (tmp_path / "m.bin").read_bytes() == BODY
    assert parts(tmp_path) == ["m.bin"]
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_cut_connections_are_continued_not_repeated(server: ModelServer, path: str, tmp_path: Path):
    cut = {"cut_after": 2 * ONE}
    server.serve(path, BODY, cut, cut, {})
    assert download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK) == SHA
    asked = spans(server, path)
    assert asked[0] is None and len(asked) == 3
    starts = [int(span.removeprefix("bytes=").rstrip("-")) for span in asked[1:] if span]
    assert len(starts) == 2 and 0 < starts[0] < starts[1]


def test_an_endless_cutter_is_given_up_and_the_part_kept(
    server: ModelServer, path: str, tmp_path: Path
):
    server.serve(path, BODY, {"cut_after": 2 * ONE}, {"cut_after": 0})
    target = tmp_path / "m.bin"
    with pytest.raises(DownloadFailed, match=r"broke off.*kept and will be continued"):
        download(Remote(server.address, path), target, patience=QUICK)
    assert len(spans(server, path)) == 1 + QUICK.tries
    assert not target.exists() and [name[-5:] for name in parts(tmp_path)] == [".part", ".json"]

    server.serve(path, BODY)  # the line is good again: a later call goes on
    assert download(Remote(server.address, path), target, patience=QUICK) == SHA
    last = spans(server, path)[-1]
    assert last is not None and int(last.removeprefix("bytes=").rstrip("-")) > 0
    assert parts(tmp_path) == ["m.bin"]


def test_a_server_without_ranges_is_asked_from_the_start(
    server: ModelServer, path: str, tmp_path: Path
):
    server.serve(path, BODY, {"cut_after": 2 * ONE}, {"ignore_range": True})
    assert download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK) == SHA
    assert spans(server, path)[-1] is None


def test_an_endless_cutter_without_ranges_is_given_up(
    server: ModelServer, path: str, tmp_path: Path
):
    server.serve(path, BODY, {"cut_after": 2 * ONE, "ignore_range": True})
    with pytest.raises(DownloadFailed):
        download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK)
    assert len(spans(server, path)) < 10


@pytest.mark.parametrize("size", [4, 6, 2])
def test_a_file_that_changed_meanwhile_is_not_glued_together(
    server: ModelServer, path: str, tmp_path: Path, size: int
):
    new = archive(size * ONE, seed=1)
    server.serve(path, BODY, {"cut_after": 3 * ONE}, {"etag": '"two"', "body": new})
    digest = download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK)
    assert digest == hashlib.sha256(new).hexdigest()
    assert (tmp_path / "m.bin").read_bytes() == new


def test_redirects_and_resuming_together(server: ModelServer, path: str, tmp_path: Path):
    with running_server() as cdn:
        cdn.serve("cdn/blob", BODY, {"cut_after": 2 * ONE}, {})
        server.serve(path, b"", {"redirect": f"{cdn.address}/cdn/blob"})
        assert download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK) == SHA
        first, second = [span for asked, span in cdn.requests if asked == "cdn/blob"]
    assert first is None and second is not None


def test_a_busy_server_is_asked_again(server: ModelServer, path: str, tmp_path: Path):
    server.serve(path, BODY, {"status": 503}, {"status": 500}, {})
    assert download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK) == SHA


def test_a_stalled_server_is_left_and_continued(server: ModelServer, path: str, tmp_path: Path):
    server.serve(path, BODY, {"stall_after": 2 * ONE + 5}, {})
    assert download(Remote(server.address, path), tmp_path / "m.bin", patience=QUICK) == SHA
    assert spans(server, path)[1] is not None


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"status": 404}, "answered 404"),
        ({"status": 403}, "answered 403"),
        ({"status": 401}, "answered 401"),
        ({"html": True}, "web page"),
        ({"body": BODY[:-1]}, f"offers {len(BODY) - 1} bytes, but the file has {len(BODY)}"),
    ],
)
def test_answers_that_will_not_change_are_not_asked_for_again(
    server: ModelServer, tmp_path: Path, step: dict, message: str
):
    path = f"files/lasting-{abs(hash(message))}.bin"
    server.serve(path, BODY, step)
    with pytest.raises(DownloadFailed, match=message) as caught:
        download(Remote(server.address, path, len(BODY)), tmp_path / "m.bin", patience=QUICK)
    assert server.address in str(caught.value) and "\n" not in str(caught.value)
    assert len(spans(server, path)) == 1
    assert parts(tmp_path) == []


def test_nobody_listens(tmp_path: Path):
    started = time.monotonic()
    with pytest.raises(Unreachable, match="connection was refused"):
        download(Remote("http://127.0.0.1:9", "x.bin"), tmp_path / "m.bin")
    assert time.monotonic() - started < 3  # no long patience where there is no network at all
    assert parts(tmp_path) == []


def test_wrong_content_is_removed(server: ModelServer, path: str, tmp_path: Path):
    server.serve(path, archive(2 * ONE, seed=2))
    with pytest.raises(ChecksumMismatch, match=r"the catalogue says a{64}\. It was removed"):
        download(Remote(server.address, path, sha256="a" * 64), tmp_path / "m.bin")
    assert parts(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>" + b" " * 900, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "LFS pointer"),
        (BODY[: 3 * ONE], "incomplete"),
    ],
)
def test_impostors_are_removed(server: ModelServer, tmp_path: Path, body: bytes, message: str):
    path = f"files/impostor-{len(body)}.bin"
    server.serve(path, body)
    with pytest.raises(BadWeights, match=message):
        download(Remote(server.address, path), tmp_path / "m.bin")
    assert parts(tmp_path) == []


@pytest.mark.parametrize("step", [{"pace": ONE // 2}, {"stall_after": ONE}], ids=["slow", "silent"])
def test_cancel_is_quick_and_keeps_the_part(
    server: ModelServer, path: str, tmp_path: Path, step: dict
):
    server.serve(path, BODY, step, {})
    started = time.monotonic()

    def cancel() -> None:
        if time.monotonic() - started > 1:
            raise Cancelled("stopped")

    remote, target = Remote(server.address, path), tmp_path / "m.bin"
    with pytest.raises(Cancelled):
        download(remote, target, patience=Patience(stall_s=30), cancel=cancel)
    assert time.monotonic() - started < 2
    assert not target.exists()
    assert download(remote, target) == SHA


def test_not_enough_room_is_told_before_anything_is_fetched(
    server: ModelServer, path: str, tmp_path: Path
):
    server.serve(path, BODY)
    with pytest.raises(CannotWrite, match=r"needs 1000 TB but has only .* free"):
        download(Remote(server.address, path, size=10**15), tmp_path / "m.bin")
    assert spans(server, path) == []


IN_A_PROCESS = """
import sys
from pathlib import Path
from heliochrome.core.download import Patience, Remote, download
from heliochrome.core.errors import HeliochromeError
try:
    print(download(Remote(sys.argv[1], sys.argv[2]), Path(sys.argv[3])))
except HeliochromeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_disk_that_fills_up_gives_one_clear_error(server: ModelServer, path: str, tmp_path: Path):
    server.serve(path, BODY)

    def small_disk() -> None:  # the system refuses a longer file, as a full disk or quota does
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * ONE, 3 * ONE))

    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, server.address, path, str(tmp_path / "m.bin")],
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("CannotWrite: There is no room left to write")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "m.bin").exists()
    assert len(spans(server, path)) == 1


def test_killed_in_the_middle_and_continued_by_a_new_process(
    server: ModelServer, path: str, tmp_path: Path
):
    server.serve(path, BODY, {"pace": 4 * ONE}, {})
    command = [sys.executable, "-c", IN_A_PROCESS, server.address, path, str(tmp_path / "m.bin")]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size > ONE for p in tmp_path.glob("*.part")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "m.bin").exists()

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SHA
    first, second = spans(server, path)
    assert first is None
    assert second is not None and int(second.removeprefix("bytes=").rstrip("-")) > ONE
    assert parts(tmp_path) == ["m.bin"]
