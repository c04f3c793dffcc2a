"""The REST API: openapi.json says what each address takes and answers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from ..core.errors import HeliochromeError
from ..core.presets import AUTO_PRESET, PRESETS
from ..version import __version__
from .answers import error_answer
from .asking import Asker, job_request
from .catalog_view import ModelView
from .jobs import Jobs
from .keeping import Keeping
from .names import file_name, numbered
from .presentation import job_json, made_json, photo_json, summary_json
from .queue import Queue
from .receiving import Receiver
from .records import Job, Made, Photo
from .refusals import Refusal
from .settings import StudioSettings
from .shelf import AFTER, BEFORE, Shelf
from .telling import tell
from .webhooks import Webhooks
from .zipping import Entry, zipped

_log = logging.getLogger("heliochrome.studio")

ROOT: Final = "/api/v1"
_MANIFEST: Final = "heliochrome.json"
_LONGEST_NAME: Final = 1000


class Api:
    def __init__(
        self,
        settings: StudioSettings,
        keeping: Keeping,
        shelf: Shelf,
        jobs: Jobs,
        queue: Queue,
        webhooks: Webhooks,
    ) -> None:
        self._settings, self._shelf, self._jobs, self._queue = settings, shelf, jobs, queue
        self._keeping, self._webhooks = keeping, webhooks
        self._model = ModelView(settings)
        self._receiver = Receiver(shelf, settings.max_photo_bytes)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{ROOT}/openapi.json", self.openapi),
            web.get(f"{ROOT}/me", self.me),
            web.post(f"{ROOT}/photos", self.bring),
            web.get(f"{ROOT}/photos/{{photo}}", self.photo),
            web.delete(f"{ROOT}/photos/{{photo}}", self.drop),
            web.get(f"{ROOT}/photos/{{photo}}/original", self.original),
            web.get(f"{ROOT}/photos/{{photo}}/result", self.result),
            web.get(f"{ROOT}/photos/{{photo}}/before", self.view),
            web.get(f"{ROOT}/photos/{{photo}}/after", self.view),
            web.post(f"{ROOT}/jobs", self.begin),
            web.get(f"{ROOT}/jobs", self.jobs),
            web.get(f"{ROOT}/jobs/{{job}}", self.job),
            web.delete(f"{ROOT}/jobs/{{job}}", self.delete),
            web.post(f"{ROOT}/jobs/{{job}}/cancel", self.cancel),
            web.post(f"{ROOT}/jobs/{{job}}/retry", self.retry),
            web.get(f"{ROOT}/jobs/{{job}}/results.zip", self.results),
        ]

    async def openapi(self, request: web.Request) -> web.Response:
        return web.json_response(openapi())

    async def me(self, request: web.Request) -> web.Response:
        asker, settings = _asker(request), self._settings
        engine = self._queue.engine()
        return web.json_response(
            {
                "user": asker.name,
                "role": asker.role,
                "engine": "comfyui" if settings.comfyui else "local",
                "waiting": engine.get("waiting", ""),
                "model": await asyncio.to_thread(self._model.json),
                "presets": [AUTO_PRESET, *PRESETS],
                "max_photo_bytes": settings.max_photo_bytes,
                "max_photo_pixels": settings.max_photo_pixels,
                "max_job_photos": settings.max_job_photos,
                "used_bytes": self._shelf.used(asker.name),
                "max_user_bytes": settings.max_user_bytes,
                "keep_days": settings.keep_days,
                "webhooks": self._webhooks.offered,
                "version": __version__,
            }
        )

    async def bring(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        if len(name) > _LONGEST_NAME:
            raise Refusal("bad_request", f"`name` may have up to {_LONGEST_NAME} characters.")
        try:
            photo = await self._receiver.receive(request, _asker(request), name)
        except HeliochromeError as error:
            answer = error_answer(error.code, str(error))
            return tell(answer, "upload", file=name, outcome="refused", reason=error.code)
        return tell(
            web.json_response(photo_json(photo, {}), status=201),
            "upload",
            file=photo.name,
            bytes=photo.bytes,
            sha256=photo.sha256,
            format=photo.format,
            width=photo.width,
            height=photo.height,
            outcome="taken",
        )

    async def photo(self, request: web.Request) -> web.Response:
        return web.json_response(photo_json(self._photo(request), self._queue.positions()))

    async def drop(self, request: web.Request) -> web.Response:
        photo = self._photo(request)
        self._shelf.delete(photo)
        return tell(web.Response(status=204), "delete", file=photo.name)

    async def original(self, request: web.Request) -> web.StreamResponse:
        photo = self._photo(request)
        return self._file(photo, photo.stored, photo.name, photo.bytes)

    async def result(self, request: web.Request) -> web.StreamResponse:
        photo = self._photo(request)
        if photo.made is None:
            raise Refusal("not_ready", "This photograph has no result yet. Wait until it is done.")
        return self._file(photo, photo.made.stored, photo.made.name, photo.made.bytes)

    async def view(self, request: web.Request) -> web.StreamResponse:
        """A small picture for the page; of the original from the beginning."""
        photo = self._photo(request)
        name = BEFORE if request.path.endswith("/before") else AFTER
        path = self._shelf.folder(photo.id) / name
        if (name == AFTER and photo.made is None) or not path.is_file():
            raise Refusal(
                "not_ready", "There is no picture yet. Wait until the photograph is done."
            )
        return web.FileResponse(path, headers={"Content-Type": "image/jpeg"})

    async def begin(self, request: web.Request) -> web.Response:
        asked = await job_request(request, self._settings.max_job_photos, self._webhooks)
        job = self._jobs.make(_asker(request).name, asked.photos, asked.order)
        return tell(
            self._answer(job, 201),
            "run",
            job=job.id,
            photos=len(job.photos),
            preset=job.order.preset,
            models=[] if job.order.preview else [self._settings.model],
            outcome="queued",
        )

    async def jobs(self, request: web.Request) -> web.Response:
        listed = self._jobs.all(_asker(request).name, request.query.get("before") or None)
        shown = [summary_json(job, self._keeping) for job in listed.jobs]
        return web.json_response({"jobs": shown, "more": listed.more})

    async def job(self, request: web.Request) -> web.Response:
        return self._answer(self._job(request))

    async def cancel(self, request: web.Request) -> web.Response:
        job = self._jobs.stop(_asker(request).name, request.match_info["job"])
        return tell(self._answer(job), "run", job=job.id, outcome="stopped")

    async def retry(self, request: web.Request) -> web.Response:
        job = self._jobs.retry(_asker(request).name, request.match_info["job"])
        return tell(self._answer(job), "run", job=job.id, outcome="queued again")

    async def delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        self._jobs.delete(job.owner, job.id)
        return tell(web.Response(status=204), "delete", job=job.id, photos=len(job.photos))

    async def results(self, request: web.Request) -> web.StreamResponse:
        """All results of a job, with what was done to each."""
        job = self._job(request)
        made = [(photo, photo.made) for photo in job.photos if photo.made is not None]
        if not made:
            raise Refusal("not_ready", "This job has no results yet. Wait until one is done.")
        names = numbered([result.name for _, result in made])
        entries = [
            Entry(name, self._shelf.folder(photo.id) / result.stored)
            for name, (photo, result) in zip(names, made, strict=True)
        ]
        entries.append(Entry(_MANIFEST, _manifest(names, made)))
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/zip",
                **_attachment(f"heliochrome-{job.id[:8]}.zip"),
            }
        )
        total = sum(result.bytes for _, result in made)
        tell(response, "download", job=job.id, photos=len(made), bytes=total)
        await response.prepare(request)
        pieces: Iterator[bytes] = zipped(entries)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                if piece:
                    await response.write(piece)
        except OSError as error:
            # Its head is out already: only a broken connection says that the rest is missing.
            _log.warning("A ZIP of job %s broke off: %s", job.id, error)
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    def _photo(self, request: web.Request) -> Photo:
        return self._shelf.find(_asker(request).name, request.match_info["photo"])

    def _job(self, request: web.Request) -> Job:
        return self._jobs.find(_asker(request).name, request.match_info["job"])

    def _answer(self, job: Job, status: int = 200) -> web.Response:
        shown = job_json(job, self._queue.positions(), self._keeping)
        return web.json_response(shown, status=status)

    def _file(self, photo: Photo, stored: str, name: str, size: int) -> web.StreamResponse:
        path = self._shelf.folder(photo.id) / stored
        if not path.is_file():
            raise Refusal("not_found", "The file is not there any more. It may have expired.")
        response = web.FileResponse(
            path, headers={**_attachment(name), "Content-Type": "application/octet-stream"}
        )
        return tell(response, "download", file=name, bytes=size, job=photo.job)


def _asker(request: web.Request) -> Asker:
    found: Asker = request["asker"]
    return found


def _attachment(path: str) -> dict[str, str]:
    """RFC 6266, with the name for old programs and for those that know RFC 8187."""
    name = file_name(path)
    plain = "".join(char if char.isascii() and char not in '"\\%' else "_" for char in name)
    encoded = quote(name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"}


def _manifest(names: Sequence[str], made: Sequence[tuple[Photo, Made]]) -> bytes:
    """What was done to each photograph, for an archive's own records. names: in the ZIP."""
    rows: list[dict[str, Any]] = [
        {
            "source": photo.name,
            "source_sha256": photo.sha256,
            **made_json(result),
            "name": name,
        }
        for name, (photo, result) in zip(names, made, strict=True)
    ]
    return json.dumps({"photos": rows}, indent=1, ensure_ascii=False).encode()


@cache
def openapi() -> dict[str, Any]:
    """The description of this API (OpenAPI 3.1)."""
    file = resources.files(__package__) / "openapi.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    found["info"]["version"] = __version__
    return found
