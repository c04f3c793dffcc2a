"""A running ComfyUI does the work, over its API, with our own nodes in it.

Pictures go through its temporary folder, which it empties when it starts and ends: its input and
output folders are its users'.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np

from ..core import errors
from ..core.errors import HeliochromeError, ModelNotFound
from ..core.extent import Extent
from ..core.jobs import Cancel, Progress
from ..core.lab import full_scale
from ..core.merge import recolor
from ..core.notices import Notice
from ..core.photo import describe, read_photo
from ..core.photo.model import Pixels
from ..core.provenance import Provenance
from ..core.strips import strips
from ..core.treatment import Treated
from .comfyui_graph import PAINTER, SAVER, graph
from .engine import EngineAway, EngineFailed, model_missing
from .records import Order

_log = logging.getLogger("heliochrome.studio")

_FOLDER: Final = "heliochrome-studio"
# From 16 bits to 8, rounded.
_STEP: Final = full_scale(np.uint16) // full_scale(np.uint8)
_HALF_STEP: Final = np.uint32(_STEP // 2)
_LOOK_S: Final = 0.25
# Without a message for so long, the host is asked whether it still knows of the run.
_QUIET_S: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=300)
_GONE: Final = (aiohttp.ClientConnectionError, asyncio.TimeoutError, aiohttp.ServerTimeoutError)


class ComfyUIEngine:
    """origin: of the host. model: id of a DDColor model that the host has."""

    name = "comfyui"

    def __init__(self, origin: str, model: str) -> None:
        self._origin, self._model = origin, model

    def ready(self) -> None:
        asyncio.run(self._ask_ready())

    def colorize(self, pixels: Pixels, order: Order, progress: Progress, cancel: Cancel) -> Treated:
        with tempfile.TemporaryDirectory(prefix="heliochrome-") as folder:
            file = Path(folder) / "result.png"
            notices = asyncio.run(self._run(pixels, order, progress, cancel, file))
            result, record = read_photo(file).pixels, describe(file).provenance
        if record is None or result.shape != pixels.shape:
            raise EngineFailed(
                "engine_failed",
                f"ComfyUI gave back a picture of shape {result.shape} "
                f"{'with' if record else 'without'} a record of how it was made; expected "
                f"{pixels.shape} with one. Update the node pack there.",
            )
        if result.dtype != pixels.dtype:
            recolor(pixels, result, pixels, cancel=cancel)
            result = pixels
        extent = record.parameters.get("network_extent")
        told = notices or _as_notices(record)
        return Treated(result, told, record, network_extent=str(extent) if extent else None)

    def close(self) -> None:
        """There is nothing to let go of."""

    async def _ask_ready(self) -> None:
        try:
            async with self._session() as session:
                known = await self._json(session, "GET", f"/object_info/{SAVER.kind}")
        except (EngineFailed, ValueError) as error:
            raise self._away(f"what answers there is no ComfyUI ({error})") from error
        if not isinstance(known, dict) or SAVER.kind not in known:
            raise self._away(f"it has no node {SAVER.kind}; install Heliochrome's nodes there")

    async def _run(
        self, pixels: Pixels, order: Order, progress: Progress, cancel: Cancel, file: Path
    ) -> tuple[Notice, ...]:
        """The result into `file`."""
        run_id, client = str(uuid.uuid4()), uuid.uuid4().hex
        begun = False
        try:
            async with (
                self._session() as session,
                session.ws_connect(f"/ws?clientId={client}", max_msg_size=0) as socket,
            ):
                image = await self._upload(session, pixels, run_id)
                body = {
                    "prompt": graph(order, self._model, image, f"{_FOLDER}/{run_id}"),
                    "client_id": client,
                    "prompt_id": run_id,
                }
                await self._json(session, "POST", "/prompt", body)
                begun = True
                try:
                    notices = await self._follow(session, socket, run_id, progress, cancel)
                except BaseException:
                    with suppress(HeliochromeError, *_GONE):
                        await self._abandon(session, run_id)
                    raise
                await self._fetch(session, run_id, file)
                return notices
        except (*_GONE, aiohttp.ClientError) as error:
            raise self._away(str(error) or type(error).__name__, begun=begun) from error
        except EngineAway as error:
            error.begun = begun
            raise

    async def _follow(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        run_id: str,
        progress: Progress,
        cancel: Cancel,
    ) -> tuple[Notice, ...]:
        """Until the host says that the run is over. Raises EngineFailed, EngineAway."""
        notices: list[Notice] = []
        quiet = 0.0
        while True:
            cancel()
            try:
                message = await socket.receive(_LOOK_S)
            except asyncio.TimeoutError:
                quiet += _LOOK_S
                if quiet >= _QUIET_S:
                    quiet = 0.0
                    if await self._is_over(session, run_id):
                        return tuple(notices)
                continue
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING,
                                aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR):  # fmt: skip
                raise self._away("it closed the connection")
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(message.data)
            kind, data = event.get("type"), event.get("data", {})
            if kind == "heliochrome.notice":
                notices.append(Notice(data["code"], data["text"], data.get("values", {})))
            elif data.get("prompt_id") != run_id:
                continue
            elif kind == "progress" and data.get("node") == PAINTER:
                progress(int(data["value"]), int(data["max"]) or 1)
            elif kind == "execution_error":
                raise self._failure(data)
            elif kind == "execution_interrupted":
                raise _interrupted()
            elif kind == "executing" and data.get("node") is None:
                return tuple(notices)

    async def _is_over(self, session: aiohttp.ClientSession, run_id: str) -> bool:
        """Raises EngineAway for a run that the host knows nothing of, and EngineFailed."""
        if (entry := await self._entry(session, run_id)) is not None:
            self._require_success(entry)
            return True
        queue = await self._json(session, "GET", "/queue")
        if not any(run_id in item for items in queue.values() for item in items):
            raise self._away("it has forgotten the work, and so was started anew")
        return False

    async def _abandon(self, session: aiohttp.ClientSession, run_id: str) -> None:
        await self._json(session, "POST", "/queue", {"delete": [run_id]})
        await self._json(session, "POST", "/interrupt", {"prompt_id": run_id})

    async def _upload(self, session: aiohttp.ClientSession, pixels: Pixels, name: str) -> str:
        """The picture's name as LoadImage takes it."""
        form = aiohttp.FormData()
        form.add_field("image", await asyncio.to_thread(_png, pixels), filename=f"{name}.png")
        form.add_field("type", "temp")
        form.add_field("subfolder", _FOLDER)
        async with session.post("/upload/image", data=form) as answer:
            taken = await _read(answer)
        return f"{taken['subfolder']}/{taken['name']} [temp]"

    async def _fetch(self, session: aiohttp.ClientSession, run_id: str, file: Path) -> None:
        entry = await self._entry(session, run_id)
        if entry is None:
            raise self._away("it has no result, as if it had been started anew")
        self._require_success(entry)
        images = entry.get("outputs", {}).get(SAVER.id, {}).get("images", [])
        if len(images) != 1:
            raise EngineFailed("engine_failed", "ComfyUI ended the work without a picture.")
        place = {name: images[0][name] for name in ("filename", "subfolder", "type")}
        async with session.get("/view", params=place) as answer:
            answer.raise_for_status()
            with file.open("wb") as out:
                async for piece in answer.content.iter_chunked(1 << 20):
                    out.write(piece)

    async def _entry(self, session: aiohttp.ClientSession, run_id: str) -> dict[str, Any] | None:
        """The run as the host remembers it, once it is over."""
        found = await self._json(session, "GET", f"/history/{run_id}")
        return found.get(run_id) if isinstance(found, dict) else None

    def _require_success(self, entry: Mapping[str, Any]) -> None:
        """Raise what the host has said, for those who did not hear it."""
        for kind, data in (entry.get("status") or {}).get("messages", []):
            if kind == "execution_error":
                raise self._failure(data)
            if kind == "execution_interrupted":
                raise _interrupted()

    async def _json(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None
    ) -> Any:
        try:
            async with session.request(method, path, json=body) as answer:
                return await _read(answer)
        except (*_GONE, aiohttp.ClientError) as error:
            raise self._away(str(error) or type(error).__name__) from error

    def _failure(self, data: Mapping[str, Any]) -> EngineFailed:
        """The core's error, by the name of its class, with its own sentence."""
        message = str(data.get("exception_message", "")).strip() or "no reason given"
        _log.error("ComfyUI: %s", message)
        kind = getattr(errors, str(data.get("exception_type", "")).rpartition(".")[2], None)
        if not (isinstance(kind, type) and issubclass(kind, HeliochromeError)):
            return EngineFailed("engine_failed", f"ComfyUI: {message}")
        if kind.code == ModelNotFound.code:
            return model_missing(self._model)
        return EngineFailed(kind.code, message)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self._origin, timeout=_TIMEOUT)

    def _away(self, why: str, *, begun: bool = False) -> EngineAway:
        return EngineAway(
            f"ComfyUI at {self._origin} cannot be used: {why}. Its work waits until it is "
            "there again.",
            begun=begun,
        )


def _png(pixels: Pixels) -> bytes:
    """8 bits, as LoadImage reads no more; grey where all of it is grey."""
    from PIL import Image

    levels = np.empty(pixels.shape, np.uint8)
    grey = True
    for top, bottom in strips(Extent.of(pixels.shape)):
        part = pixels[top:bottom]
        if part.dtype == np.uint16:
            part = ((part.astype(np.uint32) + _HALF_STEP) // _STEP).astype(np.uint8)
        levels[top:bottom] = part
        grey = grey and bool((np.ptp(part, axis=-1) == 0).all())
    file = io.BytesIO()
    Image.fromarray(levels[..., 0] if grey else levels).save(file, "png", compress_level=1)
    return file.getvalue()


def _interrupted() -> EngineFailed:
    return EngineFailed("engine_failed", "The work was stopped in ComfyUI. Try again.")


async def _read(answer: aiohttp.ClientResponse) -> Any:
    """The JSON of an answer. Raises EngineFailed with the host's own words."""
    text = await answer.text()
    if answer.status >= 500:
        answer.raise_for_status()
    if answer.status == 413:
        raise EngineFailed(
            "engine_failed",
            "ComfyUI takes no picture so large. Whoever looks after it starts it with a larger "
            "--max-upload-size.",
        )
    if answer.status >= 400:
        raise EngineFailed("engine_failed", f"ComfyUI refused the work: {_complaint(text)}")
    return json.loads(text) if text else None


def _complaint(text: str) -> str:
    try:
        said: Mapping[str, Any] = json.loads(text)
        errors_said = [
            f"{error['message']}: {error['details']}"
            for node in said.get("node_errors", {}).values()
            for error in node["errors"]
        ]
        return "; ".join(errors_said) or str(said["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return text[:200] or "no reason given"


def _as_notices(record: Provenance) -> tuple[Notice, ...]:
    """For a result from the host's cache, which told nobody anything again."""
    return tuple(Notice("recorded", text) for text in record.notices)
