"""Names of schedulers, what each can do, and how many steps it makes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_diffusion
from heliochrome.core.errors import BadSetting, BadWeights
from heliochrome.diffusion import SCHEDULERS, GenerationRequest, open_engine
from heliochrome.diffusion.schedulers import SchedulerConfig, read_scheduler, scheduler_name

CLASSES = {
    "PNDMScheduler": "pndm",
    "DDIMScheduler": "ddim",
    "EulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler_ancestral",
    "LCMScheduler": "lcm",
}


def config(**fields: Any) -> SchedulerConfig:
    return SchedulerConfig("pndm", Path("x"), tiny_diffusion.SCHEDULER | fields)


def passes(pipeline: Any) -> int:
    """How often the runtime ran its UNet for the last picture."""
    return len(pipeline.get_performance_metrics().raw_metrics.unet_inference_durations)


def test_there_are_five_and_no_others() -> None:
    assert SCHEDULERS == ("pndm", "ddim", "euler", "euler_ancestral", "lcm")


@pytest.mark.parametrize(
    ("given", "kept"), [*CLASSES.items(), *((name, name) for name in SCHEDULERS)]
)
def test_diffusers_class_names_are_taken_too(given: str, kept: str) -> None:
    assert scheduler_name(given) == kept
    assert GenerationRequest(prompt="", scheduler=given).scheduler == kept


@pytest.mark.parametrize("name", ["lms", "LMSDiscreteScheduler", "PNDM", "heun", ""])
def test_others_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(BadSetting, match="pndm, ddim, euler, euler_ancestral, lcm"):
        scheduler_name(name)


@pytest.mark.parametrize(
    ("scheduler", "fields", "says"),
    [
        ("lcm", {"prediction_type": "v_prediction"}, "v_prediction"),  # ends the process
        ("pndm", {"prediction_type": "sample"}, "sample"),
        ("euler_ancestral", {"prediction_type": "sample"}, "sample"),
        ("pndm", {"skip_prk_steps": False}, "skip_prk_steps"),
        ("euler", {"use_karras_sigmas": True}, "use_karras_sigmas"),
        (
            "euler",
            {"prediction_type": "v_prediction", "timestep_type": "continuous"},
            "continuous",
        ),
        ("ddim", {"beta_schedule": "squaredcos_cap_v2"}, "squaredcos_cap_v2"),
        ("lcm", {"thresholding": True}, "thresholding"),  # ends the process
        ("ddim", {"thresholding": True}, "thresholding"),
        ("ddim", {"clip_sample": True}, '"clip_sample": false'),
        ("ddim", {"clip_sample": None}, '"clip_sample": false'),  # on by default
        ("lcm", {"original_inference_steps": 1001}, "original_inference_steps"),
    ],
)
def test_settings_that_one_cannot_run_with(
    scheduler: str, fields: dict[str, Any], says: str
) -> None:
    assert config().objection(scheduler) is None
    assert says in (config(**fields).objection(scheduler) or "")


@pytest.mark.parametrize(
    ("scheduler", "asked", "strength", "steps"),
    [
        ("ddim", 50, 1.0, 50),
        ("pndm", 50, 1.0, 51),  # its second step is done twice
        ("pndm", 1, 1.0, 1),
        ("ddim", 50, 0.58, 29),  # in float32; 28 in float64
        ("ddim", 10, 0.1, 1),
        ("euler", 4, 0.3, 1),
        ("lcm", 4, 0.3, 4),
        ("lcm", 50, 1.0, 50),
    ],
)
def test_how_many_steps_are_left(scheduler: str, asked: int, strength: float, steps: int) -> None:
    assert config().steps(scheduler, asked, strength) == steps


@pytest.mark.parametrize(
    ("scheduler", "asked", "strength"),
    [
        ("ddim", 10, 0.09),
        ("pndm", 3, 0.3),
        ("ddim", 250, 1e-300),
        ("lcm", 51, 1.0),
        ("lcm", 4, 0.05),
    ],
)
def test_no_step_left_is_refused(scheduler: str, asked: int, strength: float) -> None:
    with pytest.raises(BadSetting, match="num_inference_steps"):
        config().steps(scheduler, asked, strength)


def test_no_more_steps_than_the_model_was_trained_in() -> None:
    few = config(num_train_timesteps=100, steps_offset=0)
    assert few.steps("ddim", 100, 1.0) == 100
    with pytest.raises(BadSetting, match="at most 100"):
        few.steps("ddim", 101, 1.0)


@pytest.mark.parametrize(
    ("offset", "asked", "good"), [(500, 2, 1), (1, 1000, 999), (4, 250, 249), (3, 250, None)]
)
def test_an_offset_may_not_lead_beyond_the_last_step(
    offset: int, asked: int, good: int | None
) -> None:
    """The runtime would read behind its table and give a black picture."""
    spaced = config(steps_offset=offset)
    if good is None:
        assert spaced.steps("ddim", asked, 1.0) == asked
        return
    with pytest.raises(BadSetting, match=f"Use {good}[.]"):
        spaced.steps("ddim", asked, 1.0)
    assert spaced.steps("ddim", good, 1.0) == good


def test_a_model_that_clips_is_refused_for_ddim_and_nothing_is_lost(tmp_path: Path) -> None:
    """OpenVINO GenAI would fail in the middle of the picture each time."""
    folder = tiny_diffusion.build(tmp_path / "m")
    path = folder / "scheduler" / "scheduler_config.json"
    fields = dict(tiny_diffusion.SCHEDULER)
    del fields["clip_sample"]
    path.write_text(json.dumps(fields))
    engine = open_engine(folder)
    with pytest.raises(BadSetting, match=r'"clip_sample": false.*Choose pndm'):
        engine.generate(GenerationRequest(prompt="", scheduler="ddim"))
    assert engine.generate(GenerationRequest(prompt="", num_inference_steps=2)).images.std() > 0
    engine.close()


@pytest.mark.parametrize("scheduler", ["pndm", "ddim", "euler", "euler_ancestral"])
def test_steps_spaced_from_the_end_that_the_runtime_miscounts(
    scheduler: str, tmp_path: Path
) -> None:
    """It would look up step -1. Those that are let through come to what we reckon."""
    folder = tiny_diffusion.build(tmp_path / "m")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(tiny_diffusion.SCHEDULER | {"timestep_spacing": "trailing"}))
    engine = open_engine(folder)
    refused = set()
    for asked in range(1, 25):
        request = GenerationRequest(prompt="", num_inference_steps=asked, scheduler=scheduler)
        try:
            engine.generate(request)
        except BadSetting as error:
            assert "a step that is not there" in str(error)
            refused.add(asked)
            continue
        assert engine._pipelines is not None
        pipeline = engine._pipelines.by_mode["text-to-image"]
        assert passes(pipeline) == engine.model.scheduler_config.steps(scheduler, asked, 1.0)
    assert {9, 11, 12, 18} < refused < set(range(9, 25))
    engine.close()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_runtime_makes_as_many_steps_as_we_reckon(scheduler: str, tiny: Path) -> None:
    import openvino_genai
    from openvino import Tensor

    pipeline = openvino_genai.Image2ImagePipeline(tiny, "CPU")
    picture = Tensor(np.zeros((1, 64, 64, 3), np.uint8))
    kind = {"euler": "EULER_DISCRETE", "euler_ancestral": "EULER_ANCESTRAL_DISCRETE"}
    kinds = openvino_genai.Scheduler.Type
    for asked, strength in itertools.product((1, 2, 7, 50), (0.3, 0.58, 1.0)):
        try:
            reckoned = config().steps(scheduler, asked, strength)
        except BadSetting:
            continue
        pipeline.set_scheduler(
            openvino_genai.Scheduler.from_config(
                tiny / "scheduler" / "scheduler_config.json",
                getattr(kinds, kind.get(scheduler, scheduler.upper())),
            )
        )
        pipeline.generate("the cat", picture, strength=strength, num_inference_steps=asked)
        assert (asked, strength, passes(pipeline)) == (asked, strength, reckoned)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a readable scheduler file"),
        ("[]", "not a readable scheduler file"),
        ("{}", "not a readable scheduler file"),
        (json.dumps({"_class_name": "LMSDiscreteScheduler"}), "LMSDiscreteScheduler"),
        (json.dumps({"_class_name": "PNDMScheduler"}), "skip_prk_steps"),
        (json.dumps({"_class_name": "LCMScheduler", "original_inference_steps": "x"}), "original"),
        (json.dumps({"_class_name": "DDIMScheduler", "num_train_timesteps": 0}), "num_train"),
        *(
            (json.dumps({"_class_name": "LCMScheduler"} | fields), next(iter(fields)))
            for fields in (
                {"steps_offset": -1},
                {"steps_offset": "1"},
                {"steps_offset": 0.5},
                {"steps_offset": 1000},
                {"trained_betas": [0.1, 0.2]},
                {"trained_betas": 0.1},
                {"trained_betas": [0.0] * 1000},
                {"trained_betas": ["x"] * 1000},
                {"beta_start": "0.1"},
                {"beta_end": 5.0},
            )
        ),
        (json.dumps({"_class_name": ["DDIMScheduler"]}), "which OpenVINO GenAI does not"),
    ],
)
def test_a_model_with_a_scheduler_that_is_not_there(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(text)
    with pytest.raises(BadWeights, match=says):
        read_scheduler(tmp_path)
