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
from .base import AUTO, Backend, Request
from .installed import backend_module, usable_backends

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
    """Candidates, the best first. seconds: of those that were measured."""

    candidates: tuple[Candidate, ...]
    seconds: dict[Candidate, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()

    def reason(self, candidate: Candidate) -> str:
        """One sentence: why this one."""
        if candidate not in self.seconds:
            return "the only one that can be used here."
        others = sorted((s, str(c)) for c, s in self.seconds.items() if c != candidate)
        against = ", ".join(f"{name} {seconds:.2f} s" for seconds, name in others)
        return f"measured {self.seconds[candidate]:.2f} s at {MIN_SIZE}x{MIN_SIZE}" + (
            f", against {against}." if against else "."
        )


def open_candidate(candidate: Candidate, request: Request) -> Backend:
    """Raises what the backend's `load` raises, and ImportError or OSError."""
    opened: Backend = backend_module(candidate.backend).load(
        replace(request, device=candidate.device)
    )
    return opened


def measured_order(request: Request, without: Sequence[Candidate]) -> Order:
    """The candidates for a request, GPU first; of several on one device the fastest first."""
    found, failures = _candidates(request)
    found = [candidate for candidate in found if candidate not in without]
    ordered: list[Candidate] = []
    seconds: dict[Candidate, float] = {}
    for device in ("cuda", "cpu"):
        here = [candidate for candidate in found if candidate.device == device]
        if len(here) > 1 and not ordered:
            took, failed = _measure(here, request)
            seconds.update(took)
            failures += failed
            here = sorted(took, key=took.__getitem__)
        ordered += here
    return Order(tuple(ordered), seconds, tuple(failures))


def _candidates(request: Request) -> tuple[list[Candidate], list[Failure]]:
    found, failures = [], []
    for name in usable_backends():
        try:
            module = backend_module(name)
            able = module.devices()
        except (ImportError, OSError) as error:
            _log.warning("backend %s is broken and passed over: %s", name, error)
            failures.append(Failure(Candidate(name, request.device), error))
            continue
        for device in able:
            if request.device not in (AUTO, device):
                continue
            if request.precision in (AUTO, *module.precisions(device)):
                found.append(Candidate(name, device))
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
    if not np.isfinite(ab).all():
        raise BackendUnavailable(f"{backend.name} on {backend.device} computes nonsense here.")
    return min(times[1:])
