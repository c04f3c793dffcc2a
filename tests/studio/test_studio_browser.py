"""The studio's page with Debian's chromium: on a desk and on a phone, English and Chinese.

Screenshots go to HELIOCHROME_SCREENSHOTS, else to pytest's temporary folder.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_studio import TOKEN, headers_of, running_studio

from driving import drive
from heliochrome.studio.jobs import LISTED

sys.path.append(str(Path(__file__).parents[1] / "gateway"))  # the tests' own door

from door import running_door
from login_server import PASSWORD

pytestmark = pytest.mark.browser

LIMIT_S = 240
NOBODY = "http://127.0.0.1:9"  # no ComfyUI is needed here
FIRST_PAINT_BYTES = 100_000
# What the browser itself says of an answer that the page has told in its own words.
TOLD = re.compile(r"Failed to load resource")


def grey(path: Path, seed: int, width: int = 320, height: int = 220) -> Path:
    rows, columns = np.mgrid[0:height, 0:width]
    light = 128 + 60 * np.sin(columns / (20 + seed)) * np.cos(rows / 17)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    return [grey(folder / name, 3 * n) for n, name in enumerate(["grand ma.jpg", "外婆.tif"])]


def visit(address: str, tmp_path: Path, kind: str, **order: Any) -> dict[str, Any]:
    named = os.environ.get("HELIOCHROME_SCREENSHOTS")
    shots = Path(named) if named else tmp_path / "shots"
    for folder in (shots, tmp_path / "downloads"):
        folder.mkdir(parents=True, exist_ok=True)
    role = order.pop("role", "user")
    found = drive(
        "studio.mjs",
        {
            "url": address,
            "headers": headers_of("ben", role),
            "visit": kind,
            "language": "en-GB",
            "phone": False,
            "dark": False,
            "shots": str(shots),
            "downloads": str(tmp_path / "downloads"),
            **order,
        },
        LIMIT_S,
    )
    assert found["hosts"] == [address]
    assert found["violations"] == [] and found["axe"] == [] and found["wide"] == []
    assert found["small"] == []
    assert [text for text in found["errors"] if not TOLD.search(text)] == []
    return found


@pytest.mark.parametrize(
    ("language", "phone"), [("en-GB", False), ("zh-CN", True)], ids=["en-desktop", "zh-phone"]
)
def test_from_files_to_colour_and_back(
    tmp_path: Path, files: list[Path], language: str, phone: bool
):
    album = tmp_path / "album"
    for number, name in enumerate(["10.png", "2.png", "inner/1.jpg"]):
        grey(album / name, number)
    (album / "notes.txt").write_text("not a photograph")
    (album / ".hidden.jpg").write_text("hidden")
    broken = tmp_path / "broken.jpg"
    broken.write_text("not a photograph either")
    with running_studio(tmp_path) as studio:
        found = visit(
            studio.address, tmp_path, "whole", language=language, phone=phone, dark=phone, good=5,
            files=[str(path) for path in [*files, broken]], folder=str(album),
        )  # fmt: skip
        assert studio.ask("ben", "GET", "/api/v1/jobs").json["jobs"] == []
        assert list((studio.folder / "photos").iterdir()) == []
    english = language == "en-GB"
    assert found["firstBytes"] < FIRST_PAINT_BYTES
    assert found["first"]["language"] == ("en" if english else "zh-Hans")
    assert found["first"]["disabled"] and found["first"]["chosen"] == "auto"
    assert found["first"]["links"] == ["Help" if english else "帮助"]
    assert "notes.txt" in found["chosen"]["leftOut"] and "6 " in found["chosen"]["title"]
    assert "hidden" in found["chosen"]["leftOut"] or "隐藏" in found["chosen"]["leftOut"]
    names = [text.splitlines()[0].rsplit(" ", 2)[0] for text in found["chosen"]["files"]]
    assert names[3:] == ["album/2.png", "album/10.png", "album/inner/1.jpg"]
    states = " ".join(found["states"])
    for part in ("Sending", "in the queue") if english else ("正在上传", "排队"):
        assert part in states
    sent = [re.search(r"(\d) of 6 photographs|(\d) / 6 张", text) for text in found["states"]]
    assert {int(match[1] or match[2]) for match in sent if match} <= {0, 1, 2, 3, 4, 5}
    assert ("One was not taken." if english else "1 张未被接收。") in states
    (refused,) = found["refused"]
    assert "broken.jpg" in refused and "Expected a JPEG" in refused
    assert ("not a photograph that can be read" if english else "不是可以读取的照片") in refused
    assert ("5 of 5 done" if english else "共 5 张，完成 5 张") in found["sum"][0]
    (until,) = found["until"]
    assert re.fullmatch(
        r"Download them before \d+ \w+, \d\d:\d\d\."
        if english
        else r"请在 \d+月\d+日 \d\d:\d\d 之前下载。",
        until,
    ), until
    assert ("for 7 days" if english else "保留 7 天") in found["promise"]
    assert {"grand ma.jpg", "album/2.png", "album/inner/1.jpg"} <= set(found["names"])
    assert any("album/inner/1.jpg" in card.splitlines() for card in found["cards"])
    assert any("ddcolor_v2" in card and " × " in card for card in found["cards"])
    manual = f"/help/{language[:2]}/portrait-or-building#how-automatic-decides"
    assert found["help"] == manual
    # What was done before the page had looked for the first time is told as a whole.
    over = "The job is finished." if english else "这一批已处理完毕。"
    assert any(over in text for text in found["said"]), found["said"]
    slider = found["slider"]
    assert slider["changed"] and slider["middle"][2] == "compare-at"
    assert slider["middle"][0] != slider["right"][0] != slider["all"][0]
    assert "70" in slider["right"][1] and "100" in slider["all"][1]
    assert found["focused"] == "H3" and "thumb" in found["focusBack"]
    one = (tmp_path / "downloads" / "one").read_bytes()
    with zipfile.ZipFile(tmp_path / "downloads" / "all.zip") as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 6
        assert "album/inner/1.colour.jpg" in archive.namelist()
        assert archive.read(found["one"]) == one
    assert found["all"].endswith(".zip")
    assert found["switched"] == ("开始上色" if english else "Colour them")
    assert found["kept"] == ("zh-Hans" if english else "en"), "a choice of language is kept"
    assert found["keptJobs"] == 1 and found["focusAfter"] == "jobs-title"


def test_what_is_downloaded_is_what_the_api_has(tmp_path: Path, files: list[Path]):
    with running_studio(tmp_path) as studio:
        found = visit(studio.address, tmp_path, "fetch", files=[str(files[0])])
        answer = studio.ask("ben", "GET", f"/api/v1/photos/{found['id']}/result")
    assert (tmp_path / "downloads" / "one").read_bytes() == answer.body
    assert found["one"] == "grand ma.colour.jpg"


def test_the_queue_is_shown_cancelled_and_begun_again(tmp_path: Path, files: list[Path]):
    more = [str(grey(tmp_path / f"{n}.png", n)) for n in range(2)]
    with running_studio(tmp_path, start_worker=False) as studio:
        found = visit(studio.address, tmp_path, "queue", files=[*map(str, files), *more])
    positions = ["Next in the queue", *(f"{n} in the queue" for n in ("2nd", "3rd", "4th"))]
    # Two are sent at a time: which of them arrived first is chance.
    assert sorted(found["positions"]) == sorted(found["again"]) == sorted(positions)
    assert found["cancelled"] == ["Cancelled"] * 4
    assert found["title"].startswith("0/4") and found["focused"] == "H3"
    assert "Kept until" not in found["sumQueued"], "nobody knows yet when it is over"
    assert found["pictures"] == found["picturesAgain"] == [True] * 4, "of a TIFF file too"


def test_a_file_that_is_too_large_is_not_sent_and_many_become_several_jobs(tmp_path: Path):
    files = [str(grey(tmp_path / f"{n}.png", n)) for n in range(3)]
    large = tmp_path / "large.png"
    large.write_bytes(os.urandom(500_001))
    with running_studio(
        tmp_path, start_worker=False, max_photo_bytes=500_000, max_job_photos=2
    ) as studio:
        found = visit(studio.address, tmp_path, "limits", files=[*files, str(large)])
    assert found["requests"] == 3 and sorted(found["jobs"]) == [1, 2]
    (refused,) = found["refused"]
    assert "large.png" in refused and "larger than the studio takes" in refused
    assert found["said"].startswith("One photograph was not taken")


def test_a_viewer_sees_the_lists_and_why_no_more(tmp_path: Path):
    with running_studio(tmp_path, start_worker=False) as studio:
        found = visit(studio.address, tmp_path, "viewer", role="viewer", phone=True)
    assert not found["shown"]["new"] and found["shown"]["jobs"]
    assert "viewing only" in found["shown"]["told"]


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_without_a_model_everything_says_preview(tmp_path: Path, files: list[Path], language: str):
    with running_studio(tmp_path, model=False) as studio:
        found = visit(
            studio.address,
            tmp_path,
            "preview",
            files=[str(files[0])],
            language=language,
            phone=True,
        )
    word = "not colourised" if language == "en-GB" else "不是上色"
    assert "heliochrome models get ddcolor_v2" in found["banner"]
    assert ("not colourisation" if language == "en-GB" else word) in found["button"]
    assert found["card"].count(word) == 3, "on the picture, in its state and on the button"
    assert found["compare"].count(word) == 2


def test_a_lost_connection_and_a_session_that_is_over_lose_nothing(
    tmp_path: Path, files: list[Path]
):
    with running_studio(tmp_path, start_worker=False) as studio:
        found = visit(studio.address, tmp_path, "trouble", files=[str(path) for path in files])
        jobs = studio.ask("ben", "GET", "/api/v1/jobs").json["jobs"]
        assert [job["counts"] for job in jobs] == [{"queued": 2}] * 2
        assert len(list((studio.folder / "photos").iterdir())) == 4, "nothing was sent twice"
    assert "connection is lost" in found["lost"] and found["sent"] == 2
    assert found["asksBeforeLeaving"]
    assert found["stopped"].startswith("2 photographs") and found["stillChosen"] == found["stopped"]
    assert "signed out" in found["over"] and found["signIn"] == "/login?next=/"


def test_through_the_gateway(tmp_path: Path, files: list[Path]):
    with (
        running_studio(tmp_path / "inside") as studio,
        running_door(tmp_path / "door", NOBODY, studio=studio.address, studio_token=TOKEN) as door,
    ):
        found = visit(
            door.address, tmp_path, "door", headers={}, name="ben", password=PASSWORD,
            files=[str(path) for path in files],
        )  # fmt: skip
    assert found["one"] == "grand ma.colour.jpg"
    assert "default-src 'none'" in found["policy"]


def test_names_are_text_and_drops_are_taken(tmp_path: Path, files: list[Path]):
    grey(tmp_path / "archive" / "1931" / "1.jpg", 1)
    with running_studio(tmp_path) as studio:
        folder = str(tmp_path / "archive")
        found = visit(studio.address, tmp_path, "drop", files=[str(files[0])], folder=folder)
    assert "notes.txt" in found["leftOut"]
    (dropped,) = found["folder"]
    assert dropped.startswith("archive/1931/1.jpg")
    assert found["name"].startswith("_img src=x onerror=alert(1)_")


def colours(picture: Path) -> int:
    """Of a part where neither labels nor words are."""
    with Image.open(picture) as image:
        left, top = image.width // 4, image.height // 4
        middle = image.crop((left, top, image.width - left, top + top // 2))
        return len(middle.convert("RGB").getcolors(1 << 20) or ())


def test_one_photograph_is_never_shown_under_the_name_of_another(tmp_path: Path, files: list[Path]):
    with running_studio(tmp_path) as studio:
        found = visit(
            studio.address, tmp_path, "compare", files=[str(path) for path in files],
            failed="could not be loaded",
        )  # fmt: skip
    assert found["first"] == found["loaded"] == [True, True]
    assert found["loading"]["seen"] == found["failed"] == [False, False]
    assert "Loading" in found["loading"]["text"] and found["told"] == ""
    downloads = tmp_path / "downloads"
    assert colours(downloads / "first.png") > 9 and colours(downloads / "second.png") > 9
    assert colours(downloads / "loading.png") == 1


def test_failed_and_slow_requests_lose_nothing(tmp_path: Path, files: list[Path]):
    with running_studio(tmp_path) as studio:
        found = visit(studio.address, tmp_path, "polling", files=[str(files[0])])
    assert "It failed." in found["banner"] and found["left"] == 1


@pytest.mark.parametrize("model", [True, False], ids=["colour", "preview"])
@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_a_card_says_what_is_being_done(
    tmp_path: Path, files: list[Path], language: str, model: bool
):
    with running_studio(tmp_path, model=model, start_worker=False) as studio:
        found = visit(
            studio.address, tmp_path, "words", files=[str(files[0])], language=language,
            phone=True, dark=model,
        )  # fmt: skip
    words = {
        ("en-GB", True): "Being coloured, 42 %",
        ("en-GB", False): "The preview is being made, 42 %",
        ("zh-CN", True): "正在处理，42%",
        ("zh-CN", False): "正在制作预览，42%",
    }
    assert found["running"] == words[language, model]
    first = "the first photograph may take a minute longer"
    assert (first if language == "en-GB" else "第一张照片可能要多等一分钟") in found["prepared"]
    assert "0" not in found["prepared"]


def test_older_jobs_are_shown_and_deleted(tmp_path: Path):
    photo = grey(tmp_path / "a.png", 1, 32, 20).read_bytes()
    with running_studio(tmp_path, start_worker=False) as studio:
        made = [
            studio.job("ben", [studio.bring("ben", photo)], "auto")["id"] for _ in range(LISTED + 3)
        ]
        for job in made:
            assert studio.ask("ben", "POST", f"/api/v1/jobs/{job}/cancel").status == 200
        made.reverse()
        found = visit(studio.address, tmp_path, "older", jobs=len(made))
        assert studio.ask("ben", "GET", f"/api/v1/jobs/{made[-1]}").status == 404
    assert found["firstJobs"] == LISTED and found["focusedJob"] == made[LISTED]
    assert found["order"] == made and found["olderHidden"]
    assert found["leftJobs"] == LISTED + 2 and found["orderAgain"] == made[:-1]


def test_a_job_of_many_photographs_is_shown_in_part_and_asked_for_once(tmp_path: Path):
    photo = grey(tmp_path / "a.png", 1, 32, 20).read_bytes()
    with running_studio(tmp_path, start_worker=False) as studio:
        photos = [studio.bring("ben", photo, f"{n}.png") for n in range(65)]
        job = studio.job("ben", photos, "auto")["id"]
        studio.ask("ben", "POST", f"/api/v1/jobs/{job}/cancel")
        still = studio.job("ben", [studio.bring("ben", photo)], "auto")["id"]
        found = visit(
            studio.address, tmp_path, "many", job=job, photos=65, all="Show all 65 photographs"
        )
    assert found["cards"] == 60 and found["allCards"] == found["stillAll"] == 65
    assert found["focusedCard"] == 60 and found["buttonHidden"]
    assert found["asked"] == ["/api/v1/jobs", f"/api/v1/jobs/{still}"]


@pytest.mark.parametrize(
    ("days", "language", "told"),
    [
        (0.5, "en-GB", "for 12 hours,"), (0.5, "zh-CN", "保留 12 小时"),
        (0.01, "en-GB", "for 14 minutes,"), (1, "en-GB", "for one day,"),
    ],
)  # fmt: skip
def test_how_long_photographs_are_kept(tmp_path: Path, days: float, language: str, told: str):
    with running_studio(tmp_path, start_worker=False, keep_days=days) as studio:
        found = visit(studio.address, tmp_path, "promise", language=language)
    assert told in found["promise"]
