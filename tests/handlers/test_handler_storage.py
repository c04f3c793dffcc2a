"""Pictures from and to buckets, on moto's S3."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pytest
from handler_calls import (
    GOOD,
    Caller,
    base64_of,
    picture_of,
    pixels_in,
    pixels_of,
    record_of,
    sample,
)
from obstore.exceptions import PermissionDeniedError

from heliochrome.core.errors import OutputFailed
from heliochrome.core.photo import read_photo
from heliochrome.handlers import objects
from heliochrome.handlers.created import Coloured, colorize_created
from heliochrome.handlers.deadline import Deadline
from heliochrome.handlers.places import Place
from heliochrome.handlers.service import Service
from object_storage import ObjectStorage

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture(scope="module")
def credentials(storage: ObjectStorage) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in storage.environ.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def bucket(storage: ObjectStorage, request: pytest.FixtureRequest) -> str:
    """One of the test's own."""
    number = abs(hash(request.node.nodeid)) % 10**9
    return storage.bucket(f"photos-{number}")


@pytest.fixture
def oss(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """oss:// leads to the same stand-in."""
    monkeypatch.setenv("OSS_ENDPOINT", storage.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testing")


def place(address: str) -> Place:
    return Place.parse_folder(address)


def test_a_picture_is_taken_from_an_allowed_bucket(
    ask: Caller, storage: ObjectStorage, bucket: str
) -> None:
    storage.put(bucket, "in/a b(1).png", sample())
    storage.put(bucket, "other/a.png", sample())
    allowed = ask.with_settings(buckets=(place(f"s3://{bucket}/in"),))
    here = allowed({**GOOD, "image": f"s3://{bucket}/in/a b(1).png"}).document()["images"]
    sent = allowed({**GOOD, "image": base64_of(sample())}).document()["images"]
    assert np.array_equal(pixels_of(picture_of(here[0])), pixels_of(picture_of(sent[0])))
    for key, code in (("other/a.png", "place_not_allowed"), ("in/b.png", "object_not_found")):
        response = allowed({"image": f"s3://{bucket}/{key}"})
        assert response.code == code
    assert ask({"image": f"s3://{bucket}/in/a b(1).png"}).code == "place_not_allowed"


def test_an_object_that_is_too_large_is_not_read(
    ask: Caller, storage: ObjectStorage, bucket: str
) -> None:
    storage.put(bucket, "large.png", sample(512))
    limited = ask.with_settings(buckets=(place(f"s3://{bucket}"),), max_image_bytes=1024)
    response = limited({"image": f"s3://{bucket}/large.png"})
    assert (response.status, response.code) == (422, "bad_image")


def test_a_picture_too_large_for_the_answer_is_stored_and_linked(
    ask: Caller, storage: ObjectStorage, bucket: str, tmp_path: Path
) -> None:
    small = ask.with_settings(max_response_bytes=4096, output=place(f"s3://{bucket}/out"))
    response = small({**GOOD, "num_images_per_prompt": 2}, request_id="r-2")
    images = response.document()["images"]
    assert response.status == 200
    assert len(response.body) < 4096
    assert storage.keys(bucket) == ["out/r-2-1.png", "out/r-2-2.png"]
    for image, seed in zip(images, (7, 8), strict=True):
        assert (image["seed"], image["expires_in"]) == (seed, 3600)
        with urllib.request.urlopen(image["url"]) as answer:
            assert answer.headers["content-type"] == "image/png"
            record = record_of(answer.read(), tmp_path)
        assert record.parameters["seed"] == seed


def test_whoever_wants_the_picture_itself_is_sent_to_it(
    ask: Caller, storage: ObjectStorage, bucket: str
) -> None:
    small = ask.with_settings(max_response_bytes=2048, output=place(f"s3://{bucket}"))
    response = small(GOOD, accept="image/png", request_id="r-3")
    assert response.status == 303
    with urllib.request.urlopen(response.headers["location"]) as answer:
        assert answer.read() == storage.get(bucket, "r-3-1.png")


def test_storage_that_fails_is_told_without_its_names(ask: Caller) -> None:
    lost = ask.with_settings(max_response_bytes=2048, output=place("s3://no-such-bucket"))
    response = lost(GOOD)
    assert (response.status, response.code) == (502, "storage_failed")
    assert "no-such-bucket" not in response.body.decode()


def test_what_nobody_waits_for_is_stored_once(
    ask: Caller, storage: ObjectStorage, bucket: str
) -> None:
    queue = ask.with_settings(output=place(f"s3://{bucket}/out"))
    first = queue(GOOD, request_id="m-1", reply="stored")
    stored = storage.get(bucket, "out/m-1-1.png")
    again = queue(GOOD, request_id="m-1", reply="stored")
    assert storage.get(bucket, "out/m-1-1.png") == stored
    assert first.body == again.body == storage.get(bucket, "out/m-1.json")
    (image,) = json.loads(first.body)["images"]
    assert image["address"] == f"s3://{bucket}/out/m-1-1.png"
    assert ask(GOOD, reply="stored").code == "not_configured"
    assert queue({"sed": 1}, request_id="m-2", reply="stored").code == "bad_setting"
    assert storage.keys(bucket) == ["out/m-1-1.png", "out/m-1.json"]


def test_two_deliveries_at_once_make_the_same_picture(
    ask: Caller, storage: ObjectStorage, bucket: str
) -> None:
    """Each stores its own; whichever is last, picture and answer fit together."""
    body = {"prompt": "cat", "num_inference_steps": 2}
    pixels, seeds = [], []
    for folder in ("one", "two"):  # as if neither saw the other's
        queue = ask.with_settings(output=place(f"s3://{bucket}/{folder}"))
        (image,) = queue(body, request_id="m-1", reply="stored").document()["images"]
        seeds.append(image["seed"])
        pixels.append(pixels_of(storage.get(bucket, f"{folder}/m-1-1.png")))
    assert seeds[0] == seeds[1]
    assert np.array_equal(*pixels)
    other = queue(body, request_id="m-2", reply="stored").document()["images"][0]["seed"]
    assert other != seeds[0]


class Events:
    """Objects created in one bucket, coloured from in/ to out/."""

    def __init__(
        self, ask: Caller, storage: ObjectStorage, bucket: str, scheme: str = "s3"
    ) -> None:
        self.ask, self.storage, self.bucket = ask, storage, bucket
        self.scheme = scheme
        self.service = ask.with_settings(
            event_source=place(f"{scheme}://{bucket}/in"),
            event_target=place(f"{scheme}://{bucket}/out"),
            event_settings={"size": 256},
        ).service

    def of_scheme(self, scheme: str) -> Events:
        return Events(self.ask, self.storage, self.bucket, scheme)

    def while_it_is_coloured(self, happens: Callable[[], object]) -> Service:
        """A service for one call of this: something happens between reading and writing."""
        other = copy(self.service)

        def run(work: Any, cancel: Any) -> Any:
            happens()
            return self.service.run(work, cancel)

        other.run = run  # type: ignore[method-assign]
        return other

    def __call__(self, key: str, service: Service | None = None) -> Coloured:
        return colorize_created(
            Place(self.scheme, self.bucket, key),
            request_id="r",
            service=lambda: service or self.service,
        )


@pytest.fixture
def created(ask: Caller, storage: ObjectStorage, bucket: str) -> Events:
    return Events(ask, storage, bucket)


@pytest.mark.parametrize(
    ("name", "ending", "result"),
    [
        ("aunt.jpg", ".jpg", "aunt.jpg"),
        ("album/1920/AUNT.JPEG", ".jpg", "album/1920/AUNT.JPEG"),
        ("奶奶 (1).tif", ".tif", "奶奶 (1).tif"),
        ("scan.bmp", ".bmp", "scan.bmp.png"),
        ("really a png.jpg", ".png", "really a png.jpg.png"),
    ],
)
def test_a_photograph_is_coloured_to_another_folder(
    created: Events, name: str, ending: str, result: str, tmp_path: Path
) -> None:
    storage, bucket = created.storage, created.bucket
    original = sample(80, ending)
    storage.put(bucket, f"in/{name}", original)
    outcome = created(f"in/{name}")
    assert (outcome.status, outcome.target) == ("done", f"s3://{bucket}/out/{result}")
    assert storage.get(bucket, f"in/{name}") == original
    coloured = storage.get(bucket, f"out/{result}")
    assert record_of(coloured, tmp_path).parameters["size"] == 256
    (tmp_path / "result").write_bytes(coloured)
    assert read_photo(tmp_path / "result").pixels.shape == (80, 80, 3)
    assert sorted(storage.keys(bucket)) == sorted([f"in/{name}", f"out/{result}"])


def test_an_event_that_comes_twice_is_done_once(created: Events) -> None:
    created.storage.put(created.bucket, "in/a.png", sample())
    assert created("in/a.png").status == "done"
    first = created.storage.get(created.bucket, "out/a.png")
    assert created("in/a.png").status == "skipped"
    assert created.storage.get(created.bucket, "out/a.png") == first
    created.storage.put(created.bucket, "in/a.png", sample(seed=1))
    assert created("in/a.png").status == "done"
    assert created.storage.get(created.bucket, "out/a.png") != first


def test_what_is_not_a_result_of_the_photograph_is_not_replaced(created: Events) -> None:
    created.storage.put(created.bucket, "in/a.png", sample())
    created.storage.put(created.bucket, "out/a.png", b"somebody's only copy")
    outcome = created("in/a.png")
    assert (outcome.status, outcome.code) == ("failed", "output_failed")
    assert created.storage.get(created.bucket, "out/a.png") == b"somebody's only copy"


@pytest.mark.parametrize("scheme", ["s3", "oss"])
@pytest.mark.parametrize("before", [None, "an older version"])
def test_what_is_put_there_while_it_works_is_not_replaced(
    created: Events, storage: ObjectStorage, scheme: str, before: str | None, oss: None
) -> None:
    created = created.of_scheme(scheme)
    if before:
        created.storage.put(created.bucket, "in/a.png", sample(seed=1))
        assert created("in/a.png").status == "done"
    created.storage.put(created.bucket, "in/a.png", sample())
    theirs = b"somebody's only copy"
    intruded = created.while_it_is_coloured(
        lambda: created.storage.put(created.bucket, "out/a.png", theirs)
    )
    outcome = created("in/a.png", intruded)
    assert (outcome.status, outcome.code) == ("failed", "output_failed")
    assert created.storage.get(created.bucket, "out/a.png") == theirs


@pytest.mark.parametrize("scheme", ["s3", "oss"])
def test_a_slow_event_does_not_replace_the_result_of_a_newer_photograph(
    created: Events, scheme: str, oss: None
) -> None:
    created = created.of_scheme(scheme)
    created.storage.put(created.bucket, "in/a.png", sample())

    def newer() -> None:
        created.storage.put(created.bucket, "in/a.png", sample(seed=1))
        assert created("in/a.png").status == "done"

    outcome = created("in/a.png", created.while_it_is_coloured(newer))
    assert (outcome.status, outcome.code) == ("failed", "output_failed")
    kept = created.storage.get(created.bucket, "out/a.png")
    assert created("in/a.png").status == "skipped"  # the next try
    assert created.storage.get(created.bucket, "out/a.png") == kept


def test_a_photograph_replaced_between_reading_and_looking_is_tried_again(
    created: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one is coloured before the older looks whether it has been coloured."""
    created.storage.put(created.bucket, "in/a.png", sample())
    download = objects.download

    def then_newer(*given: Any) -> Any:
        head = download(*given)
        monkeypatch.setattr(objects, "download", download)
        created.storage.put(created.bucket, "in/a.png", sample(seed=1))
        assert created("in/a.png").status == "done"
        return head

    monkeypatch.setattr(objects, "download", then_newer)
    outcome = created("in/a.png")
    assert (outcome.status, outcome.code) == ("failed", "output_failed")
    assert created("in/a.png").status == "skipped"


def test_two_events_of_one_photograph_at_once_are_both_content(created: Events) -> None:
    created.storage.put(created.bucket, "in/a.png", sample())
    twin = created.while_it_is_coloured(lambda: created("in/a.png"))
    assert created("in/a.png", twin).status == "done"


def test_where_oss_tells_nothing_nothing_is_written(
    created: Events, monkeypatch: pytest.MonkeyPatch, oss: None
) -> None:
    """S3 answers so for what is not there, and puts only what is not there; OSS just puts."""
    created = created.of_scheme("oss")
    created.storage.put(created.bucket, "in/a.png", sample())
    get_async = obstore.get_async

    async def get(store: Any, key: str, **options: Any) -> Any:
        if key.startswith("out/"):
            raise PermissionDeniedError("403")
        return await get_async(store, key, **options)

    monkeypatch.setattr(obstore, "get_async", get)
    outcome = created("in/a.png")
    assert (outcome.status, outcome.code) == ("failed", "storage_failed")
    assert created.storage.keys(created.bucket) == ["in/a.png"]


def test_storage_that_does_not_answer_does_not_outlast_the_deadline(
    ask: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        folder = place("s3://silent")
        asks = ask.with_settings(buckets=(folder,), output=folder, deadline_margin_s=1)
        for document, about in (
            ({"image": "s3://silent/a.png"}, {}),
            (GOOD, {"reply": "stored"}),
        ):
            started = time.monotonic()
            response = asks(document, deadline=started + 2, **about)
            assert response.code == "deadline_exceeded"
            assert time.monotonic() - started < 2


def test_nothing_is_stored_in_several_parts(storage: ObjectStorage, bucket: str) -> None:
    """The roles' policies and the buckets' lifecycles are made for one."""
    target = Place("s3", bucket, "large.bin")
    objects.store(target, bytes(12_000_000), "image/png", Deadline(None, 0))
    e_tag = storage.client.head_object(Bucket=bucket, Key="large.bin")["ETag"]
    assert "-" not in e_tag  # "<digest>-<parts>" otherwise


def test_a_full_disk_is_not_blamed_on_storage(storage: ObjectStorage, bucket: str) -> None:
    storage.put(bucket, "a.png", sample())
    with Path("/dev/full").open("wb") as full, pytest.raises(OutputFailed, match="room"):
        objects.download(Place("s3", bucket, "a.png"), full, 10**6, Deadline(None, 0))


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("in/", "skipped", None),
        ("in/notes.txt", "skipped", None),
        ("in/no-ending", "skipped", None),
        ("out/a.png", "skipped", None),
        ("elsewhere/a.png", "skipped", None),
        ("in/gone.png", "failed", "object_not_found"),
        ("in/text.png", "failed", "bad_image"),
        ("in/empty.png", "failed", "bad_image"),
    ],
)
def test_what_is_no_photograph_is_left_alone(
    created: Events, key: str, status: str, code: str | None
) -> None:
    for name, body in (("text.png", b"the cat"), ("empty.png", b""), ("notes.txt", b"x")):
        created.storage.put(created.bucket, f"in/{name}", body)
    before = created.storage.keys(created.bucket)
    outcome = created(key)
    assert (outcome.status, outcome.code) == (status, code)
    assert created.storage.keys(created.bucket) == before


def test_an_operator_who_has_set_nothing_is_told(created: Events, ask: Caller) -> None:
    created.storage.put(created.bucket, "in/a.png", sample())
    assert created("in/a.png", ask.service).code == "not_configured"
    source, target = created.service.settings.event_source, created.service.settings.event_target
    wrong = ask.with_settings(
        event_source=source, event_target=target, event_settings={"presett": "auto"}
    )
    outcome = created("in/a.png", wrong.service)
    assert outcome.code == "not_configured"
    assert "did you mean preset?" in outcome.text


def test_a_link_ends(ask: Caller, storage: ObjectStorage, bucket: str) -> None:
    """That it ends is S3's doing; that we ask for the right time is ours."""
    small = ask.with_settings(
        max_response_bytes=2048, output=place(f"s3://{bucket}"), output_seconds=60
    )
    (image,) = small(GOOD).document()["images"]
    assert "X-Amz-Expires=60&" in image["url"] + "&"


def test_a_model_may_lie_in_a_bucket(
    service: Service,
    storage: ObjectStorage,
    bucket: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in tiny.rglob("*"):
        if path.is_file():
            storage.put(bucket, f"models/tiny/{path.relative_to(tiny)}", path.read_bytes())
    monkeypatch.setenv("HELIOCHROME_OFFLINE", "0")
    address = f"s3://{bucket}/models/tiny"
    there = Service(replace(service.settings, diffusion_model=address, cache=tmp_path / "cache"))
    assert pixels_in(Caller(there)(GOOD)) == pixels_in(Caller(service)(GOOD))
    there.close()
