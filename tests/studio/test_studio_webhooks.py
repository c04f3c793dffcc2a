"""Reports that a job is over: signed so that another library agrees, and tried again."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from running_studio import RunningStudio, running_studio
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"between the studio and an archive").decode()


class Archive:
    """A program that is told. refusals: how many reports it does not take at first."""

    def __init__(self, refusals: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                archive.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                taken = len(archive.got) > refusals
                self.send_response(204 if taken else 302)
                if not taken:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive(refusals=1)
    yield made
    made.close()


def told(studio: RunningStudio, archive: Archive, count: int) -> None:
    studio.wait_until(lambda: len(archive.got) >= count)


def test_a_job_that_is_over_is_reported_until_it_is_taken(
    tmp_path: Path, archive: Archive, photo: bytes
):
    settings = {"webhook_origins": archive.origin, "webhook_secret": SECRET}
    with running_studio(tmp_path, **settings) as studio:
        assert studio.ask("ben", "GET", "/api/v1/me").json["webhooks"] is True
        address = f"{archive.origin}/heliochrome?from=studio"
        job = studio.job("ben", [studio.bring("ben", photo)], "portrait", webhook=address)
        studio.wait("ben", job["id"])
        told(studio, archive, 1)
    # It was not taken, and following the redirect would have been a second one already.
    assert len(archive.got) == 1
    with running_studio(tmp_path, **settings) as studio:
        told(studio, archive, 2)
        shown = studio.ask("ben", "GET", f"/api/v1/jobs/{job['id']}").json
    (first, body), (second, again) = archive.got
    assert body == again and first["webhook-id"] == second["webhook-id"]
    for headers in (first, second):
        Webhook(SECRET).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body + b" ", headers)
    report = json.loads(body)
    assert report["type"] == "job.over"
    assert report["data"]["id"] == job["id"] and report["data"]["state"] == "done"
    assert report["data"]["photos"][0]["result"] == shown["photos"][0]["result"]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/", "{origin}.evil.example/", "http://user@{host}/", "{origin}@evil/",
        "ftp://{host}/", "//{host}/", "file:///etc/passwd", "", "http://[", "{origin}/\n",
    ],
)  # fmt: skip
def test_no_other_address_is_told(
    reporting: tuple[RunningStudio, Archive], photo: bytes, address: str
):
    studio, archive = reporting
    host = archive.origin.removeprefix("http://")
    body = {
        "photos": [studio.bring("ben", photo)],
        "preset": "auto",
        "webhook": address.format(origin=archive.origin, host=host),
    }
    answer = studio.ask("ben", "POST", "/api/v1/jobs", body)
    assert answer.status == 403 and answer.json["error"]["code"] == "webhook_not_allowed"


@pytest.fixture(scope="module")
def reporting(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningStudio, Archive]]:
    archive = Archive(refusals=0)
    settings = {"webhook_origins": archive.origin, "webhook_secret": SECRET}
    folder = tmp_path_factory.mktemp("studio")
    with running_studio(folder, start_worker=False, **settings) as studio:
        yield studio, archive
    archive.close()
