"""The official runtime client (awslambdaric) on the real handler, in a process without HOME."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from handler_calls import GOOD, base64_of, picture_of, pixels_of, record_of, sample
from lambda_runtime import (
    PAYLOAD,
    LambdaFunction,
    created_event,
    message,
    running,
    url_event,
)

from object_storage import ObjectStorage

pytest.importorskip("awslambdaric", reason="Lambda's runtime client: pip install awslambdaric")

BUCKET = "lambda-photos"
LONG = {
    **GOOD,
    "num_inference_steps": 250,
    "num_images_per_prompt": 16,
    "width": 512,
    "height": 512,
}


@pytest.fixture(scope="module")
def function(
    function_environ: dict[str, str],
    storage: ObjectStorage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LambdaFunction]:
    storage.bucket(BUCKET)
    environ = {
        **function_environ,
        **storage.environ,
        "HELIOCHROME_BUCKETS": f"s3://{BUCKET}/large",
        "HELIOCHROME_OUTPUT": f"s3://{BUCKET}/results",
        "HELIOCHROME_EVENT_SOURCE": f"s3://{BUCKET}/in",
        "HELIOCHROME_EVENT_TARGET": f"s3://{BUCKET}/coloured",
        "HELIOCHROME_EVENT_SETTINGS": '{"size": 256}',
        "HELIOCHROME_DEADLINE_MARGIN": "1",
    }
    with running(environ, tmp_path_factory.mktemp("lambda") / "log") as found:
        yield found


def pixels_of_answer(answer: dict[str, Any]) -> np.ndarray:
    assert answer["statusCode"] == 200, answer["body"]
    return pixels_of(picture_of(json.loads(answer["body"])["images"][0]))


def test_a_function_url_is_answered(function: LambdaFunction) -> None:
    plain, encoded = (
        function.invoke(url_event({**GOOD, "prompt": "a secret"}, encoded=encoded))
        for encoded in (False, True)
    )
    assert plain.kind == encoded.kind == "response"
    assert plain.result["isBase64Encoded"] is False
    assert plain.result["headers"]["content-type"] == "application/json"
    document = json.loads(plain.result["body"])
    assert document["request_id"] == plain.identifier
    assert np.array_equal(pixels_of_answer(plain.result), pixels_of_answer(encoded.result))
    lines = [json.loads(line) for line in function.log.splitlines()]
    done = [line for line in lines if line.get("event") == "request"]
    assert [line["request_id"] for line in done] == [plain.identifier, encoded.identifier]
    assert "secret" not in function.log


def test_the_picture_itself_is_answered(function: LambdaFunction, tmp_path: Path) -> None:
    answer = function.invoke(url_event(GOOD, {"Accept": "image/png"})).result
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, True)
    assert answer["headers"]["content-type"] == "image/png"
    file = base64.b64decode(answer["body"], validate=True)
    assert record_of(file, tmp_path).parameters["seed"] == 7


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (url_event(b"no JSON"), 400),
        (url_event(GOOD, method="GET"), 405),
        (url_event({**GOOD, "sed": 1}), 400),
        (url_event({"image": "AAAA"}), 422),
        ({**url_event(GOOD), "body": "!", "isBase64Encoded": True}, 400),
        ({**url_event(GOOD), "body": None}, 400),
        ({**url_event(GOOD), "body": "\ud83d"}, 400),
        ({**url_event(GOOD), "body": "\ud83d", "isBase64Encoded": True}, 400),
        ({**url_event(GOOD), "headers": None, "body": "{}"}, 400),
    ],
)
def test_a_bad_request_is_answered_and_the_next_is_as_ever(
    function: LambdaFunction, event: dict[str, Any], status: int
) -> None:
    before = pixels_of_answer(function.invoke(url_event(GOOD)).result)
    answer = function.invoke(event)
    assert (answer.kind, answer.result["statusCode"]) == ("response", status)
    assert json.loads(answer.result["body"])["error"]["request_id"] == answer.identifier
    after = pixels_of_answer(function.invoke(url_event(GOOD)).result)
    assert np.array_equal(before, after)


def test_the_end_of_the_time_is_answered_before_it_comes(function: LambdaFunction) -> None:
    answer = function.invoke(url_event(LONG), seconds=2.5)
    assert answer.result["statusCode"] == 504
    assert json.loads(answer.result["body"])["error"]["code"] == "deadline_exceeded"


def test_no_answer_is_larger_than_lambda_takes(
    function: LambdaFunction, storage: ObjectStorage
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), np.uint8)
    storage.put(BUCKET, "large/noise.png", cv2.imencode(".png", noise)[1].tobytes())
    request = {"image": f"s3://{BUCKET}/large/noise.png", "size": 256}
    answer = function.invoke(url_event(request))
    assert answer.kind == "response"
    (image,) = json.loads(answer.result["body"])["images"]
    file = storage.get(BUCKET, f"results/{answer.identifier}-1.png")
    assert len(file) < PAYLOAD < len(file) * 4 / 3
    with urllib.request.urlopen(image["url"]) as link:
        assert link.read() == file


def test_an_invocation_without_http_is_answered_in_json(function: LambdaFunction) -> None:
    assert function.invoke(GOOD).result["images"][0]["seed"] == 7
    for event, code in (({"sed": 1}, "bad_setting"), ([GOOD], "bad_request"), (5, "bad_request")):
        assert function.invoke(event).result["error"]["code"] == code


def test_of_a_batch_of_messages_the_failed_ones_are_told(
    function: LambdaFunction, storage: ObjectStorage
) -> None:
    batch = [
        message("q-1", json.dumps(GOOD)),
        message("q-2", json.dumps({**GOOD, "width": 7})),
        message("q-3", "no JSON"),
        message("q-4", json.dumps({"image": base64_of(sample()), "size": 256})),
    ]
    result = function.invoke({"Records": batch}).result
    failed = [item["itemIdentifier"] for item in result["batchItemFailures"]]
    assert failed == ["q-2", "q-3"]
    assert {"results/q-1.json", "results/q-1-1.png", "results/q-4.json"} <= set(
        storage.keys(BUCKET)
    )
    before = storage.get(BUCKET, "results/q-1.json")
    function.invoke({"Records": batch[:1]})
    assert storage.get(BUCKET, "results/q-1.json") == before


def test_records_that_are_no_messages_fail_the_batch(function: LambdaFunction) -> None:
    good = message("o-1", json.dumps(GOOD))
    for odd in (None, 5, {**good, "attributes": 5, "messageId": None, "body": 5}):
        result = function.invoke({"Records": [good, odd]}).result
        # "": Lambda takes the whole batch for failed.
        assert result == {"batchItemFailures": [{"itemIdentifier": ""}]}


def test_in_a_fifo_queue_a_failed_message_stops_those_behind_it(function: LambdaFunction) -> None:
    bad, good = json.dumps({"sed": 1}), json.dumps(GOOD)
    batch = [
        message("f-1", good, "a"),
        message("f-2", bad, "a"),
        message("f-3", good, "a"),
        message("f-4", good, "b"),
    ]
    result = function.invoke({"Records": batch}).result
    assert [item["itemIdentifier"] for item in result["batchItemFailures"]] == ["f-2", "f-3"]


def test_messages_that_no_time_is_left_for_come_again(function: LambdaFunction) -> None:
    batch = [message(f"t-{n}", json.dumps({**LONG, "seed": n})) for n in range(3)]
    result = function.invoke({"Records": batch}, seconds=2.5).result
    assert len(result["batchItemFailures"]) == 3


def test_a_created_photograph_is_coloured(function: LambdaFunction, storage: ObjectStorage) -> None:
    original = sample(80, ".jpg")
    storage.put(BUCKET, "in/my photo(1).jpg", original)
    event = created_event(BUCKET, "in/my+photo%281%29.jpg")
    assert function.invoke(event).result == {
        "coloured": [f"s3://{BUCKET}/coloured/my photo(1).jpg"],
        "skipped": [],
    }
    assert storage.get(BUCKET, "in/my photo(1).jpg") == original
    assert function.invoke(event).result["coloured"] == []
    assert function.invoke({"Service": "Amazon S3", "Event": "s3:TestEvent"}).result == {
        "coloured": [],
        "skipped": [],
    }


def test_an_event_that_cannot_be_done_fails_so_that_it_comes_again(
    function: LambdaFunction, storage: ObjectStorage
) -> None:
    storage.put(BUCKET, "in/text.jpg", b"the cat")
    storage.put(BUCKET, "in/good.png", sample())
    event = created_event(BUCKET, "in/text.jpg", "in//odd.jpg", "in/good.png")
    answer = function.invoke(event)
    assert (answer.kind, answer.result["errorType"]) == ("error", "NotColoured")
    assert "in/text.jpg" in answer.result["errorMessage"]
    assert "in//odd.jpg" in answer.result["errorMessage"]
    assert "coloured/good.png" in storage.keys(BUCKET)


def test_events_may_come_through_a_queue(function: LambdaFunction, storage: ObjectStorage) -> None:
    storage.put(BUCKET, "in/queued.png", sample())
    batch = [
        message("s-1", json.dumps(created_event(BUCKET, "in/queued.png"))),
        message("s-2", json.dumps(created_event(BUCKET, "in/gone.png"))),
        message("s-3", json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": 1}]})),
        message(
            "s-4",
            json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:x"}]}),
        ),
        message("s-5", json.dumps({"Event": "s3:TestEvent"})),
    ]
    result = function.invoke({"Records": batch}).result
    assert [item["itemIdentifier"] for item in result["batchItemFailures"]] == ["s-2", "s-4"]
    assert "coloured/queued.png" in storage.keys(BUCKET)


def test_a_read_only_machine_without_torch_will_do(
    function_environ: dict[str, str], tmp_path: Path
) -> None:
    """As in Lambda: nothing but /tmp can be written, there is no HOME, the models are mounted
    read-only, and PyTorch is not installed."""
    enter = shutil.which("unshare")
    if not enter or subprocess.run([enter, "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount (unshare -m)")
    models = tmp_path / "models"
    shutil.copytree(function_environ["HELIOCHROME_DIFFUSION_MODEL"], models / "tiny")
    (export,) = Path(function_environ["HELIOCHROME_CACHE"]).rglob("*.onnx")
    shutil.copy(export, models / "ddcolor_v2.onnx")
    (models / "torch.py").write_text("raise ImportError('there is no torch here')")
    script = (
        f"mount --bind {models} /mnt && mount -o remount,ro,bind /mnt && "
        "mount -o remount,ro,bind / && mount -t tmpfs tmpfs /tmp && "
        '! touch /opt/x 2>/dev/null && ! touch /mnt/x 2>/dev/null && exec "$@"'
    )
    environ = {
        "HELIOCHROME_DIFFUSION_MODEL": "tiny",
        "HELIOCHROME_MODELS": "/mnt",
        "HELIOCHROME_OFFLINE": "1",
        "PYTHONPATH": "/mnt",
    }
    inside = (enter, "-m", "sh", "-c", script, "sh")
    with running(environ, tmp_path / "log", inside) as function:
        generated = function.invoke(url_event(GOOD)).result
        coloured = function.invoke(url_event({"image": base64_of(sample()), "size": 256})).result
    assert generated["statusCode"] == 200, function.log
    assert coloured["statusCode"] == 200, function.log
