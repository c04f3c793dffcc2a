from __future__ import annotations

from contextlib import ExitStack

import pytest

from heliochrome_gateway import limits
from heliochrome_gateway.errors import TooMany
from heliochrome_gateway.limits import Rates, Slots


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    now = [0.0]
    rates = Rates(2.0, 5, lambda: now[0])
    for _ in range(5):
        rates.take("ben")
    with pytest.raises(TooMany) as caught:
        rates.take("ben")
    assert caught.value.retry_after_s == 0.5
    passed = 0
    for _ in range(1000):  # ten seconds, asking a hundred times in each
        now[0] += 0.01
        try:
            rates.take("ben")
            passed += 1
        except TooMany:
            continue
    assert 19 <= passed <= 20


def test_one_users_haste_is_not_anothers() -> None:
    rates = Rates(1.0, 1, lambda: 0.0)
    rates.take("ben")
    rates.take("ada")
    with pytest.raises(TooMany):
        rates.take("ben")


def test_an_idle_user_saves_up_no_more_than_a_burst() -> None:
    now = [0.0]
    rates = Rates(10.0, 3, lambda: now[0])
    rates.take("ben")
    now[0] = 1e6
    for _ in range(3):
        rates.take("ben")
    with pytest.raises(TooMany):
        rates.take("ben")


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_REMEMBERED", 10)
    rates = Rates(1.0, 1)
    for number in range(100):
        rates.take(str(number))
    assert len(rates._buckets) == 10


def test_so_many_at_once_and_a_place_is_free_again_also_after_an_error() -> None:
    slots = Slots(2, "sockets")
    with ExitStack() as held:
        held.enter_context(slots.held("ben"))
        with pytest.raises(KeyError), slots.held("ben"):
            raise KeyError
        held.enter_context(slots.held("ben"))
        with pytest.raises(TooMany, match="More than 2 sockets"), slots.held("ben"):
            raise AssertionError("it was let in")
        with slots.held("ada"):
            pass
    with slots.held("ben"), slots.held("ben"):
        assert slots._held == {"ben": 2}
    assert not slots._held
