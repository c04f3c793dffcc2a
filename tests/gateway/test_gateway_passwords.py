from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from heliochrome_gateway.errors import BadAccount, StorageFailed, TooBusy
from heliochrome_gateway.passwords import MAX_PASSWORD, MIN_PASSWORD, Passwords, require_good
from heliochrome_gateway.settings import GatewaySettings

GOOD = "correct horse battery"
CHEAP: dict[str, Any] = {"password_memory_kib": 64, "password_passes": 1}


def checked(
    work: Callable[[Passwords], Awaitable[None]],
    clock: Callable[[], float] = time.monotonic,
    **settings: Any,
) -> None:
    async def run() -> None:
        passwords = Passwords(GatewaySettings(**{**CHEAP, **settings}), clock)
        try:
            await work(passwords)
        finally:
            passwords.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("password", "good"),
    [
        (GOOD, True),
        (GOOD[:-1], False),
        (GOOD + " ", False),
        ("", False),
        ("\0", False),
        ("x" * 100_000, False),
    ],
)
def test_only_the_password_is_the_password(password: str, good: bool) -> None:
    async def work(passwords: Passwords) -> None:
        stored = await passwords.hash(GOOD)
        assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$") and GOOD not in stored
        assert await passwords.verify(stored, password) is good
        assert await passwords.verify(None, password) is False

    checked(work)


def test_a_password_is_the_same_however_it_was_typed() -> None:
    async def work(passwords: Passwords) -> None:
        stored = await passwords.hash("Ångström café")
        assert await passwords.verify(stored, "A\u030angstro\u0308m cafe\u0301")
        assert not await passwords.verify(stored, "Angstrom cafe")

    checked(work)


def test_a_user_who_is_not_there_takes_as_long_as_one_who_is() -> None:
    async def work(passwords: Passwords) -> None:
        stored = await passwords.hash(GOOD)

        async def took(known: str | None) -> float:
            began = time.perf_counter()
            await passwords.verify(known, "wrong")
            return time.perf_counter() - began

        pairs = [(await took(stored), await took(None)) for _ in range(15)]
        there, nobody = (statistics.median(column) for column in zip(*pairs, strict=True))
        assert 0.5 < there / nobody < 2
        assert there > 0.002, "so slow that a shortcut would have been seen"

    checked(work, password_memory_kib=8192, password_passes=2)


def test_so_many_at_once_and_so_many_waiting_and_no_more() -> None:
    async def work(passwords: Passwords) -> None:
        stored = await passwords.hash(GOOD)
        checks = [asyncio.create_task(passwords.verify(stored, GOOD)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooBusy) as caught:
            await passwords.verify(stored, GOOD)
        assert caught.value.retry_after_s > 0
        checks[2].cancel()
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await passwords.verify(stored, GOOD)  # who gave up still has a thread at work
        assert await asyncio.gather(*checks[:2]) == [True, True]
        assert await passwords.verify(stored, GOOD)

    checked(work, password_workers=1, password_queue=2, password_passes=50)


def test_a_success_is_remembered_for_a_while_under_a_mark_of_this_process() -> None:
    now = [0.0]

    async def work(passwords: Passwords) -> None:
        mark = passwords.mark("ben", "hash", GOOD, "192.0.2.1")
        assert not passwords.remembers(mark)
        passwords.remember(mark)
        now[0] = 299.9
        assert passwords.remembers(mark)
        now[0] = 300.0
        assert not passwords.remembers(mark)
        others = [
            passwords.mark(*parts)
            for parts in (
                ("be", "nhash", GOOD, "192.0.2.1"),
                ("ben", "other", GOOD, "192.0.2.1"),
                ("ben", None, GOOD, "192.0.2.1"),
                ("ben", "hash", GOOD + " ", "192.0.2.1"),
                ("ben", "hash", GOOD, "192.0.2.2"),
            )
        ]
        assert len({mark, *others}) == 6
        for number in range(3000):
            passwords.remember(str(number).encode())
        assert len(passwords._good) == 1024

    checked(work, clock=lambda: now[0])
    first: list[bytes] = []

    async def again(passwords: Passwords) -> None:
        first.append(passwords.mark("ben", "hash", GOOD, ""))

    checked(again)
    checked(again)
    assert first[0] != first[1]


def test_a_hash_of_another_cost_is_good_and_seen_to_be_outdated() -> None:
    async def work(passwords: Passwords) -> None:
        stored = await passwords.hash(GOOD)
        assert not passwords.is_outdated(stored)
        dearer = Passwords(GatewaySettings(password_memory_kib=128, password_passes=2))
        assert await dearer.verify(stored, GOOD) and dearer.is_outdated(stored)
        dearer.close()

    checked(work)


@pytest.mark.parametrize("stored", ["", "x", "$2b$12$abc", "$argon2id$v=19$m=64,t=1,p=1$x$y"])
def test_what_is_no_hash_is_told_and_lets_nobody_in(stored: str) -> None:
    async def work(passwords: Passwords) -> None:
        if not stored:
            assert not await passwords.verify(stored, GOOD)
            return
        with pytest.raises(StorageFailed, match="user passwd"):
            await passwords.verify(stored, GOOD)

    checked(work)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "x" * (MIN_PASSWORD - 1),
        "x" * (MAX_PASSWORD + 1),
        " " * 12,
        "a" * 12,
        "ababababab",
    ],
)
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(BadAccount, match="words"):
        require_good(password)


def test_a_name_is_no_password() -> None:
    with pytest.raises(BadAccount):
        require_good("Administrator", "administrator")
    require_good("Administrator", "ben")
    require_good("三个词语组成的一个密码")
