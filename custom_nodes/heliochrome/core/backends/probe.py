"""Which backend is fastest here: measured once, and remembered."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Final, TypeVar

import numpy as np

from ..errors import BackendUnavailable, HeliochromeError, OutOfMemory
from ..presets import MIN_SIZE
from ..weights_file import ONNX_SUFFIX
from .base import AUTO, Backend, Request, no_room_to_load, require_memory
from .installed import able_to, backend_module, usable_backends
from .memory_table import load_bytes
from .probe_memory import machine_key, recall, remember

_log = logging.getLogger("heliochrome")

T = TypeVar("T")

_RUNS: Final = 2  # after one to warm up; the best counts


@dataclass(frozen=True)
class Candidate:
    """A backend on a device."""

    backend: str
    device: str

    def __str__(self) -> str:
        return f"{self.backend} on {self.device}"


@dataclass(frozen=True)
class Failure:
    """Why a candidate cannot be used. The error's frames are gone, and what they held."""

    candidate: Candidate
    error: Exception


@dataclass(frozen=True)
class Order:
    """Candidates of one device, the best first. seconds: of those measured, now or `before`.

    key: under which the measurement is kept.
    """

    candidates: tuple[Candidate, ...]
    seconds: dict[Candidate, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    key: str = ""
    before: bool = False

    def reason(self, candidate: Candidate) -> str:
        """One sentence: why this one."""
        if candidate not in self.seconds:
            return f"the only one that can be used on {candidate.device} here."
        others = sorted((s, str(c)) for c, s in self.seconds.items() if c != candidate)
        when = " in an earlier run" if self.before else ""
        text = f"measured {self.seconds[candidate]:.2f} s at {MIN_SIZE}x{MIN_SIZE}{when}"
        against = ", ".join(f"{name} {seconds:.2f} s" for seconds, name in others)
        return f"{text}, against {against}." if against else f"{text}."

    def unchecked(self, candidate: Candidate) -> bool:
        """Whether a pass must show that it computes: drivers of GPUs change behind our back."""
        just_measured = candidate in self.seconds and not self.before
        return candidate.device != "cpu" and not just_measured


def open_candidate(candidate: Candidate, request: Request) -> Backend:
    """Raises what the backend's `load` raises, and OutOfMemory before it is tried in vain."""
    module = backend_module(candidate.backend)
    needed = load_bytes(candidate.backend, _file_bytes(request))
    require_memory(needed, f"load {request.weights.name} into {candidate.backend}")
    try:
        opened: Backend = module.load(replace(request, device=candidate.device))
    except MemoryError as error:
        raise no_room_to_load(request.weights) from error
    return opened


def open_checked(candidate: Candidate, request: Request) -> Backend:
    """`open_candidate`, and one forward pass at the smallest size."""
    backend = open_candidate(candidate, request)
    try:
        _seconds(backend)
    except (HeliochromeError, RuntimeError):
        backend.close()
        raise
    return backend


def attempt(
    candidate: Candidate,
    work: Callable[[], T],
    errors: tuple[type[Exception], ...] = (HeliochromeError, OSError, RuntimeError),
) -> T | Failure:
    """What `work` gives, or which of `errors` it raised; then nothing is held of the try."""
    try:
        return work()
    except errors as error:
        _log.warning("backend %s is passed over: %s", candidate, error)
        failure = Failure(candidate, error)
    # Outside the handler: frames that are being handled keep what they hold, such as weights.
    _let_go(failure.error)
    gc.collect()
    return failure


def _let_go(error: BaseException) -> None:
    """Cut off the frames of an error and of those behind it."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            one.__traceback__ = None
            waiting += [one.__cause__, one.__context__]


def measured_order(request: Request, without: Sequence[Candidate] = ()) -> Order:
    """Who can run `request` on the best device that somebody can, best first.

    By measurement if there are several. without: candidates that do not count; then nothing
    is remembered.
    """
    key = _key(request)
    cache = None if without else request.cache
    entry = recall(cache, key)
    known = {_candidate(name): seconds for name, seconds in entry.items() if seconds is not None}
    if known and _covers_all({name.partition(" on ")[0] for name in entry}):
        return Order(tuple(sorted(known, key=known.__getitem__)), known, (), key, True)
    found, able, failures = _candidates(request, without)
    lasting = not any(isinstance(failure.error, OutOfMemory) for failure in failures)
    found.sort(key=lambda candidate: candidate.device == "cpu")
    for _, group in groupby(found, key=lambda candidate: candidate.device):
        here = list(group)
        if len(here) == 1:
            return Order((here[0],), {}, tuple(failures), key)
        _log.info("measuring which of %s is fastest here, once", ", ".join(map(str, here)))
        seconds, failed = _measure(here, request)
        failures += failed
        lasting = lasting and not failed
        if seconds:
            # What failed may work next time (memory, a full disk, a missing export): no word
            # of today's order is kept then. A runtime that cannot be imported is looked at
            # by `_covers_all`.
            if lasting:
                measured = {str(c): round(s, 4) for c, s in seconds.items()}
                others = able - {candidate.backend for candidate in seconds}
                remember(cache, key, {**measured, **dict.fromkeys(sorted(others))})
            fastest = sorted(seconds, key=seconds.__getitem__)
            return Order(tuple(fastest), seconds, tuple(failures), key)
    return Order((), {}, tuple(failures), key)


def _covers_all(known: set[str]) -> bool:
    """Whether what is remembered was found with all that is installed, but what is broken."""
    usable = usable_backends()
    return known <= set(usable) and all(_is_broken(name) for name in usable if name not in known)


def _is_broken(backend: str) -> bool:
    try:
        able_to(backend)
    except HeliochromeError as error:
        _log.warning("backend %s is passed over: %s", backend, error)
        return True
    return False


def _key(request: Request) -> str:
    """The network goes by the size of its weights: speed hangs on its shape, not its values."""
    kind = "onnx" if _is_export(request) else "checkpoint"
    megabytes = round(request.weights.stat().st_size / 1e6, -1)
    network = f"{kind} of {megabytes:.0f} MB"
    return machine_key(network, f"device {request.device}", f"precision {request.precision}")


def _file_bytes(request: Request) -> int:
    """Of the file that is read; a quantised network is a quarter of its checkpoint."""
    quarter = request.precision == "int8" and not _is_export(request)
    return request.weights.stat().st_size // (4 if quarter else 1)


def _is_export(request: Request) -> bool:
    return request.weights.suffix.lower() == ONNX_SUFFIX


def _candidate(name: str) -> Candidate:
    backend, _, device = name.partition(" on ")
    return Candidate(backend, device)


def _candidates(
    request: Request, without: Sequence[Candidate]
) -> tuple[list[Candidate], set[str], list[Failure]]:
    """Candidates, the backends that can be imported, and the others."""
    found: list[Candidate] = []
    able: set[str] = set()
    failures: list[Failure] = []
    for name in usable_backends():
        device = "cpu" if request.device == AUTO else request.device
        offers = attempt(Candidate(name, device), partial(able_to, name))
        if isinstance(offers, Failure):
            if not any(candidate.backend == name for candidate in without):  # else told before
                failures.append(offers)
            continue
        able.add(name)
        if name == "torch" and _is_export(request) and len(usable_backends()) > 1:
            continue  # it reads checkpoints only
        found += [
            Candidate(name, device)
            for device, precisions in offers.items()
            if request.device in (AUTO, device) and request.precision in (AUTO, *precisions)
        ]
    return [candidate for candidate in found if candidate not in without], able, failures


def _measure(
    candidates: Sequence[Candidate], request: Request
) -> tuple[dict[Candidate, float], list[Failure]]:
    took, failures = {}, []
    for candidate in candidates:
        seconds = attempt(candidate, partial(_best_seconds, candidate, request))
        if isinstance(seconds, Failure):
            failures.append(seconds)
        else:
            took[candidate] = seconds
    return took, failures


def _best_seconds(candidate: Candidate, request: Request) -> float:
    backend = open_checked(candidate, request)  # its pass warms up
    try:
        return min(_seconds(backend) for _ in range(_RUNS))
    finally:
        backend.close()


def _seconds(backend: Backend) -> float:
    """Of one forward pass. Raises BackendUnavailable if what it gives cannot be right."""
    grey = np.random.default_rng(0).random((1, 1, MIN_SIZE, MIN_SIZE), np.float32)
    image = np.repeat(grey, 3, axis=1)  # (1, 3, 256, 256)
    start = time.perf_counter()
    ab = backend.predict_ab(image)
    took = time.perf_counter() - start
    if ab.shape != (1, 2, MIN_SIZE, MIN_SIZE) or not np.isfinite(ab).all():
        raise BackendUnavailable(f"{backend.name} on {backend.device} computes nonsense here.")
    return took
