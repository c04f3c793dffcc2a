"""WebSockets through the door: filtered, bounded, with their close codes, and one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from door import Door, basic, running_door
from login_server import command, environment
from toy_comfyui import PREVIEW, Toy, peak_mib, running_toy

from waiting import eventually

GRAPH = {"1": {"class_type": "PreviewImage", "inputs": {}}}


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    with running_toy() as toy:
        yield toy


@pytest.fixture(scope="module")
def door(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_door(folder, toy.address, max_message_bytes=100_000) as door:
        yield door


@asynccontextmanager
async def connected(door: Door, name: str, client_id: str = "", path: str = "/comfyui/ws"):
    query = f"?clientId={client_id}" if client_id else ""
    async with (
        aiohttp.ClientSession(headers={"Authorization": basic(name)}) as session,
        session.ws_connect(f"{door.address}{path}{query}", max_msg_size=0) as socket,
    ):
        yield session, socket


async def events(
    socket: aiohttp.ClientWebSocketResponse, last: str = "", limit_s: float = 20
) -> list[Any]:
    """What comes, JSON or bytes, up to the first event of this type, or to the socket's end."""
    found: list[Any] = []
    while True:
        message = await socket.receive(limit_s)
        if message.type is aiohttp.WSMsgType.TEXT:
            found.append(json.loads(message.data))
            if kinds(found[-1:]) == [last]:
                return found
        elif message.type is aiohttp.WSMsgType.BINARY:
            found.append(message.data)
        else:
            return found


async def so_far(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
    """What came before now: the host's answer to this comes after it."""
    await socket.send_json({"type": "feature_flags", "data": {}})
    return (await events(socket, "feature_flags"))[:-1]


def kinds(found: list[Any]) -> list[str]:
    return [event["type"] if isinstance(event, dict) else "bytes" for event in found]


def run(door: Door, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work(door, *args), 30))


@pytest.mark.parametrize("path", ["/comfyui/ws", "/comfyui/api/ws"])
def test_the_client_keeps_its_id_and_the_host_gets_another(door: Door, toy: Toy, path: str):
    async def work(door: Door) -> list[Any]:
        async with connected(door, "ben", "my-id", path) as (_, socket):
            return await events(socket, "status")

    toy.seen()
    (status,) = run(door, work)
    assert status["data"]["sid"] == "my-id"
    assert "my-id" not in json.dumps(toy.seen())


def test_two_users_with_one_id_are_two_to_the_host(door: Door, toy: Toy):
    async def work(door: Door, name: str) -> None:
        async with connected(door, name, "one-id") as (_, socket):
            await events(socket, "status")

    toy.seen()

    def opens(name: str) -> bool:
        try:
            run(door, work, name)
        except aiohttp.WSServerHandshakeError:
            return False
        return True

    # The id is another's until the gateway has noticed that its socket is closed.
    assert eventually(lambda: opens("ben")) and eventually(lambda: opens("ben"))
    assert eventually(lambda: opens("eve"))
    first, again, other = [entry["path"] for entry in toy.seen()]
    assert first == again
    assert first != other


def test_a_client_id_in_use_is_not_taken_over(door: Door, toy: Toy):
    async def work(door: Door) -> int:
        async with connected(door, "ben", "held") as (_, socket):
            await events(socket, "status")
            toy.seen()
            try:
                async with connected(door, "eve", "held"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert run(door, work) == 403
    assert toy.seen() == []
    assert [line for line in door.record() if line.get("rule") == "takeover"]


@pytest.mark.parametrize("name", ["", "nobody"])
def test_a_stranger_gets_no_socket(door: Door, toy: Toy, name: str):
    async def work(door: Door) -> int:
        try:
            async with connected(door, name):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    toy.seen()
    assert run(door, work) == 401
    assert toy.seen() == []


def test_a_page_elsewhere_gets_no_socket(door: Door, toy: Toy):
    async def work(door: Door) -> int:
        headers = {"Authorization": basic("ben")}
        async with aiohttp.ClientSession(headers=headers) as session:
            try:
                async with session.ws_connect(
                    f"{door.address}/comfyui/ws", origin="https://evil.example"
                ):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    toy.seen()
    assert run(door, work) == 403
    assert toy.seen() == []


def test_progress_goes_to_who_began_the_run_only(door: Door, toy: Toy):
    async def work(door: Door) -> tuple[list[Any], list[Any]]:
        async with (
            connected(door, "ben", "of-ben") as (session, mine),
            connected(door, "eve", "of-eve") as (_, others),
        ):
            await events(mine, "status")
            await events(others, "status")
            body = {"prompt": GRAPH, "client_id": "of-ben"}
            async with session.post(f"{door.address}/comfyui/api/prompt", json=body) as answer:
                run_id = (await answer.json())["prompt_id"]
            found = await events(mine, "executing")
            # Without an addressee the host tells everybody.
            for kind in ("execution_interrupted", "progress", "executed"):
                toy.tell({"type": kind, "data": {"prompt_id": run_id, "node": "1"}})
            toy.tell({"type": "progress", "data": {"value": 1, "max": 2}})
            toy.tell({"type": "heliochrome.notice", "data": {"text": "grandmother"}})
            toy.tell({"type": "logs", "data": {"entries": ["secret"]}})
            toy.tell({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 3}}}})
            toy.tell(["not", "an", "event"])
            toy.tell("preview")
            return found, await so_far(others)

    mine, others = run(door, work)
    assert kinds(mine) == ["execution_start", "progress", "bytes", "executed", "executing"]
    assert PREVIEW in mine
    assert kinds(others) == ["status"]


def test_a_run_for_somebody_elses_socket_does_not_reach_it(door: Door):
    async def work(door: Door) -> list[Any]:
        async with connected(door, "ben", "target") as (_, socket):
            await events(socket, "status")
            body = json.dumps({"prompt": GRAPH, "client_id": "target"})
            answer = await asyncio.to_thread(door.ask, "eve", "POST", "/comfyui/prompt", body)
            assert answer.status == 200
            return await so_far(socket)

    assert run(door, work) == []


@pytest.mark.parametrize("code", [1000, 1011, 4000])
def test_the_hosts_close_code_reaches_the_browser(door: Door, code: int):
    async def work(door: Door) -> int | None:
        async with connected(door, "ben") as (_, socket):
            await socket.send_json({"type": "feature_flags", "data": {"close": code}})
            await events(socket)
            return socket.close_code

    assert run(door, work) == code


def test_the_browsers_close_code_reaches_the_host(door: Door, toy: Toy):
    async def work(door: Door) -> None:
        async with connected(door, "ben") as (_, socket):
            await events(socket, "status")
            await socket.close(code=4005)

    run(door, work)
    assert eventually(lambda: ["/ws", 4005] in toy.ends())


def test_only_what_the_frontend_says_reaches_the_host(door: Door):
    async def work(door: Door) -> list[Any]:
        async with connected(door, "ben") as (_, socket):
            await events(socket, "status")
            await socket.send_json({"type": "anything", "data": {}})
            await socket.send_str("not JSON")
            await socket.send_bytes(b"bytes")
            await socket.send_json({"type": "feature_flags", "data": {}})
            return await events(socket, "feature_flags")

    found = run(door, work)
    assert kinds(found) == ["feature_flags"]
    assert "heard" not in found[0]["data"]


def test_a_message_that_is_too_large_ends_the_socket(door: Door):
    async def work(door: Door, up: bool) -> tuple[list[Any], int | None]:
        async with connected(door, "ben") as (_, socket):
            await events(socket, "status")
            data = {"x": "a" * 200_000} if up else {"size": 200_000}
            await socket.send_json({"type": "feature_flags", "data": data})
            return await events(socket), socket.close_code

    for up in (True, False):
        found, code = run(door, work, up)
        assert found == []
        assert code in (1001, 1009)


def test_a_removed_user_is_shown_out(toy: Toy, tmp_path):
    """Within the half minute in which it is asked again."""
    with running_door(tmp_path, toy.address) as door:

        async def work(door: Door) -> int | None:
            async with connected(door, "eve") as (_, socket):
                await events(socket, "status")
                done = await asyncio.to_thread(
                    command, environment(tmp_path), "user", "remove", "eve"
                )
                assert done.returncode == 0, done.stderr
                await events(socket, limit_s=40)
                return socket.close_code

        assert asyncio.run(asyncio.wait_for(work(door), 50)) == 4401


def test_so_many_sockets_and_no_more(toy: Toy, tmp_path):
    with running_door(tmp_path, toy.address, sockets_at_once=2) as door:

        async def work(door: Door) -> list[int]:
            found = []
            async with connected(door, "ben"), connected(door, "ben"):
                for name in ("ben", "eve"):
                    try:
                        async with connected(door, name):
                            found.append(101)
                    except aiohttp.WSServerHandshakeError as error:
                        found.append(error.status)
            async with connected(door, "ben"):
                found.append(101)
            return found

        assert run(door, work) == [429, 101, 101]


def test_five_hundred_idle_sockets_take_little_and_hold_nobody_up(toy: Toy, tmp_path):
    with running_door(tmp_path, toy.address, sockets_at_once=500) as door:

        async def work(door: Door) -> tuple[float, int]:
            door.ask("eve", "GET", "/comfyui/assets/a")
            before = peak_mib(door.process.pid)
            async with AsyncExitStack() as stack:
                for _ in range(500):
                    await stack.enter_async_context(connected(door, "ben"))
                answer = await asyncio.to_thread(door.ask, "eve", "GET", "/comfyui/assets/a")
                return peak_mib(door.process.pid) - before, answer.status

        grown, status = asyncio.run(asyncio.wait_for(work(door), 60))
        assert status == 200
        assert grown < 100
