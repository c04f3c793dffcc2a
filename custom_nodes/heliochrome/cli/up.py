"""`heliochrome up`: gateway, studio and, where there is one, ComfyUI, on one machine."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from .output import say

COMFYUI: Final = "COMFYUI_DIR"
COMFYUI_PYTHON: Final = "HELIOCHROME_COMFYUI_PYTHON"
_PACK: Final = Path(__file__).resolve().parents[1]
LARGEST_MB: Final = "2048"  # of an upload to ComfyUI; its own limit is less than a large scan has
_WRONG_USE: Final = 2  # with this code our commands end where they cannot begin
_LOOK_S: Final = 0.1
_NEEDED: Final = ("aiohttp", "markdown_it", "heliochrome_gateway", "argon2")


@dataclass(frozen=True)
class Program:
    """One of the processes. environ: what is set for it beside our own environment. quiet: what it
    says is for nobody, such as an address that only the gateway may use. awaited: a port on this
    machine at which it answers before the next one is started; None: nobody waits."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    quiet: bool = False
    awaited: int | None = None


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "up",
        help="start the studio behind its gateway on this machine",
        description="Start gateway and studio, and ComfyUI where COMFYUI_DIR names its folder. "
        "The address and, the first time, the password are shown. Ctrl-C ends all of them.",
    )
    parser.add_argument("--model", metavar="ID", help="model id or file for the studio")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM; 2 where a part cannot begin, which it has then said why.

    Raises BackendUnavailable where a part is not installed.
    """
    from ..core.errors import BackendUnavailable, ModelNotFound

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise BackendUnavailable(
            f"{', '.join(missing)} cannot be imported: "
            "run `pip install 'heliochrome[studio,gateway]'`."
        )
    folder = os.environ.get(COMFYUI, "")
    if folder and not (Path(folder) / "main.py").is_file():
        raise ModelNotFound(f"{COMFYUI} names {folder}, where there is no ComfyUI (no main.py).")
    return asyncio.run(_keep(programs(folder, args.model, os.environ)))


def programs(comfyui: str, model: str | None, environ: Mapping[str, str]) -> list[Program]:
    """What is started, in that order. comfyui: its folder, or "". The studio's token and the
    ports between them are new each time."""
    from ..studio.settings import PREFIX, StudioSettings, variable

    token, port = secrets.token_urlsafe(32), _free_port()
    # A token in a file would be for parts that are started one by one.
    studio = {
        variable("token"): token,
        f"{variable('token')}_FILE": "",
        variable("listen_port"): str(port),
    }
    gateway = {
        "HELIOCHROME_GATEWAY_STUDIO": f"http://127.0.0.1:{port}",
        "HELIOCHROME_GATEWAY_STUDIO_TOKEN": token,
        "HELIOCHROME_GATEWAY_STUDIO_TOKEN_FILE": "",
    }
    if model:
        studio[variable("model")] = model
    found = []
    if comfyui:
        origin_port = str(_free_port())
        origin = f"http://127.0.0.1:{origin_port}"
        studio[variable("comfyui")] = gateway["HELIOCHROME_GATEWAY_UPSTREAM"] = origin
        given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
        paths = StudioSettings.from_environ({**given, **studio}).folder / "comfyui-paths.yaml"
        found.append(_comfyui(Path(comfyui), origin_port, paths, environ))
    command = [sys.executable, "-m", "heliochrome", "studio"]
    # ComfyUI takes long, and the studio says so; a door that leads nowhere is for nobody.
    found.append(Program("The studio", command, studio, quiet=True, awaited=port))
    serve = [sys.executable, "-m", "heliochrome_gateway", "serve"]
    return [*found, Program("The gateway", serve, gateway)]


def _comfyui(folder: Path, port: str, paths: Path, environ: Mapping[str, str]) -> Program:
    """paths: a file that tells it where our nodes are."""
    own = folder / ".venv" / "bin" / "python"
    python = str(own) if own.is_file() else environ.get(COMFYUI_PYTHON, sys.executable)
    paths.parent.mkdir(parents=True, exist_ok=True)
    nodes = _folder_of_nodes(paths.parent)
    paths.write_text(json.dumps({"heliochrome": {"custom_nodes": str(nodes)}}))
    options = [
        *("--listen", "127.0.0.1", "--port", port, "--disable-api-nodes"),
        *("--max-upload-size", LARGEST_MB),
        *("--extra-model-paths-config", str(paths)),
        *environ.get("HELIOCHROME_COMFYUI_OPTIONS", "").split(),
    ]
    return Program("ComfyUI", [python, str(folder / "main.py"), *options], {}, quiet=True)


def _folder_of_nodes(folder: Path) -> Path:
    """One that holds our nodes and nothing else: beside an installed package lie all others, which
    ComfyUI would take for nodes."""
    if _PACK.parent.name == "custom_nodes":
        return _PACK.parent
    nodes = folder / "comfyui-nodes"
    nodes.mkdir(exist_ok=True)
    link = nodes / _PACK.name
    link.unlink(missing_ok=True)
    link.symlink_to(_PACK, target_is_directory=True)
    return nodes


async def _keep(started: Sequence[Program]) -> int:
    from ..studio.supervisor import Supervisor

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises there
            loop.add_signal_handler(number, stop.set)
    running: list[Supervisor] = []
    try:
        for program in started:
            supervisor = Supervisor(
                program.name,
                program.command,
                environ={**os.environ, **program.environ},
                quiet=program.quiet,
                hopeless=(_WRONG_USE,),
                follow=True,
            )
            running.append(supervisor)
            supervisor.start()
            if program.awaited is not None:
                await _first(_answers(program.awaited), stop.wait(), supervisor.given_up.wait())
        await _first(stop.wait(), *(supervisor.given_up.wait() for supervisor in running))
    finally:
        say("Ending ...")
        for supervisor in running:
            supervisor.rest()
        # The door closes first; the studio's worker puts its photograph back.
        for supervisor in reversed(running):
            await supervisor.stop()
    return _WRONG_USE if any(supervisor.given_up.is_set() for supervisor in running) else 0


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Until one of them is over."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _answers(port: int) -> None:
    """Until something answers there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_LOOK_S)
        else:
            writer.close()
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
