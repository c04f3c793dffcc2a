"""The schedulers that OpenVINO GenAI has, what each can do with a model's settings, its steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..core.errors import BadSetting, BadWeights

CONFIG: Final = "scheduler/scheduler_config.json"  # inside a model folder
_CLASSES: Final = {  # our name: (diffusers' class, OpenVINO GenAI's `Scheduler.Type`)
    "pndm": ("PNDMScheduler", "PNDM"),
    "ddim": ("DDIMScheduler", "DDIM"),
    "euler": ("EulerDiscreteScheduler", "EULER_DISCRETE"),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", "EULER_ANCESTRAL_DISCRETE"),
    "lcm": ("LCMScheduler", "LCM"),
}
SCHEDULERS: Final[tuple[str, ...]] = tuple(_CLASSES)
_BY_CLASS: Final = {diffusers: name for name, (diffusers, _) in _CLASSES.items()}
_TRAINED: Final = "num_train_timesteps"
_ORIGINAL: Final = "original_inference_steps"
_OFFSET: Final = "steps_offset"
_SPACING: Final = "timestep_spacing"
_LMS: Final = {"lms", "LMSDiscreteScheduler"}


@dataclass(frozen=True)
class SchedulerConfig:
    """scheduler_config.json of a model. name: one of SCHEDULERS; path: the file itself."""

    name: str
    path: Path
    fields: Mapping[str, Any]

    def objection(self, scheduler: str) -> str | None:
        """Why `scheduler` cannot run with these settings; None if it can.

        OpenVINO GenAI itself answers some of these with wrong pictures or the end of the process.
        """
        fields = self.fields
        prediction = fields.get("prediction_type", "epsilon")
        known = {
            "lcm": ("epsilon",),
            "pndm": ("epsilon", "v_prediction"),
            "euler_ancestral": ("epsilon", "v_prediction"),
        }.get(scheduler, ("epsilon", "v_prediction", "sample"))
        if prediction not in known:
            return f"it cannot be used with a model that predicts {prediction!r}"
        if fields.get("beta_schedule", "linear") not in ("linear", "scaled_linear"):
            return f"it does not know the beta_schedule {fields['beta_schedule']!r}"
        if scheduler in ("ddim", "lcm") and fields.get("thresholding"):
            return "OpenVINO GenAI does not have its thresholding"
        if scheduler == "ddim" and fields.get("clip_sample") is not False:
            return (
                "OpenVINO GenAI does not have its clip_sample, which is on unless the model's "
                f'{CONFIG} says "clip_sample": false, as Stable Diffusion\'s do'
            )
        if scheduler == "lcm" and fields.get(_ORIGINAL, 50) > fields.get(_TRAINED, 1000):
            return f"it needs at least as many {_TRAINED} as {_ORIGINAL}"
        if scheduler == "pndm" and not fields.get("skip_prk_steps", False):
            return "it needs a model whose scheduler settings have skip_prk_steps"
        if scheduler == "euler":
            for unknown in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
                if fields.get(unknown):
                    return f"OpenVINO GenAI does not have its {unknown}"
            if prediction == "v_prediction" and fields.get("timestep_type") == "continuous":
                return "OpenVINO GenAI does not have its continuous time steps for v_prediction"
        return None

    def steps(self, scheduler: str, asked: int, strength: float) -> int:
        """Steps that `asked` steps at this strength (1 without a picture) come to.

        Raises BadSetting if that is none, or more than the scheduler has.
        """
        # OpenVINO GenAI reckons in float32: 0.58 of 50 are 29 steps, not 28.
        wide = np.float32(strength)
        most: int = self.fields.get(_TRAINED, 1000)
        if scheduler == "lcm":
            most = int(np.float32(self.fields.get(_ORIGINAL, 50)) * wide)
        if asked > most:
            at = f" at strength {strength:g}" if strength < 1 else ""
            raise BadSetting(
                f"num_inference_steps may be at most {most} with the {scheduler} scheduler of this "
                f"model{at}, got {asked}: ask for fewer steps{', or raise strength' if at else ''}."
            )
        if scheduler == "lcm":
            return asked
        if self._beyond_tables(asked):
            near = next(n for n in range(asked - 1, 0, -1) if not self._beyond_tables(n))
            raise BadSetting(
                f"num_inference_steps may not be {asked} with the {_SPACING} and {_OFFSET} of "
                f"this model: OpenVINO GenAI would reckon with a step that is not there. Use "
                f"{near}."
            )
        left = min(asked, int(np.float32(asked) * wide))
        if left < 1:
            raise BadSetting(
                f"strength {strength:g} leaves none of {asked} steps: raise strength to at least "
                f"{1 / asked:.3g}, or ask for more num_inference_steps."
            )
        # PNDM does its second step twice.
        return left + 1 if scheduler == "pndm" and asked > 1 else left

    def _beyond_tables(self, asked: int) -> bool:
        """Whether OpenVINO GenAI would look up a step before the first or after the last."""
        trained: int = self.fields.get(_TRAINED, 1000)
        match self.fields.get(_SPACING) or "leading":
            case "leading":
                offset: int = self.fields.get(_OFFSET) or 0
                return (asked - 1) * (trained // asked) + offset >= trained
            case "trailing":
                return _one_too_many(trained, asked)
        return False


def _one_too_many(trained: int, asked: int) -> bool:
    """Whether counting down from `trained` in `asked` steps ends above 0, as float32 rounds.

    OpenVINO GenAI then goes on to step -1, before the beginning of its tables.
    """
    place, ratio = np.float32(trained), np.float32(trained) / np.float32(asked)
    for _ in range(asked):
        place -= ratio
    return bool(place > 0)


def scheduler_name(asked: str) -> str:
    """One of SCHEDULERS, from that or from diffusers' class name. Raises BadSetting."""
    if asked in SCHEDULERS:
        return asked
    if asked in _BY_CLASS:
        return _BY_CLASS[asked]
    reason = (
        "OpenVINO GenAI has no LMS and would run DDIM under its name"
        if asked in _LMS
        else "that is not among them"
    )
    raise BadSetting(
        f"scheduler must be one of {', '.join(SCHEDULERS)}, got {asked[:60]!r}: {reason}. "
        "pndm and ddim are the usual ones for Stable Diffusion."
    )


def read_scheduler(folder: Path) -> SchedulerConfig:
    """The scheduler settings of a model folder. Raises BadWeights."""
    path = folder / CONFIG
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        class_name = str(fields["_class_name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadWeights(
            f"{path} is not a readable scheduler file: get or convert the model again."
        ) from error
    if class_name not in _BY_CLASS:
        raise BadWeights(
            f"{path}: the model's own scheduler is {class_name!r}, which OpenVINO GenAI does not "
            f"have. Change _class_name there to one of {', '.join(_BY_CLASS)}."
        )
    _require_tables(path, fields)
    found = SchedulerConfig(_BY_CLASS[class_name], path, fields)
    if (why := found.objection(found.name)) is not None:
        raise BadWeights(f"{path}: the model's scheduler {class_name} does not work: {why}.")
    return found


def _require_tables(path: Path, fields: Mapping[str, Any]) -> None:
    """Raise BadWeights for numbers that OpenVINO GenAI would take unlooked at.

    It reads outside its tables with them, which ends the process or gives black pictures.
    """
    for name, low in ((_TRAINED, 1), (_ORIGINAL, 1), (_OFFSET, 0)):
        steps = fields.get(name, low)
        if steps is None and name == _OFFSET:  # as if left out
            continue
        if isinstance(steps, bool) or not isinstance(steps, int) or not low <= steps <= 10_000:
            raise BadWeights(f"{path}: {name} must be a whole number: get the model again.")
    trained = fields.get(_TRAINED, 1000)
    if (fields.get(_OFFSET) or 0) >= trained:
        raise BadWeights(f"{path}: {_OFFSET} must be below {trained}: get the model again.")
    for name in ("beta_start", "beta_end"):
        if not _is_beta(fields.get(name) or 0.01):
            raise BadWeights(f"{path}: {name} must be between 0 and 1: get the model again.")
    betas = fields.get("trained_betas")
    if betas is not None and not (
        isinstance(betas, list) and len(betas) == trained and all(map(_is_beta, betas))
    ):
        raise BadWeights(
            f"{path}: trained_betas must be null or {trained} numbers between 0 and 1: get the "
            "model again."
        )


def _is_beta(value: object) -> bool:
    return isinstance(value, float) and 0 < value < 1


def make_scheduler(config: SchedulerConfig, name: str) -> Any:
    """A fresh `openvino_genai.Scheduler`; none is used twice, so that nothing is carried over."""
    import openvino_genai

    kind = getattr(openvino_genai.Scheduler.Type, _CLASSES[name][1])
    return openvino_genai.Scheduler.from_config(config.path, kind)
