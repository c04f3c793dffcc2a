"""The frontend's settings, for each user their own: the host keeps one file for everybody."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any, Final

from .identity import Identity
from .owned_files import in_userdata
from .proxy import Headers, Host
from .refusals import Denied

FILE: Final = "comfy.settings.json"
_LARGEST: Final = 256 * 1024


class Preferences:
    """In a file of the user's among the frontend's files. What is not there is the host's."""

    def __init__(self, host: Host) -> None:
        self._host = host
        # Two tabs write at the same time; users are few, so the locks are kept.
        self._writing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, identity: Identity, headers: Headers) -> dict[str, Any]:
        """Raises Denied where the host does not answer."""
        shared = await self._host.read("GET", "/settings", "", headers)
        return {**_object(shared.data), **await self._own(identity, headers)}

    async def change(self, identity: Identity, headers: Headers, changes: dict[str, Any]) -> None:
        """Raises Denied: also where they become too large, or the host cannot keep them."""
        async with self._writing[identity.name]:
            now = {**await self._own(identity, headers), **changes}
            body = json.dumps(now, indent=1).encode()
            if len(body) > _LARGEST:
                raise _too_large()
            answer = await self._host.read("POST", _path(identity), "", headers, body=body)
        if answer.status != 200:
            raise _not_kept(answer.status)

    async def _own(self, identity: Identity, headers: Headers) -> dict[str, Any]:
        answer = await self._host.read("GET", _path(identity), "", headers)
        return _object(answer.data) if answer.status == 200 else {}


def _path(identity: Identity) -> str:
    return f"/userdata/{in_userdata(identity, FILE)}"


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _too_large() -> Denied:
    return Denied(
        413,
        "size",
        f"Settings may take {_LARGEST // 1024} KiB. Remove some, such as custom key bindings.",
        f"设置不得超过 {_LARGEST // 1024} KiB。请删除一些设置。",
    )


def _not_kept(status: int) -> Denied:
    return Denied(
        502,
        "host",
        f"ComfyUI did not keep the settings (status {status}). See that its disk has room.",
        f"ComfyUI 未能保存设置（状态码 {status}）。请检查磁盘空间。",
        recorded=False,
    )
