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
        if self.fields.get("timestep_spacing") == "trailing" and _one_too_many(most, asked):
            near = next(n for n in range(asked - 1, 0, -1) if not _one_too_many(most, n))
            raise BadSetting(
                f"num_inference_steps may not be {asked} with this model, whose steps are spaced "
                f"from the end: OpenVINO GenAI would add one step too many. Use {near}."
            )
        left = min(asked, int(np.float32(asked) * wide))
        if left < 1:
            raise BadSetting(
                f"strength {strength:g} leaves none of {asked} steps: raise strength to at least "
                f"{1 / asked:.3g}, or ask for more num_inference_steps."
            )
        # PNDM does its second step twice.
        return left + 1 if scheduler == "pndm" and asked > 1 else left


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
    for name in (_TRAINED, _ORIGINAL):
        steps = fields.get(name, 1)
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 10_000:
            raise BadWeights(f"{path}: {name} must be a whole number: get the model again.")
    found = SchedulerConfig(_BY_CLASS[class_name], path, fields)
    if (why := found.objection(found.name)) is not None:
        raise BadWeights(f"{path}: the model's scheduler {class_name} does not work: {why}.")
    return found


def make_scheduler(config: SchedulerConfig, name: str) -> Any:
    """A fresh `openvino_genai.Scheduler`; none is used twice, so that nothing is carried over."""
    import openvino_genai

    kind = getattr(openvino_genai.Scheduler.Type, _CLASSES[name][1])
    return openvino_genai.Scheduler.from_config(config.path, kind)
