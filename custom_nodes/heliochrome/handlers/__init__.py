"""Requests from serverless platforms: event -> request -> core -> response."""

from __future__ import annotations

from .core import handle
from .request import HandlerRequest
from .responses import HandlerResponse
from .settings import HandlerSettings

__all__ = ["HandlerRequest", "HandlerResponse", "HandlerSettings", "handle"]
