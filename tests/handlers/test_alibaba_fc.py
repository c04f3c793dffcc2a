"""The server of a custom container, in a process of its own, called as Function Compute calls."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fc_server import SECRET, Instance, oss_event, running
from handler_calls import GOOD, Caller, picture_of, pixels_of, sample

from heliochrome.handlers.alibaba_fc import PAYLOAD
from object_storage import ObjectStorage
from waiting import eventually


@pytest.fixture(scope="module")
def server(
    function_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    with running(function_environ, tmp_path_factory.mktemp("fc") / "log") as found:
        yield found


# --- HTTP ------------------------------------------------------------------------------------


def test_http_makes_the_picture_that_every_other_platform_makes(
    server: Instance, ask: Caller
) -> None:
    answer = server.call(GOOD, {"x-fc-request-id": "1-abc"}, path="/any/path")
    assert answer.status == 200
    (image,) = answer.document()["images"]
    (same,) = ask(GOOD).document()["images"]
    assert answer.document()["request_id"] == "1-abc"
    assert np.array_equal(pixels_of(picture_of(image)), pixels_of(picture_of(same)))


def test_http_sends_the_picture_itself_to_who_accepts_it(server: Instance) -> None:
    answer = server.call(GOOD, {"accept": "image/png"})
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["x-heliochrome-seed"] == str(GOOD["seed"])
    assert pixels_of(answer.body).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ({"body": {"prompt": "a", "steps": 2}}, 400, "bad_setting"),
        ({"body": b"not json"}, 400, "bad_request"),
        ({"body": b"", "method": "GET"}, 405, "method_not_allowed"),
        ({"body": GOOD, "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"body": GOOD, "headers": {"x-fc-function-timeout": "2"}}, 504, "deadline_exceeded"),
        ({"body": b" " * (PAYLOAD + 1)}, 413, "request_too_large"),
        ({"body": b"{}", "headers": {"content-encoding": "gzip"}}, 415, "unsupported_media_type"),
        ({"body": b"{}", "headers": {"content-encoding": "br"}}, 415, "unsupported_media_type"),
        ({"body": b" " * 8_000_000, "path": "/a%0Ab"}, 400, "bad_request"),
    ],
)
def test_http_refuses_in_the_cores_words_and_goes_on(
    server: Instance, call: dict[str, Any], status: int, code: str
) -> None:
    answer = server.call(**call)
    error = answer.document()["error"]
    assert (answer.status, error["code"], error["request_id"]) == (status, code, "r-1")
    assert [name for name in answer.headers if name.startswith("x-fc-")] == []  # not ours to set
    assert server.call(GOOD).status == 200


def test_a_caller_cannot_pass_for_an_event(server: Instance) -> None:
    """Events name buckets and keys, and are believed."""
    answer = server.call(oss_event("photographs", "in/a.png"), path="/invoke")
    assert (answer.status, answer.document()["error"]["code"]) == (400, "bad_setting")
    answer = server.call(b"", path="/initialize")
    assert answer.document()["error"]["code"] == "bad_request"


def test_requests_at_the_same_time_each_get_their_own(server: Instance) -> None:
    seeds = range(20, 24)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda seed: server.call({**GOOD, "seed": seed}), seeds))
    assert [answer.document()["images"][0]["seed"] for answer in answers] == list(seeds)


# --- Events ----------------------------------------------------------------------------------


def test_invoke_function_answers_with_the_body_and_says_that_it_worked(server: Instance) -> None:
    answer = server.invoke(GOOD)
    assert (answer.status, answer.headers["x-fc-status"]) == (200, "200")
    assert answer.document()["task"] == "text-to-image"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"prompt": 3}, "bad_setting"),
        (b"\xff", "bad_request"),
        ([1], "bad_request"),
        ({"events": [{"eventSource": "acs:oss", "eventName": "ObjectCreated:X"}]}, "bad_setting"),
        (oss_event("Not A Bucket", "in/a.png"), "bad_setting"),
        (oss_event("photographs", "in/../a.png"), "bad_setting"),
        (oss_event("photographs", "in/a.png"), "not_configured"),
    ],
)
def test_an_event_that_fails_says_so_to_be_tried_again_and_kept(
    server: Instance, event: Any, code: str
) -> None:
    answer = server.invoke(event)
    assert (answer.status, answer.headers["x-fc-status"]) == (404, "404")
    document = answer.document()
    found = document["error"]["code"] if "error" in document else document["objects"][0]["code"]
    assert found == code


def test_the_network_is_open_once_an_instance_has_started(
    function_environ: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    environ = {**function_environ, "HELIOCHROME_DIFFUSION_MODEL": str(model)}
    with running(environ, tmp_path / "log") as instance:
        started = instance.initialize()
        assert (started.status, started.headers["x-fc-status"]) == (200, "200")
        shutil.rmtree(model / "unet")  # so what answers was opened before
        assert instance.call(GOOD).status == 200


def test_an_instance_that_cannot_work_does_not_start(
    function_environ: dict[str, str], tmp_path: Path
) -> None:
    environ = {**function_environ, "HELIOCHROME_DIFFUSION_MODEL": str(tmp_path / "nowhere")}
    with running(environ, tmp_path / "log") as instance:
        started = instance.initialize()
        assert (started.status, started.headers["x-fc-status"]) == (404, "404")
        assert str(tmp_path / "nowhere") not in started.body.decode()
        assert str(tmp_path / "nowhere") in instance.log
        answer = instance.call(GOOD)
        assert (answer.status, answer.document()["error"]["code"]) == (503, "model_unavailable")


# --- OSS -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colouring(
    function_environ: dict[str, str],
    storage: ObjectStorage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Instance]:
    """A function for photographs put below in/; its only credentials come with the requests."""
    bucket = storage.bucket("album")
    environ = {
        **function_environ,
        "HELIOCHROME_EVENT_SOURCE": f"oss://{bucket}/in/",
        "HELIOCHROME_EVENT_TARGET": f"oss://{bucket}/coloured/",
        "HELIOCHROME_OUTPUT": f"oss://{bucket}/results/",
        "HELIOCHROME_MAX_RESPONSE_BYTES": "4000",
        "OSS_ENDPOINT": storage.environ["AWS_ENDPOINT_URL"],
    }
    with running(environ, tmp_path_factory.mktemp("fc") / "log") as found:
        yield found


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("in/aunt.png", "in/aunt.png"),
        ("in/1923/伯母 (1).png", "in/1923/伯母 (1).png"),
        ("in/1924/伯母 (1).png", "in%2F1924%2F%E4%BC%AF%E6%AF%8D+%281%29.png"),
        ("in/100%25+1.png", "in/100%25+1.png"),
    ],
)
def test_a_created_photograph_is_coloured_however_its_key_is_spelled(
    colouring: Instance, storage: ObjectStorage, key: str, told: str
) -> None:
    photograph = sample(96)
    storage.put("album", key, photograph)
    answer = colouring.invoke(oss_event("album", told))
    target = key.replace("in/", "coloured/", 1)
    expected = {"source": f"oss://album/{key}", "target": f"oss://album/{target}", "code": None}
    assert answer.document() == {"objects": [{**expected, "status": "done"}]}
    assert answer.headers["x-fc-status"] == "200"
    assert pixels_of(storage.get("album", target)).shape == (96, 96, 3)
    assert storage.get("album", key) == photograph
    again = colouring.invoke(oss_event("album", told))
    assert again.document()["objects"] == [{**expected, "status": "skipped"}]


def test_an_entry_that_names_no_object_does_not_stop_the_others(
    colouring: Instance, storage: ObjectStorage
) -> None:
    storage.put("album", "in/with.png", sample())
    storage.put("album", "in/100%0A.png", sample())  # %0A: a line's end, which no key has
    entries: list[Any] = ["no entry", {"eventSource": "acs:oss", "eventName": "ObjectCreated:X"}]
    for key in ("in/../a.png", "in/100%0A.png", "in/with.png"):
        entries += oss_event("album", key)["events"]
    answer = colouring.invoke({"events": entries}, {"x-fc-request-id": "r-8"})
    found = answer.document()["objects"]
    assert [item["status"] for item in found] == ["failed", "failed", "failed", "done", "done"]
    assert [item["code"] for item in found] == ["bad_setting"] * 3 + [None] * 2
    told = [line for line in colouring.log.splitlines() if '"r-8"' in line and "failure" in line]
    assert len(told) == 3


@pytest.mark.parametrize(
    ("key", "name", "objects"),
    [
        ("in/aunt.png", "ObjectRemoved:DeleteObject", []),
        ("coloured/aunt.png", "ObjectCreated:PutObject", ["skipped"]),
        ("in/list.txt", "ObjectCreated:PutObject", ["skipped"]),
        ("in/", "ObjectCreated:PutObject", ["skipped"]),
    ],
)
def test_what_is_no_new_photograph_is_left_alone(
    colouring: Instance, key: str, name: str, objects: list[str]
) -> None:
    answer = colouring.invoke(oss_event("album", key, name))
    assert [item["status"] for item in answer.document()["objects"]] == objects
    assert answer.headers["x-fc-status"] == "200"


@pytest.mark.parametrize(
    ("content", "code"), [(b"a text", "bad_image"), (None, "object_not_found")]
)
def test_a_photograph_that_cannot_be_coloured_fails(
    colouring: Instance, storage: ObjectStorage, content: bytes | None, code: str
) -> None:
    if content is not None:
        storage.put("album", "in/broken.png", content)
    key = "in/broken.png" if content is not None else "in/never was.png"
    answer = colouring.invoke(oss_event("album", key))
    (found,) = answer.document()["objects"]
    assert (answer.status, answer.headers["x-fc-status"]) == (404, "404")
    assert (found["status"], found["code"]) == ("failed", code)


def test_an_answer_that_is_too_large_becomes_a_link(
    colouring: Instance, storage: ObjectStorage
) -> None:
    (image,) = colouring.call(GOOD).document()["images"]
    assert "image" not in image
    with urllib.request.urlopen(image["url"]) as found:
        assert pixels_of(found.read()).shape == (64, 64, 3)


def test_the_log_holds_neither_prompts_nor_credentials(
    colouring: Instance, server: Instance
) -> None:
    server.call({**GOOD, "prompt": "nobody should read this"})
    for instance in (server, colouring):
        assert '"event": "request"' in instance.log
        assert "nobody should read this" not in instance.log
        assert SECRET not in instance.log
        assert "the-token-of-the-role" not in instance.log


# --- The end ---------------------------------------------------------------------------------


def test_a_request_that_has_begun_is_finished_before_the_end(
    function_environ: dict[str, str], tmp_path: Path
) -> None:
    with running(function_environ, tmp_path / "log") as instance, ThreadPoolExecutor() as pool:
        assert instance.initialize().status == 200
        assert instance.call(GOOD).status == 200
        long = {**GOOD, "num_inference_steps": 250, "num_images_per_prompt": 16}
        before = at_rest(instance.process.pid)
        answer = pool.submit(instance.call, long)
        assert eventually(lambda: processor_s(instance.process.pid) > before + 0.1)
        assert not answer.done()
        instance.process.send_signal(signal.SIGTERM)
        assert answer.result().status == 200
        assert instance.process.wait(60) == 0
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", instance.port), 1):
            pass


def processor_s(pid: int) -> float:
    """How long a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at_rest(pid: int) -> float:
    """How long it has worked, once it works no more."""
    while (before := processor_s(pid)) != (time.sleep(0.3) or processor_s(pid)):
        pass
    return before


def test_kept_connections_do_not_hold_up_the_end(
    function_environ: dict[str, str], tmp_path: Path
) -> None:
    with running(function_environ, tmp_path / "log") as instance:
        connection = instance.connect()
        connection.request("GET", "/")
        connection.getresponse().read()
        instance.process.send_signal(signal.SIGTERM)
        assert instance.process.wait(60) == 0
        connection.close()
