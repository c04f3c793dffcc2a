"""From weights and wishes to a loaded network: choose, fall back, and say what was done."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import BackendUnavailable, BadSetting, BadWeights, HeliochromeError, OutOfMemory
from ..notices import Notice
from ..weights_file import refuse_impostor
from .base import AUTO, DEVICES, PRECISIONS, Backend, Request
from .installed import BACKENDS, able_to, install_command, usable_backends
from .probe import Candidate, Failure, Order, attempt, measured_order, open_candidate, open_checked
from .probe_memory import forget

_log = logging.getLogger("heliochrome")


@dataclass(frozen=True)
class Opened:
    """A network ready to run. choice: one sentence, why this backend."""

    backend: Backend
    choice: str
    notices: tuple[Notice, ...] = ()


def open_backend(
    weights: Path,
    backend: str = AUTO,
    device: str = AUTO,
    *,
    precision: str = AUTO,
    sha256: str | None = None,
    cache: Path | None = None,
) -> Backend:
    """Load a checkpoint (or an exported .onnx) into a runtime; see `open_chosen`."""
    return open_chosen(
        weights, backend, device, precision=precision, sha256=sha256, cache=cache
    ).backend


def open_chosen(
    weights: Path,
    backend: str = AUTO,
    device: str = AUTO,
    *,
    precision: str = AUTO,
    sha256: str | None = None,
    cache: Path | None = None,
) -> Opened:
    """Load a checkpoint (or an exported .onnx) into a runtime, and say which and why.

    backend: "auto" (the fastest one here, by a short measurement that `cache` keeps) or one of
    BACKENDS. device, precision: one of DEVICES, PRECISIONS; "auto" is a GPU where there is one,
    and what the backend takes for best there. sha256, cache: see `Request`.

    A network that does not fit into the memory of what was chosen goes to the next device or
    backend, with a notice. Raises BadSetting, BackendUnavailable (with what to install),
    BadWeights, OutOfMemory.
    """
    for name, value, known in (
        ("backend", backend, (AUTO, *BACKENDS)),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise BadSetting(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    refuse_impostor(weights, str(weights))
    request = Request(weights, device, precision, sha256, cache)
    if backend == AUTO:
        return _open_best(request)
    return _open_named(backend, request)


def _open_named(name: str, request: Request) -> Opened:
    if name not in usable_backends():
        raise BackendUnavailable(
            f"the {name} backend is not installed: run `{install_command(name)}`, or choose auto."
        )
    device = request.device
    if device == AUTO:
        # Where there is no device, `load` says what is missing; only GPU backends have none.
        device = next(iter(able_to(name)), "cuda")
    candidate = Candidate(name, device)
    opened = attempt(candidate, partial(open_candidate, candidate, request), (OutOfMemory,))
    if not isinstance(opened, Failure):
        return Opened(opened, f"{_described(opened)}: asked for.")
    others = None
    try:
        others = _open_best(replace(request, device=AUTO, precision=AUTO), (candidate,))
    except (BackendUnavailable, BadWeights, OutOfMemory) as error:
        _log.debug("nothing else runs it: %s", error)
    if others is None:
        raise opened.error  # about what was asked for; the others are in the log
    return replace(others, notices=(_replaced(candidate, others.backend, opened.error),))


def _open_best(request: Request, without: tuple[Candidate, ...] = ()) -> Opened:
    """On the best device where somebody can run it; device after device."""
    failures: list[Failure] = []
    while True:
        order = measured_order(request, (*without, *(f.candidate for f in failures)))
        failures += order.failures
        if not order.candidates:
            raise _none_works(request, failures)
        opened = _first_that_opens(order, request, failures)
        if opened is not None:
            return opened
        if order.before and not any(isinstance(f.error, OutOfMemory) for f in failures):
            forget(request.cache, order.key)  # what was measured holds no longer


def _first_that_opens(order: Order, request: Request, failures: list[Failure]) -> Opened | None:
    """The failures on the way are added to `failures`."""
    for candidate in order.candidates:
        opener = open_checked if order.unchecked(candidate) else open_candidate
        backend = attempt(candidate, partial(opener, candidate, request))
        if isinstance(backend, Failure):
            failures.append(backend)
            continue
        choice = f"{_described(backend)}: {order.reason(candidate)}"
        _log.info("backend: %s", choice)
        full = [f for f in failures if isinstance(f.error, OutOfMemory)]
        return Opened(
            backend, choice, tuple(_replaced(f.candidate, backend, f.error) for f in full[:1])
        )
    return None


def _none_works(request: Request, failures: list[Failure]) -> HeliochromeError:
    """What the user can mend first: the file, then the memory, then what is installed."""
    for kind in (BadWeights, OutOfMemory):
        for failure in failures:
            if isinstance(failure.error, kind):
                return failure.error
    if not failures and usable_backends():
        return BackendUnavailable(
            f"none of the installed backends ({', '.join(usable_backends())}) can run on "
            f"{request.device} in {request.precision} here: choose auto for the device and the "
            "precision."
        )
    if not failures:
        return BackendUnavailable(
            f"no runtime is installed: expected one of {', '.join(BACKENDS)}. "
            f"Run `{install_command('openvino')}`."
        )
    if len(failures) == 1:
        return BackendUnavailable(str(failures[0].error))
    reasons = "".join(f"\n  {failure.candidate}: {failure.error}" for failure in failures)
    return BackendUnavailable(f"no backend can run this model here:{reasons}")


def _replaced(asked: Candidate, used: Backend, error: Exception) -> Notice:
    return Notice(
        "backend-replaced",
        f"The network did not fit into the memory of {asked}, so it runs on {_described(used)} "
        f"instead ({error})",
        {"asked": str(asked), "used": _described(used)},
    )


def _described(backend: Backend) -> str:
    return f"{backend.name} on {backend.device} in {backend.precision}"
