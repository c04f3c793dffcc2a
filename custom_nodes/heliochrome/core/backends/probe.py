"""Which backend is fastest here: measured once, and remembered."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ..errors import BackendUnavailable, HeliochromeError
from ..presets import MIN_SIZE
from ..weights_file import ONNX_SUFFIX
from .base import AUTO, Backend, Request
from .installed import able_to, backend_module, usable_backends
from .probe_memory import machine_key, recall, remember

_log = logging.getLogger("heliochrome")

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
    """Why a candidate cannot be used."""

    candidate: Candidate
    error: Exception


@dataclass(frozen=True)
class Order:
    """Candidates, the best first. seconds: of those that were measured, now or `before`.

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
            return "the only one that can be used here."
        others = sorted((s, str(c)) for c, s in self.seconds.items() if c != candidate)
        when = " in an earlier run" if self.before else ""
        text = f"measured {self.seconds[candidate]:.2f} s at {MIN_SIZE}x{MIN_SIZE}{when}"
        against = ", ".join(f"{name} {seconds:.2f} s" for seconds, name in others)
        return f"{text}, against {against}." if against else f"{text}."


def open_candidate(candidate: Candidate, request: Request) -> Backend:
    """Raises what the backend's `load` raises, and ImportError or OSError."""
    opened: Backend = backend_module(candidate.backend).load(
        replace(request, device=candidate.device)
    )
    return opened


def measured_order(request: Request, without: Sequence[Candidate] = ()) -> Order:
    """The candidates for a request, GPU first; of several on one device the fastest first.

    A GPU that works is taken without measuring the processor. What the cache knows is not
    measured again, and no runtime is imported for it. `without`: what is not to be tried;
    then the cache is neither asked nor written.
    """
    key = _key(request)
    cache = None if without else request.cache
    usable = usable_backends()
    known = {_candidate(name): seconds for name, seconds in recall(cache, key).items()}
    if known and all(candidate.backend in usable for candidate in known):
        return Order(tuple(sorted(known, key=known.__getitem__)), known, (), key, True)
    found, failures = _candidates(request)
    found = [candidate for candidate in found if candidate not in without]
    found.sort(key=lambda candidate: candidate.device == "cpu")
    here = [candidate for candidate in found if candidate.device == found[0].device]
    rest = found[len(here) :]
    if len(here) < 2:
        return Order(tuple(found), {}, tuple(failures), key)
    _log.info("measuring which of %s is fastest here, once", ", ".join(map(str, here)))
    seconds, failed = _measure(here, request)
    if seconds:
        remember(cache, key, {str(c): round(s, 4) for c, s in seconds.items()})
    fastest = sorted(seconds, key=seconds.__getitem__)
    return Order((*fastest, *rest), seconds, (*failures, *failed), key)


def _key(request: Request) -> str:
    """The network goes by the size of its weights: speed hangs on its shape, not its values."""
    kind = "onnx" if request.weights.suffix.lower() == ONNX_SUFFIX else "checkpoint"
    megabytes = round(request.weights.stat().st_size / 1e6, -1)
    network = f"{kind} of {megabytes:.0f} MB"
    return machine_key(network, f"device {request.device}", f"precision {request.precision}")


def _candidate(name: str) -> Candidate:
    backend, _, device = name.partition(" on ")
    return Candidate(backend, device)


def _candidates(request: Request) -> tuple[list[Candidate], list[Failure]]:
    found: list[Candidate] = []
    failures: list[Failure] = []
    for name in usable_backends():
        try:
            found += [
                Candidate(name, device)
                for device, precisions in able_to(name).items()
                if request.device in (AUTO, device) and request.precision in (AUTO, *precisions)
            ]
        except (HeliochromeError, ImportError, OSError) as error:
            _log.warning("backend %s is passed over: %s", name, error)
            device = "cpu" if request.device == AUTO else request.device
            failures.append(Failure(Candidate(name, device), error))
    return found, failures


def _measure(
    candidates: Sequence[Candidate], request: Request
) -> tuple[dict[Candidate, float], list[Failure]]:
    took, failures = {}, []
    for candidate in candidates:
        try:
            backend = open_candidate(candidate, request)
            try:
                took[candidate] = _best_seconds(backend)
            finally:
                backend.close()
        except (HeliochromeError, ImportError, OSError, RuntimeError) as error:
            _log.warning("backend %s is passed over: %s", candidate, error)
            failures.append(Failure(candidate, error))
    return took, failures


def _best_seconds(backend: Backend) -> float:
    grey = np.random.default_rng(0).random((1, 1, MIN_SIZE, MIN_SIZE), np.float32)
    image = np.repeat(grey, 3, axis=1)  # (1, 3, 256, 256)
    times = []
    for _ in range(1 + _RUNS):
        start = time.perf_counter()
        ab = backend.predict_ab(image)
        times.append(time.perf_counter() - start)
    if ab.shape != (1, 2, MIN_SIZE, MIN_SIZE) or not np.isfinite(ab).all():
        raise BackendUnavailable(f"{backend.name} on {backend.device} computes nonsense here.")
    return min(times[1:])
