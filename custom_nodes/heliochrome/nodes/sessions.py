"""Open models, kept between runs, few enough not to fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from .hosted import HostedModel


class Choice(Hashable, Protocol):
    """A model and how to run it; `path` is where its files are."""

    @property
    def path(self) -> Path: ...


_Choice = TypeVar("_Choice", bound=Choice)
_Model = TypeVar("_Model")


class Sessions(Generic[_Choice, _Model]):
    """A few open models; the least recently used one is closed, and the host may close any.

    read: open a choice. state: changes when its files do. limit: how many stay open. Used from the
    host's one execution thread only.
    """

    def __init__(
        self,
        read: Callable[[_Choice], HostedModel[_Model]],
        state: Callable[[_Choice], Hashable],
        limit: int,
    ) -> None:
        self._read, self._state, self._limit = read, state, limit
        self._models: OrderedDict[tuple[_Choice, Hashable], HostedModel[_Model]] = OrderedDict()

    def open(self, choice: _Choice) -> _Model:
        """The open model; one whose files changed on disk, or that was closed, is read again."""
        key = (choice, self._state(choice))
        for other, model in list(self._models.items()):
            replaced = other[0].path == choice.path and other[1] != key[1]
            if replaced or model.opened is None:
                self._drop(other)
        if key in self._models:
            self._models.move_to_end(key)
        else:
            while len(self._models) >= self._limit:
                self._drop(next(iter(self._models)))
            self._models[key] = self._read(choice)
        opened = self._models[key].opened
        assert opened is not None
        return opened

    @property
    def latest(self) -> HostedModel[_Model] | None:
        """The model opened last."""
        return next(reversed(self._models.values()), None)

    def _drop(self, key: tuple[_Choice, Hashable]) -> None:
        self._models.pop(key).close()
