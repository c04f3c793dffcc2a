"""Which of the host's messages a user may see on a WebSocket: those about their own runs."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from .identity import Identity
from .ownership import Owners

# About no run: how long the queue is (a number), and what both ends can do.
_FOR_ALL: Final = frozenset({"status", "feature_flags"})
# They bear no run's id in some or all versions of the host, and are sent to the socket that
# began the run; should the host have no such socket, it tells everybody.
_OF_THE_RUNNING: Final = frozenset({"executing", "progress", "heliochrome.notice"})
_BEGIN: Final = frozenset({"execution_start", "execution_cached", "executing", "progress_state"})
_END: Final = frozenset({"execution_success", "execution_error", "execution_interrupted"})
_OF_RUNS: Final = _BEGIN | _END | _OF_THE_RUNNING | {"executed"}
# BinaryEventTypes in the host's protocol.py.
_PICTURE, _TEXT, _PICTURE_WITH_METADATA = 1, 3, 4


def host_client_id(identity: Identity, client_id: str) -> str:
    """The client id that the host knows.

    Each user's are their own: whatever another sends as clientId, it becomes another one, and
    finding what becomes this one means inverting SHA-256.
    """
    text = f"{identity.name}\0{client_id}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


class Filter:
    """For one socket. Not one message is let through without a reason to."""

    def __init__(self, identity: Identity, client_id: str, owners: Owners) -> None:
        self._name, self._client_id, self._owners = identity.name, client_id, owners
        # A run of this user's runs; the host runs one at a time.
        self._running = False

    def text(self, message: str) -> str | None:
        """The message to pass on, or None."""
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            return None
        kind, data = event.get("type"), event["data"]
        if kind in _FOR_ALL:
            return self._own_sid(event)
        if kind not in _OF_RUNS or not self._concerns(kind, data):
            return None
        if kind == "executed":
            self._owners.note_outputs(self._name, data.get("output"))
        return message

    def binary(self, message: bytes) -> bytes | None:
        kind = int.from_bytes(message[:4], "big")
        if kind in (_PICTURE, _TEXT):
            return message if self._running else None
        if kind == _PICTURE_WITH_METADATA:
            length = int.from_bytes(message[4:8], "big")
            try:
                run_id = json.loads(message[8 : 8 + length]).get("prompt_id")
            except (ValueError, RecursionError, AttributeError):
                return None
            return message if self._owners.owns(self._name, run_id) else None
        return None

    def _concerns(self, kind: str, data: dict[str, Any]) -> bool:
        run_id = data.get("prompt_id")
        if run_id is None:
            # `executing` without an id: the host tells it to the one socket that has come back
            # while its run goes on. All else without an id: only to who is running something.
            if kind == "executing" and data.get("node") is not None:
                self._running = True
            return kind in _OF_THE_RUNNING and self._running
        mine = self._owners.owns(self._name, run_id)
        ended = kind in _END or (kind == "executing" and data.get("node") is None)
        self._running = mine and not ended
        return mine

    def _own_sid(self, event: dict[str, Any]) -> str:
        """The frontend takes its client id from here."""
        if "sid" in event["data"]:
            event["data"]["sid"] = self._client_id
        return json.dumps(event)
