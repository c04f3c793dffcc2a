"""Requests about files: pictures to and from the host, and what the frontend keeps there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from . import owned_files
from .asked import Asked, Handler, as_it_came
from .bodies import read_body
from .graphs import parse_object
from .login import AUDIT
from .ownership import Owners
from .preferences import Preferences
from .proxy import Host
from .refusals import Denied
from .routes import Handling
from .uploads import Uploads

_SETTINGS_BODY: Final = 256 * 1024


class FileRequests:
    """most_bytes: of one of the frontend's own files."""

    def __init__(self, host: Host, owners: Owners, uploads: Uploads, most_bytes: int) -> None:
        self._host, self._owners = host, owners
        self._uploads, self._most = uploads, most_bytes
        self._preferences = Preferences(host)
        self.handlers: Mapping[Handling, Handler] = {
            "upload": self._upload,
            "mask": self._upload,
            "view": self._view,
            "settings": self._read_settings,
            "settings_change": self._change_settings,
            "userdata": self._userdata,
            "userdata_list": self._userdata_list,
            "userdata_move": self._userdata_move,
        }

    async def _upload(self, asked: Asked) -> web.StreamResponse:
        audit, user = asked.request.app[AUDIT], asked.identity.name
        with self._uploads.new_file() as file:
            try:
                upload = await self._uploads.receive(
                    asked.request, asked.identity, file, mask=asked.match.rule.handling == "mask"
                )
            except Denied as denied:
                file.close()  # the record may need the room that this takes
                await audit.write(
                    "upload", user=user, address=asked.address, outcome="refused",
                    reason=denied.rule,
                )  # fmt: skip
                raise
            form = upload.form()
            headers = {**asked.for_json(), "Content-Type": form.headers["Content-Type"]}
            answer = await self._host.read("POST", asked.match.path, "", headers, body=form)
        await audit.write(
            "upload",
            user=user,
            address=asked.address,
            file=f"{upload.subfolder}/{upload.name}",
            bytes=upload.size,
            sha256=upload.sha256,
            format=upload.seen.format,
            width=upload.seen.width,
            height=upload.seen.height,
            outcome="taken" if answer.status == 200 else "refused by ComfyUI",
        )
        return as_it_came(answer)

    async def _view(self, asked: Asked) -> web.StreamResponse:
        fields = asked.target.fields()
        file = owned_files.find(
            asked.identity,
            self._owners,
            fields.get("filename", ""),
            fields.get("subfolder", ""),
            fields.get("type", "output"),
        )
        kept = {name: fields[name] for name in ("preview", "channel", "rand") if name in fields}
        asks = {"filename": file.name, "subfolder": file.subfolder, "type": file.place}
        query = urlencode(kept | asks)

        async def noting(answer: aiohttp.ClientResponse) -> None:
            if answer.status in (200, 206) and asked.request.method == "GET":
                await asked.request.app[AUDIT].write(
                    "download",
                    user=asked.identity.name,
                    address=asked.address,
                    file=f"{file.place}/{file.subfolder}/{file.name}",
                    bytes=answer.content_length,
                )

        return await self._host.pass_on(
            asked.request, asked.match.path, query, asked.headers, 0, noting
        )

    async def _read_settings(self, asked: Asked) -> web.StreamResponse:
        found = await self._preferences.read(asked.identity, asked.for_json())
        name = asked.match.names.get("id")
        return web.json_response(found if name is None else found.get(name))

    async def _change_settings(self, asked: Asked) -> web.StreamResponse:
        body = await read_body(asked.request, _SETTINGS_BODY)
        name = asked.match.names.get("id")
        # One setting comes as any JSON value.
        given = body if name is None else b'{"value": %s}' % body
        found = parse_object(given)
        changes = found if name is None else {name: found.get("value")}
        await self._preferences.change(asked.identity, asked.for_json(), changes)
        return web.Response()

    async def _userdata(self, asked: Asked) -> web.StreamResponse:
        return await self._in_userdata(asked, _one_step(asked, "file"))

    async def _userdata_move(self, asked: Asked) -> web.StreamResponse:
        file, to = _one_step(asked, "file"), _one_step(asked, "to")
        return await self._in_userdata(asked, f"{file}/move/{to}")

    async def _in_userdata(self, asked: Asked, path: str) -> web.StreamResponse:
        before = asked.match.path.partition("/userdata/")[0]
        return await self._host.pass_on(
            asked.request,
            f"{before}/userdata/{path}",
            asked.target.query,
            asked.headers,
            self._most,
        )

    async def _userdata_list(self, asked: Asked) -> web.StreamResponse:
        fields = asked.target.fields()
        folder = fields.get("dir", "").removesuffix("/")
        own = owned_files.folder_of(asked.identity)
        fields["dir"] = owned_files.prefix(asked.identity, folder) if folder else own
        return await self._host.pass_on(
            asked.request, asked.match.path, urlencode(fields), asked.headers, 0
        )


def _one_step(asked: Asked, name: str) -> str:
    return owned_files.in_userdata(asked.identity, asked.match.names[name])
