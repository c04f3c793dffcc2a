from __future__ import annotations

from typing import Any

import pytest

from heliochrome_gateway import lockout as module
from heliochrome_gateway.errors import LockedOut
from heliochrome_gateway.lockout import Lockout
from heliochrome_gateway.settings import GatewaySettings

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clocked(Lockout):
    """Free: 3; delays: 2, 4, 8, then 10 s; forgotten after 100 s."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        given = {"lockout_free": 3, "lockout_first_s": 2.0, "lockout_max_s": 10.0}
        made = GatewaySettings(**{**given, "lockout_forget_s": 100.0, **settings})
        super().__init__(made, lambda: self.now)

    def fails(self, address: str, account: str, times: int = 1) -> float:
        seconds = 0.0
        for _ in range(times):
            seconds = self.begin(address, account)
        return seconds

    def wait(self, address: str, account: str) -> float:
        try:
            self.require_open(address, account)
        except LockedOut as error:
            return error.retry_after_s
        return 0.0


def test_delays_begin_after_the_free_ones_double_and_end_growing() -> None:
    lockout = Clocked()
    assert [lockout.fails(HERE, "ben") for _ in range(3)] == [0, 0, 2]
    for before, after in ((2, 4), (4, 8), (8, 10), (10, 10)):
        with pytest.raises(LockedOut) as caught:
            lockout.begin(HERE, "ben")
        assert caught.value.retry_after_s == before
        lockout.now += before
        assert lockout.fails(HERE, "ben") == after


def test_what_is_refused_is_not_counted() -> None:
    lockout = Clocked()
    lockout.fails(HERE, "ben", 3)
    for _ in range(1000):
        with pytest.raises(LockedOut):
            lockout.begin(HERE, "ben")
    lockout.now += 2
    assert lockout.fails(HERE, "ben") == 4


def test_a_guesser_of_many_names_is_locked_by_address() -> None:
    lockout = Clocked()
    for name in "abc":
        lockout.fails(HERE, name)
    assert lockout.wait(HERE, "never tried") == 2
    assert lockout.wait(THERE, "a") == 0


def test_a_guesser_from_many_addresses_is_locked_by_account() -> None:
    lockout = Clocked()
    for number in range(3):
        lockout.fails(f"192.0.2.{number}", "ben")
    assert lockout.wait(THERE, "ben") == 2
    assert lockout.wait(THERE, "ada") == 0


def test_nobody_locks_a_user_out_of_where_they_signed_in_before() -> None:
    lockout = Clocked()
    lockout.begin(HERE, "ben")
    lockout.succeeded(HERE, "ben")
    lockout.fails(THERE, "ben", 3)
    assert lockout.wait(HERE, "ben") == 0
    assert lockout.wait("203.0.113.1", "ben") == 2
    lockout.fails(HERE, "ben", 3)
    assert lockout.wait(HERE, "ben") == 2, "but one who guesses there is held as any other"


def test_a_right_password_frees_its_account_but_not_what_else_came_from_there() -> None:
    lockout = Clocked()
    lockout.fails(HERE, "one victim")
    lockout.fails(HERE, "another")
    for _ in range(5):
        lockout.now += 10
        lockout.begin(HERE, "eve")
        lockout.succeeded(HERE, "eve")
    assert lockout.fails(HERE, "a third") == 2, "an account of one's own buys no guesses"


def test_an_attempt_that_came_to_nothing_does_not_count() -> None:
    lockout = Clocked()
    for _ in range(10):
        lockout.begin(HERE, "ben")
        lockout.withdrawn(HERE, "ben")
    assert lockout.fails(HERE, "ben", 2) == 0


def test_all_is_forgotten_after_a_while() -> None:
    lockout = Clocked()
    lockout.fails(HERE, "ben", 3)
    lockout.now += 101.9
    assert lockout.fails(HERE, "ben") == 4
    lockout.now += 4 + 100
    assert lockout.fails(HERE, "ben") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        (HERE, "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_a_subscriber_is_one_address(one: str, other: str, same: bool) -> None:
    lockout = Clocked()
    lockout.fails(one, "a", 3)
    assert (lockout.wait(other, "b") > 0) is same


def test_thousands_of_failures_take_bounded_memory_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 50)
    lockout = Clocked(lockout_first_s=0.0)
    for number in range(5000):
        lockout.fails(f"10.0.{number // 250}.{number % 250}", f"guessed {number}")
        lockout.succeeded(f"10.1.{number // 250}.{number % 250}", f"name {number}")
    assert {len(found) for found in lockout._failures.values()} == {50}
    assert len(lockout._homes) == 50
    lockout = Clocked()
    for _ in range(2000):
        lockout.now += 10
        assert lockout.fails(HERE, "ben") <= 10
