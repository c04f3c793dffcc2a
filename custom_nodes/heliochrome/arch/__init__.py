"""DDColor in PyTorch. Importing this package imports torch."""

from .config import MICRO, DDColorConfig, StateDictError
from .ddcolor import DDColor
from .fold import FoldedDDColor

__all__ = ["MICRO", "DDColor", "DDColorConfig", "FoldedDDColor", "StateDictError"]
