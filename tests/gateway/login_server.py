"""A real gateway process with only the sign-in, in front of a page that says who is asking.

`running_login(folder)` is the test's side; run as a script it is the process. /who answers
name and role as JSON to who is signed in; /socket is a WebSocket that says so every 50 ms.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

AUTH: Final = Path(__file__).resolve().parents[2] / "auth"
# Argon2id at its least cost, and no pauses: these tests are not about how slow it is.
CHEAP: Final = {
    "HELIOCHROME_GATEWAY_PASSWORD_MEMORY_KIB": "64",
    "HELIOCHROME_GATEWAY_PASSWORD_PASSES": "1",
    "HELIOCHROME_GATEWAY_REFUSAL_PAUSE_S": "0",
}
PASSWORD: Final = "correct horse battery"


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """Of a gateway that keeps everything in `folder` and listens on any free port."""
    given = {f"HELIOCHROME_GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HELIOCHROME")}
    own = {"HELIOCHROME_GATEWAY_FOLDER": str(folder), "HELIOCHROME_GATEWAY_LISTEN_PORT": "0"}
    return {**inherited, "PYTHONPATH": str(AUTH), **CHEAP, **own, **given}


def command(
    environ: Mapping[str, str], *args: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`heliochrome-gateway`, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "heliochrome_gateway", *args],
        input=stdin, capture_output=True, text=True, env=dict(environ), timeout=30, check=False,
    )  # fmt: skip


@dataclass
class RunningLogin:
    address: str
    process: subprocess.Popen[str]
    environ: dict[str, str]

    def command(self, *args: str, stdin: str = "") -> str:
        done = command(self.environ, *args, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running_login(folder: Path, **settings: object) -> Iterator[RunningLogin]:
    """With an admin "ada" and a user "ben", whose password is PASSWORD, unless they are there."""
    environ = environment(folder, **settings)
    if not (folder / "users.json").exists():
        for name, role in (("ada", "admin"), ("ben", "user")):
            made = command(environ, "user", "add", name, "--role", role, "--stdin", stdin=PASSWORD)
            assert made.returncode == 0, made.stderr
    process = subprocess.Popen(
        [sys.executable, __file__], stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"https?://\S+?(?=/\s)", line)
        assert found, line
        yield RunningLogin(found[0], process, environ)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def _app() -> web.Application:
    from heliochrome_gateway import login
    from heliochrome_gateway.settings import GatewaySettings

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not login.is_public(request):
            request["identity"] = await login.authenticate(request)
            if request["identity"] is None:
                return login.challenge(request)
        return await handler(request)

    async def who(request: web.Request) -> web.Response:
        identity = request["identity"]
        return web.json_response({"name": identity.name, "role": identity.role})

    async def socket(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        while login.still_welcome(request):
            await answer.send_str("welcome")
            await asyncio.sleep(0.05)
        await answer.close(code=4401)
        return answer

    app = web.Application(middlewares=[door])
    login.setup(app, GatewaySettings.from_environ())
    app.router.add_get("/socket", socket)
    app.router.add_route("*", "/{path:.*}", who)
    return app


if __name__ == "__main__":
    from heliochrome_gateway.output import say
    from heliochrome_gateway.serving import serve
    from heliochrome_gateway.settings import GatewaySettings

    asyncio.run(serve(_app(), GatewaySettings.from_environ(), say))
