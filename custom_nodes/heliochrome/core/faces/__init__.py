"""Where the faces are. The detector is CenterFace (MIT, see LICENSE beside this file)."""

from .detector import LOOK_SIZE, Face, find_faces

__all__ = ["LOOK_SIZE", "Face", "find_faces"]
