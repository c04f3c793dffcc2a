"""`heliochrome self-test`: does each preset colour a drawn picture as it should, here and now?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from .output import say

if TYPE_CHECKING:
    from ..studio.self_test import Outcome

NOT_GOOD: Final = 1
_PATIENCE_S: Final = 300.0
_LOOK_S: Final = 0.25

T = TypeVar("T")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from ..core.presets import DEFAULT_MODEL

    parser = subparsers.add_parser(
        "self-test",
        help="colour a drawn picture with each preset, and say whether that is right",
        description="Colour a drawn picture with each preset: the brightness must stay, and there "
        "must be colour. Exit code 0: all is good; 1: it is not, or nothing can be coloured.",
    )
    parser.add_argument("--model", metavar="ID", default=DEFAULT_MODEL, help="model id or file")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--comfyui", metavar="ADDRESS", help="let this ComfyUI do it")
    where.add_argument(
        "--worker",
        action="store_true",
        help="say what the running studio's worker found when it started",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Waits for a ComfyUI or a worker that is still starting."""
    from ..core.errors import BackendUnavailable

    try:
        from ..studio.self_test import all_good
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"The self-test needs {error.name}: run `pip install 'heliochrome[studio]'`."
        ) from error
    outcomes = _of_worker() if args.worker else _made_now(args.model, args.comfyui)
    for outcome in outcomes:
        say(str(outcome))
    return 0 if all_good(outcomes) else NOT_GOOD


def _made_now(model: str, comfyui: str | None) -> Sequence[Outcome]:
    from ..core.backends import AUTO
    from ..core.jobs import never_cancel
    from ..studio.engine import Engine, EngineAway
    from ..studio.self_test import examine

    engine: Engine
    if comfyui is None:
        from ..studio.local_engine import LocalEngine

        engine = LocalEngine(model, AUTO)
    else:
        from ..studio.comfyui_engine import ComfyUIEngine

        engine = ComfyUIEngine(comfyui, model)

    def there() -> bool:
        try:
            engine.ready()
        except EngineAway:
            return False
        return True

    _soon(there)
    try:
        return examine(engine, never_cancel)
    finally:
        engine.close()


def _of_worker() -> Sequence[Outcome]:
    from ..core.errors import BadSetting
    from ..studio.database import Database
    from ..studio.engine import EngineAway
    from ..studio.queue import Queue
    from ..studio.self_test import KeptSelfTest
    from ..studio.settings import StudioSettings, variable

    settings = StudioSettings.from_environ()
    if not settings.self_test:
        raise BadSetting(
            f"The worker makes no self-test: start the studio with {variable('self_test')}=1."
        )
    base = Database(settings.folder)
    try:
        found = _soon(KeptSelfTest(Queue(base)).outcomes)
    finally:
        base.close()
    if not found:
        raise EngineAway(
            f"The studio's worker has not ended its self-test within {_PATIENCE_S:.0f} s: see the "
            "studio's log, and whether photographs keep it busy."
        )
    return found


def _soon(look: Callable[[], T]) -> T:
    """What `look` gives as soon as that is something, or at last whatever it is."""
    end = time.monotonic() + _PATIENCE_S
    while not (found := look()) and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return found
