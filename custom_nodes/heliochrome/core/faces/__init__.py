"""Where the faces are. The detector is CenterFace (MIT, see LICENSE beside this file)."""

from .detector import Face, find_faces

__all__ = ["Face", "find_faces"]
