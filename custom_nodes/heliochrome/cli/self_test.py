"""`heliochrome self-test`: does each preset colour a drawn picture as it should, here and now?"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from .output import say

if TYPE_CHECKING:
    from ..core.jobs import Cancel
    from ..studio.engine import Engine
    from ..studio.self_test import Outcome

NOT_GOOD: Final = 1
_LOOK_S: Final = 0.25

T = TypeVar("T")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from ..core.presets import DEFAULT_MODEL

    parser = subparsers.add_parser(
        "self-test",
        help="colour a drawn picture with each preset, and say whether that is right",
        description="Colour a drawn picture with each preset: the brightness must stay, and there "
        "must be colour. Exit code 0: all is good; 1: it is not; 2: nothing could be tried.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--comfyui", metavar="ADDRESS", help="let this ComfyUI do it")
    where.add_argument(
        "--worker",
        action="store_true",
        help="say what the running studio's worker found when it started",
    )
    parser.add_argument("--model", metavar="ID", default=DEFAULT_MODEL, help="model id or file")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=300.0,
        help="how long to wait for a ComfyUI or a worker that is starting or busy (default: 300)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..studio.self_test import all_good

    outcomes = (
        _of_worker(args.wait) if args.worker else _made_now(args.model, args.comfyui, args.wait)
    )
    for outcome in outcomes:
        say(str(outcome))
    return 0 if all_good(outcomes) else NOT_GOOD


def _made_now(model: str, comfyui: str | None, patience_s: float) -> Sequence[Outcome]:
    from ..core.jobs import never_cancel
    from ..studio.engine import EngineAway
    from ..studio.self_test import examine

    engine = _engine(model, comfyui)

    def there() -> bool:
        try:
            engine.ready()
        except EngineAway:
            return False
        return True

    end = time.monotonic() + patience_s
    _until(end, there)
    try:
        return examine(engine, never_cancel if comfyui is None else _until_late(end, patience_s))
    finally:
        engine.close()


def _engine(model: str, comfyui: str | None) -> Engine:
    """Raises BadSetting, and BackendUnavailable where a ComfyUI cannot be talked to."""
    if comfyui is None:
        from ..core.backends import AUTO
        from ..studio.local_engine import LocalEngine

        return LocalEngine(model, AUTO)
    from ..core.errors import BackendUnavailable
    from ..studio.settings import require_origin

    try:
        from ..studio.comfyui_engine import ComfyUIEngine
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"The self-test needs {error.name}: run `pip install 'heliochrome[studio]'`."
        ) from error

    require_origin("--comfyui", comfyui)
    return ComfyUIEngine(comfyui, model)


def _until_late(end: float, patience_s: float) -> Cancel:
    """Others' work may come first in ComfyUI's queue."""
    from ..core.errors import Cancelled

    def cancel() -> None:
        if time.monotonic() > end:
            raise Cancelled(
                f"ComfyUI has not ended the self-test within {patience_s:.0f} s: other work keeps "
                "it busy, or it is slow. Try again later, or with a longer --wait."
            )

    return cancel


def _of_worker(patience_s: float) -> Sequence[Outcome]:
    from ..studio.database import Database
    from ..studio.engine import EngineAway
    from ..studio.queue import Queue
    from ..studio.self_test import KeptSelfTest
    from ..studio.settings import folder_of, variable

    folder = folder_of(os.environ)
    if not folder.is_dir():  # it would be made, by whoever asks
        raise EngineAway(f"No studio has ever run in {folder}: {variable('folder')} names another.")
    base = Database(folder)
    try:
        found = _until(time.monotonic() + patience_s, KeptSelfTest(Queue(base)).outcomes)
    finally:
        base.close()
    if not found:
        raise EngineAway(
            f"No studio with {variable('self_test')}=1 has ended its self-test in {folder} within "
            f"{patience_s:.0f} s: it is not running, or photographs keep it busy. Try again later."
        )
    return found


def _until(end: float, look: Callable[[], T]) -> T:
    """What `look` gives as soon as that is something, or at last whatever it is."""
    while not (found := look()) and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return found
