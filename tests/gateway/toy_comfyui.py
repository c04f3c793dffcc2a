"""A stand-in for ComfyUI, as a process: it answers like it, and tells what reached it.

/seen lists every request (method, raw path, headers, size of the body) since the last time;
/ends lists, from the beginning, paths and how their work ended: "cut off" before its answer
did, or with a close code;
/tell sends a JSON message to every open socket, as the host does with what has no addressee;
"preview": the bytes of a picture.
Run as: python toy_comfyui.py (says its address).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

PREVIEW = (1).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"a picture on its way"
PIECE = bytes(range(256)) * 256
# What the gateway asks in its own name: how runs and photographs ended.
_WATCHING = re.compile(r"/queue|/history/[^/?]+|/internal/events(\?upto=\d+)?")


class Toy:
    """The test's side."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address, self.process = address, process

    def seen(self) -> list[dict[str, Any]]:
        """Since the last time, of what came for somebody: the gateway's own may come at any
        moment."""
        return [entry for entry in self._told("seen") if not _its_own(entry)]

    def ends(self) -> list[list[Any]]:
        """Path and how. They come a moment after what the test did: to be waited for."""
        found: list[list[Any]] = self._told("ends")
        return found

    def _told(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.address}/{what}") as answer:
            return json.load(answer)

    def tell(self, message: Any) -> None:
        request = urllib.request.Request(f"{self.address}/tell", json.dumps(message).encode())
        urllib.request.urlopen(request).close()

    def finish(self, *, keep: bool) -> None:
        """End every run; keep: as a success, else as if the host had been restarted."""
        urllib.request.urlopen(f"{self.address}/finish?keep={int(keep)}").close()

    def peak_mib(self) -> float:
        return peak_mib(self.process.pid)


def _its_own(entry: dict[str, Any]) -> bool:
    for_somebody = "x-forwarded-for" in entry["headers"]
    return not for_somebody and bool(_WATCHING.fullmatch(entry["path"]))


def peak_mib(pid: int) -> float:
    """The most memory that a process has had, MiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@contextmanager
def running_toy(port: int = 0) -> Iterator[Toy]:
    process = subprocess.Popen(
        [sys.executable, __file__, str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Toy(process.stdout.readline().strip(), process)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


class _Comfy:
    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.ends: list[tuple[str, str | int | None]] = []
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.history: dict[str, Any] = {}
        self.waiting: list[str] = []

    @web.middleware
    async def note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path in ("/seen", "/ends", "/tell", "/finish"):
            return await handler(request)
        entry: dict[str, Any] = {
            "method": request.method, "path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }  # fmt: skip
        self.seen.append(entry)
        request["entry"] = entry
        try:
            return await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            self.ends.append((request.path, "cut off"))
            raise

    async def tell_seen(self, request: web.Request) -> web.Response:
        seen, self.seen = self.seen, []
        return web.json_response(seen)

    async def tell_ends(self, request: web.Request) -> web.Response:
        return web.json_response(self.ends)

    async def tell(self, request: web.Request) -> web.Response:
        message = await request.json()
        for socket in list(self.sockets.values()):
            if message == "preview":
                await socket.send_bytes(PREVIEW)
            else:
                await socket.send_json(message)
        return web.Response()

    async def finish(self, request: web.Request) -> web.Response:
        self.waiting = []
        if request.query["keep"] == "0":
            self.history = {}
        return web.Response()

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        sid = request.query["clientId"]
        self.sockets[sid] = socket
        await socket.send_json({"type": "status", "data": {"status": {}, "sid": sid}})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                event = json.loads(message.data)
                if event.get("type") == "feature_flags":
                    if event["data"].get("close"):
                        await socket.close(code=event["data"]["close"])
                    else:
                        size = event["data"].get("size", 0)
                        answer = {"type": "feature_flags", "data": {"x": "a" * size}}
                        await socket.send_json(answer)
                else:
                    await socket.send_json({"type": "feature_flags", "data": {"heard": event}})
        self.sockets.pop(sid, None)
        self.ends.append((request.path, socket.close_code))
        return socket

    async def prompt(self, request: web.Request) -> web.Response:
        given = await request.json()
        request["entry"]["json"] = given
        run_id, client = given["prompt_id"], given.get("client_id", "")
        preview = {"filename": f"ComfyUI_temp_{run_id[:5]}_00001_.png", "subfolder": "",
                   "type": "temp"}  # fmt: skip
        status = {"status_str": "success", "completed": True, "messages": []}
        # What the user wrote comes back, too.
        prompt = [0, run_id, given["prompt"], given["extra_data"], []]
        outputs = {"9": {"images": [preview]}}
        self.history[run_id] = {"outputs": outputs, "status": status, "prompt": prompt}
        self.waiting.append(run_id)
        if socket := self.sockets.get(client):
            for kind, data in (
                ("execution_start", {"prompt_id": run_id}),
                ("progress", {"value": 1, "max": 2, "prompt_id": run_id, "node": "1"}),
            ):
                await socket.send_json({"type": kind, "data": data})
            await socket.send_bytes(PREVIEW)
            for kind, data in (
                ("executed", {"node": "9", "output": {"images": [preview]}, "prompt_id": run_id}),
                ("executing", {"node": None, "prompt_id": run_id}),
            ):
                await socket.send_json({"type": kind, "data": data})
        return web.json_response({"prompt_id": run_id, "number": 0, "node_errors": {}})

    async def all_history(self, request: web.Request) -> web.Response:
        run_id = request.match_info.get("run")
        found = self.history if run_id is None else {
            key: value for key, value in self.history.items() if key == run_id
        }  # fmt: skip
        return web.json_response(found)

    async def queue(self, request: web.Request) -> web.Response:
        waiting = [[0, run_id, {"1": "a secret workflow"}, {}, []] for run_id in self.waiting]
        return web.json_response({"queue_running": [], "queue_pending": waiting})

    async def jobs(self, request: web.Request) -> web.Response:
        found = [{"id": run_id, "status": "completed"} for run_id in self.history]
        return web.json_response({"jobs": found, "pagination": {"total": len(found)}})

    async def job(self, request: web.Request) -> web.Response:
        return web.json_response(self.history.get(request.match_info["run"], {}))

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        picture = form["image"]
        assert isinstance(picture, web.FileField)
        content = picture.file.read()
        request["entry"]["fields"] = {k: v for k, v in form.items() if isinstance(v, str)}
        request["entry"]["file"] = picture.filename
        request["entry"]["size"] = len(content)
        return web.json_response(
            {"name": picture.filename, "subfolder": form["subfolder"], "type": form["type"]}
        )

    async def object_info(self, request: web.Request) -> web.Response:
        image = [["example.png", "grandmother.png"], {"image_upload": True}]
        found = {name: {"input": {"required": {}}} for name in ("PreviewImage", "LoadCheckpoint")}
        return web.json_response({**found, "LoadImage": {"input": {"required": {"image": image}}}})

    async def download(self, request: web.Request) -> web.StreamResponse:
        """/assets/down/N: N bytes. With ?endless it goes on until nobody listens."""
        size = int(request.match_info["size"])
        answer = web.StreamResponse(headers={"Set-Cookie": "a=b", "X-Kept": "1"})
        if not request.query_string:
            answer.content_length = size
        await answer.prepare(request)
        if request.query_string == "broken":
            await answer.write(PIECE)
            assert request.transport is not None
            request.transport.abort()
            return answer
        while size > 0:
            await answer.write(PIECE[:size])
            size -= len(PIECE)
            if request.query_string == "endless":
                size = len(PIECE)
                await asyncio.sleep(0.01)
        return answer

    async def take(self, request: web.Request) -> web.Response:
        """Anything else: how large the body is and what it hashes to."""
        digest, size = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
            request["entry"]["size"] = size
            if size < 10_000:
                request["entry"]["body"] = request["entry"].get("body", "") + chunk.decode()
        return web.json_response({"size": size, "sha256": digest.hexdigest()})

    def app(self) -> web.Application:
        app = web.Application(
            middlewares=[self.note], client_max_size=1 << 30
        )  # fmt: skip
        app.router.add_get("/seen", self.tell_seen)
        app.router.add_get("/ends", self.tell_ends)
        app.router.add_post("/tell", self.tell)
        app.router.add_get("/finish", self.finish)
        for before in ("", "/api"):
            app.router.add_get(f"{before}/ws", self.socket)
            app.router.add_post(f"{before}/prompt", self.prompt)
            app.router.add_get(f"{before}/history", self.all_history)
            app.router.add_get(f"{before}/history/{{run}}", self.all_history)
            app.router.add_get(f"{before}/queue", self.queue)
            app.router.add_get(f"{before}/jobs", self.jobs)
            app.router.add_get(f"{before}/jobs/{{run}}", self.job)
            app.router.add_get(f"{before}/object_info", self.object_info)
            app.router.add_post(f"{before}/upload/image", self.upload)
            app.router.add_post(f"{before}/upload/mask", self.upload)
        app.router.add_get("/assets/down/{size}", self.download)
        app.router.add_route("*", "/{path:.*}", self.take)
        return app


async def _serve(port: int) -> None:
    runner = web.AppRunner(
        _Comfy().app(), access_log=None, handler_cancellation=True, auto_decompress=False
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
