"""What ends the process, spoils the model or passes in silence when the runtime is used bare."""

from __future__ import annotations

import contextvars
import gc
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_requests import BAD, GOOD
from test_engine import PICTURES, ask, same

import tiny_diffusion
from heliochrome.core import errors
from heliochrome.core.errors import BadSetting, BadWeights, GenerationFailed
from heliochrome.diffusion import Engine, Generated, GenerationRequest, open_engine
from heliochrome.diffusion.callbacks import Reporter, Step, StepWatch
from heliochrome.diffusion.runtime import Pipelines


class Broken(Exception):
    """What a host's callback may raise."""


class Interrupted(BaseException):
    """As KeyboardInterrupt: no Exception."""


@pytest.fixture(scope="module")
def before(engine: Engine) -> dict[str, Generated]:
    """What good requests give while nothing has gone wrong yet."""
    return {mode: engine.generate(ask(mode)) for mode in PICTURES}


@pytest.fixture(autouse=True)
def nothing_is_spoiled(engine: Engine, before: dict[str, Generated]) -> Iterator[None]:
    """After each test of this module every mode gives what it gave."""
    yield
    for mode, good in before.items():
        assert same(engine.generate(ask(mode)), good), mode


def raising(error: type[BaseException], at: int) -> Callable[..., None]:
    """A callback that raises when it is called for the `at`th time."""
    calls = iter(range(1, 10_000))

    def call(*anything: Any) -> None:
        if next(calls) == at:
            raise error("from a callback")

    return call


@pytest.mark.parametrize("error", [Broken, Interrupted, RuntimeError])
@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("name", ["progress", "cancel", "preview"])
@pytest.mark.parametrize("mode", PICTURES)
def test_a_callback_that_raises(
    mode: str, name: str, at: int, error: type[BaseException], engine: Engine
) -> None:
    asked = ask(mode, num_images_per_prompt=3, strength=1.0 if mode != "text-to-image" else None)
    if name == "preview":  # the library drops some of its reports, of quick steps most
        asked = replace(asked, num_inference_steps=30)
    callbacks: dict[str, Any] = {name: raising(error, at)}
    with pytest.raises(error, match="from a callback"):
        engine.generate(asked, **callbacks)


def test_the_callback_for_the_runtime_lets_nothing_out() -> None:
    stop = threading.Event()
    watch = StepWatch(raising(Interrupted, 1), stop, latents=False)
    assert watch(0, 3, None) is True
    assert isinstance(watch.failure, Interrupted)
    unreadable = StepWatch(lambda step: None, stop, latents=True)
    assert unreadable(0, 3, None) is True
    assert isinstance(unreadable.failure, AttributeError)


def test_a_report_that_fails_inside_the_runtime_is_told(engine: Engine) -> None:
    class Unreadable:
        def __get__(self, *anything: Any) -> bool:
            raise Broken("inside")

    class Watch(StepWatch):
        _latents = Unreadable()  # type: ignore[assignment]

        def __init__(self, *arguments: Any, **named: Any) -> None:
            self._tell, self._stop = arguments
            self.failure = None

    import heliochrome.diffusion.engine as module

    kept, module.StepWatch = module.StepWatch, Watch  # type: ignore[misc]
    try:
        with pytest.raises(GenerationFailed, match="report of a step failed") as raised:
            engine.generate(ask())
    finally:
        module.StepWatch = kept  # type: ignore[misc]
    assert isinstance(raised.value.__cause__.__cause__, Broken)  # type: ignore[union-attr]


@pytest.mark.parametrize(("body", "error"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_bad_requests_leave_no_trace(body: dict[str, Any], error: str, engine: Engine) -> None:
    with pytest.raises(getattr(errors, error)):
        engine.generate(GenerationRequest.from_mapping(body))


@pytest.mark.parametrize(
    ("mode", "fields", "says"),
    [
        ("image-to-image", {"strength": 0.2}, "leaves none of 3 steps"),
        ("inpaint", {"strength": 0.2}, "leaves none of 3 steps"),
        ("inpaint", {"strength": 1e-300}, "leaves none of 3 steps"),
        ("image-to-image", {"scheduler": "lcm", "strength": 0.05}, "at most 2 with the lcm"),
        ("text-to-image", {"width": 4096, "height": 64 * 15 + 1}, "multiple of 64"),
    ],
)
def test_what_only_the_model_can_refuse(
    mode: str, fields: dict[str, Any], says: str, engine: Engine
) -> None:
    with pytest.raises(BadSetting, match=says):
        engine.generate(ask(mode, **fields))


@pytest.mark.parametrize("prompt", ["", " ", "🙂" * 9, "\u202eab\x7f\x1b[31m", "é\u0301", "﷽" * 50])
def test_odd_prompts_are_pictures_too(prompt: str, engine: Engine) -> None:
    made = engine.generate(ask(prompt=prompt, negative_prompt=prompt))
    assert np.isfinite(made.images).all()


@pytest.mark.parametrize("mode", PICTURES)
def test_a_failure_of_the_runtime_is_told_and_the_model_opened_anew(
    mode: str, tiny: Path, before: dict[str, Generated]
) -> None:
    engine = open_engine(tiny)
    # As if we did not know that sizes are multiples of 64: the UNet itself fails at 72.
    engine.model = replace(engine.model, size_step=8)
    for _ in range(2):
        with pytest.raises(GenerationFailed, match="The next request starts afresh"):
            engine.generate(ask(mode, width=72))
        for each, good in before.items():
            assert same(engine.generate(ask(each)), good)
    engine.close()


def test_what_cannot_be_opened_anew_is_told_each_time(
    tmp_path: Path, before: dict[str, Generated]
) -> None:
    folder = tiny_diffusion.build(tmp_path / "tiny")
    engine = open_engine(folder)
    engine.model = replace(engine.model, size_step=8)
    unet = folder / "unet"
    shutil.move(unet, tmp_path / "unet")
    with pytest.raises(GenerationFailed):
        engine.generate(ask(width=72))
    for _ in range(2):
        with pytest.raises(BadWeights, match="cannot be opened"):
            engine.generate(ask())
    shutil.move(tmp_path / "unet", unet)
    assert same(engine.generate(ask()), before["text-to-image"])
    engine.close()


@pytest.mark.parametrize("mode", PICTURES)
def test_every_step_is_reported_once_and_in_order(mode: str, engine: Engine) -> None:
    seen: list[tuple[int, int]] = []
    previews: list[tuple[tuple[int, ...], int, int]] = []
    engine.generate(
        ask(
            mode,
            num_images_per_prompt=3,
            num_inference_steps=10,
            scheduler="ddim",
            width=128,
            height=64,
        ),
        progress=lambda done, total: seen.append((done, total)),
        preview=lambda image, done, total: previews.append((image.shape, done, total)),
    )
    total = 27 if mode == "image-to-image" else 30
    assert seen == [(done, total) for done in range(total + 1)]
    assert previews and {shape for shape, _, _ in previews} == {(8, 16, 3)}
    assert {(done, total) for _, done, total in previews} <= set(seen[1:])


def test_reports_that_the_runtime_drops_are_made_up_for() -> None:
    seen: list[tuple[int, int]] = []
    reporter = Reporter(3, 2, lambda done, total: seen.append((done, total)), None)
    reporter.step(Step(2, None))  # the first came to nobody, nor does the third
    reporter.picture()
    reporter.picture()
    assert seen == [(done, 6) for done in range(7)]


def test_callbacks_run_where_the_caller_is(engine: Engine) -> None:
    """Hosts keep who is asking in context variables, and some of their calls to one thread."""
    caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")
    caller.set("the node")
    seen: set[tuple[str, int]] = set()

    def called(*anything: Any) -> None:
        seen.add((caller.get(), threading.get_ident()))

    engine.generate(ask(), progress=called, cancel=called, preview=called)
    assert seen == {("the node", threading.get_ident())}


def working() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("heliochrome-diffusion")}


def pipelines() -> int:
    gc.collect()
    return sum(type(one) is Pipelines for one in gc.get_objects())


@pytest.mark.parametrize("error", [Broken, Interrupted])
def test_an_opening_can_be_cancelled_and_leaves_nothing(
    error: type[BaseException], tiny: Path
) -> None:
    before, opened = working(), pipelines()
    with pytest.raises(error, match="from a callback"):
        open_engine(tiny, cancel=raising(error, 1))
    late = working() - before
    assert late  # it still opens: nobody waits for that
    for thread in late:
        thread.join(30)
        assert not thread.is_alive()
    assert pipelines() == opened


def test_an_opening_that_breaks_off_in_an_unknown_way_leaves_nothing(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heliochrome.diffusion import engine as module

    before, opened = working(), pipelines()
    monkeypatch.setattr(module, "require_effect", raising(Interrupted, 1))
    with pytest.raises(Interrupted):
        open_engine(tiny)
    for thread in working() - before:
        thread.join(30)
    assert not working() - before
    assert pipelines() == opened


def test_a_request_in_the_queue_can_be_cancelled(engine: Engine) -> None:
    started = threading.Event()
    long = ask(num_inference_steps=250, width=512, height=512)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(engine.generate, long, progress=lambda done, total: started.set())
        assert started.wait(10)
        with pytest.raises(Broken):
            engine.generate(ask(), cancel=raising(Broken, 2))
        assert not running.done()
        made = running.result()
    assert same(made, engine.generate(long))


def test_a_cancelled_request_stops_the_runtime_soon(engine: Engine) -> None:
    long = ask(num_inference_steps=250, num_images_per_prompt=16, width=512, height=512)
    with pytest.raises(Broken):
        engine.generate(long, progress=raising(Broken, 3))
    start = time.monotonic()
    engine.generate(ask())  # waits for the step that was running, not for four thousand
    assert time.monotonic() - start < 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_is_answered_while_the_runtime_works(tiny: Path) -> None:
    code = """
        import sys; from pathlib import Path
        from heliochrome.diffusion import GenerationRequest, open_engine
        engine = open_engine(Path(sys.argv[1]))
        asked = GenerationRequest(prompt="the cat", num_inference_steps=250, width=1024,
                                  height=1024, num_images_per_prompt=16)
        try:
            engine.generate(asked, progress=lambda done, total: print(done, flush=True))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tiny)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "0\n"
    start = time.monotonic()
    run.send_signal(signal.SIGINT)
    said, failed = run.communicate(timeout=30)
    assert said.splitlines()[-1] == "interrupted", failed
    assert run.returncode == 0, failed
    assert time.monotonic() - start < 10


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_full_memory_is_told_and_the_next_request_works(tiny: Path) -> None:
    code = """
        import resource, sys; from pathlib import Path
        from heliochrome.core.errors import OutOfMemory
        from heliochrome.diffusion import GenerationRequest, open_engine
        engine = open_engine(Path(sys.argv[1]))
        good = GenerationRequest(prompt="the cat", num_inference_steps=2, seed=1)
        first = engine.generate(good).images
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20, most))
        try:
            engine.generate(GenerationRequest(prompt="the cat", num_inference_steps=1, width=2048,
                                              height=2048))
        except OutOfMemory as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        print((engine.generate(good).images == first).all())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tiny)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines()[-1:] == ["True"], run.stderr
    assert "not enough memory for a picture of 2048x2048" in run.stdout


def test_good_is_what_the_handlers_ask_for(engine: Engine) -> None:
    made = engine.generate(GenerationRequest.from_mapping(GOOD))
    assert made.seeds == (GOOD["seed"],)
