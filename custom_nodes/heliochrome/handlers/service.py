"""What this process keeps from one request to the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from ..core.errors import BadSetting
from .models import Models
from .refusals import Refusal
from .settings import HandlerSettings


class Service:
    """Settings, models, and the lock that lets one request at a time work."""

    def __init__(self, settings: HandlerSettings) -> None:
        self.settings = settings
        self.models = Models(settings)
        self.lock = threading.Lock()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Service:
        """Raises Refusal: what the operator set is none of the caller's faults."""
        try:
            return cls(HandlerSettings.from_environ(environ))
        except BadSetting as error:
            raise Refusal("not_configured", str(error)) from error


_making = threading.Lock()
_service: Service | None = None


def the_service() -> Service:
    """This process's one, made from the environment when it is first asked for."""
    global _service
    with _making:
        if _service is None:
            _service = Service.from_environ()
        return _service
