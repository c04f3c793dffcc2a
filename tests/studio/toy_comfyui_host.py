"""A ComfyUI that misbehaves as it is told, on loopback, for what a real one does too seldom."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from PIL import Image


class ToyHost:
    """fault: "" | "no pack" | "not found" | "html" | "closes" | "lost error" | "no picture" |
    "too large" | "never ends". prompts: what it was asked to run."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.prompts: list[dict[str, Any]] = []
        self.uploads: list[Image.Image] = []
        self.origin = ""

    async def object_info(self, request: web.Request) -> web.Response:
        if self.fault == "not found":
            return web.Response(status=404)
        if self.fault == "html":
            return web.Response(text="<html>", content_type="text/html")
        return web.json_response({} if self.fault == "no pack" else {"HeliochromeSavePhoto": {}})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while self.fault != "closes" or not self.prompts:
            await asyncio.sleep(0.05)
            if socket.closed:
                break
        await socket.close()
        return socket

    async def upload(self, request: web.Request) -> web.Response:
        if self.fault == "too large":
            return web.Response(status=413)
        form = await request.post()
        self.uploads.append(Image.open(io.BytesIO(form["image"].file.read())))  # type: ignore[union-attr]
        return web.json_response({"name": "a.png", "subfolder": form["subfolder"]})

    async def prompt(self, request: web.Request) -> web.Response:
        self.prompts.append(await request.json())
        return web.json_response({"prompt_id": self.prompts[-1]["prompt_id"]})

    async def history(self, request: web.Request) -> web.Response:
        failure = {
            "exception_type": "custom_nodes.heliochrome.core.errors.OutOfMemory",
            "exception_message": "Not even size 256 fits.",
        }
        status = {"status_str": "error", "messages": [["execution_error", failure]]}
        if self.fault == "no picture":
            status = {"status_str": "success", "messages": []}
        entry = {"outputs": {}, "status": status}
        known = self.fault in ("lost error", "no picture")
        return web.json_response({request.match_info["run"]: entry} if known else {})

    async def queue(self, request: web.Request) -> web.Response:
        running = [[0, prompt["prompt_id"]] for prompt in self.prompts]
        if self.fault != "never ends":
            running = []
        return web.json_response({"queue_running": running, "queue_pending": []})

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/object_info/{node}", self.object_info),
                web.get("/ws", self.socket),
                web.post("/upload/image", self.upload),
                web.post("/prompt", self.prompt),
                web.get("/history/{run}", self.history),
                web.get("/queue", self.queue),
                web.post("/queue", self.queue),
                web.post("/interrupt", self.queue),
            ]
        )
        return app


@contextmanager
def running_toy_host(fault: str = "") -> Iterator[ToyHost]:
    toy, loop, started = ToyHost(fault), asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(toy.app(), handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        toy.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait()
    try:
        yield toy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
