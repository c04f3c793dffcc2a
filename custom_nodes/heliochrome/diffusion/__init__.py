"""Stable Diffusion on OpenVINO: pictures from text, from pictures, and repaired parts of them."""

from .callbacks import Preview
from .engine import Engine, Generated, open_engine
from .lora import Lora
from .model import DiffusionModel, read_model
from .request import GenerationRequest
from .runtime import DEVICES
from .schedulers import SCHEDULERS

__all__ = [
    "DEVICES",
    "SCHEDULERS",
    "DiffusionModel",
    "Engine",
    "Generated",
    "GenerationRequest",
    "Lora",
    "Preview",
    "open_engine",
    "read_model",
]
