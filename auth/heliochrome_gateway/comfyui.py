"""ComfyUI behind the door: what is done with each request that a rule lets through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from . import listings, owned_files
from .clients import client_address
from .graphs import Graphs, parse_object
from .headers import to_host
from .identity import Identity
from .login import AUDIT
from .messages import host_client_id
from .ownership import Owners
from .preferences import Preferences
from .proxy import Answer, Host, read_body
from .refusals import Denied, not_found
from .routes import Handling, Match, Routes
from .runs import Runs
from .settings import GatewaySettings
from .sockets import Sockets
from .targets import Target
from .uploads import Uploads, new_file

_SMALL_BODY: Final = 64 * 1024
_SETTINGS_BODY: Final = 256 * 1024
_JSON: Final = "application/json"


class Asked:
    """One request that a rule lets through."""

    def __init__(
        self, request: web.Request, target: Target, match: Match, settings: GatewaySettings
    ) -> None:
        self.request, self.target, self.match = request, target, match
        self.identity: Identity = request["identity"]
        self.address = client_address(request, settings)
        self.headers = to_host(request.headers, self.identity, self.address, secure=settings.secure)

    def for_json(self) -> dict[str, str]:
        """The headers for a request whose body is ours, or which has none."""
        dropped = ("content-length", "content-type", "content-encoding", "if-none-match",
                   "if-modified-since", "range")  # fmt: skip
        kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        return {**kept, "Content-Type": _JSON}


class ComfyUI:
    def __init__(
        self,
        settings: GatewaySettings,
        host: Host,
        owners: Owners,
        graphs: Graphs,
        uploads: Uploads,
        sockets: Sockets,
        runs: Runs,
    ) -> None:
        self._settings, self._host, self._owners = settings, host, owners
        self._graphs, self._uploads, self._sockets, self._runs = graphs, uploads, sockets, runs
        self._routes = Routes()
        self._preferences = Preferences(host)
        self._handlers: dict[Handling, Callable[[Asked], Awaitable[web.StreamResponse]]] = {
            "pass": self._pass,
            "prompt": self._prompt,
            "socket": self._socket,
            "upload": self._upload,
            "mask": self._upload,
            "view": self._view,
            "history": self._history,
            "queue": self._queue,
            "jobs": self._jobs,
            "job": self._job,
            "interrupt": self._interrupt,
            "cancel": self._cancel,
            "cancel_many": self._cancel_many,
            "forget": self._forget,
            "dequeue": self._dequeue,
            "object_info": self._object_info,
            "system_stats": self._system_stats,
            "settings": self._read_settings,
            "settings_change": self._change_settings,
            "userdata": self._userdata,
            "userdata_list": self._userdata_list,
            "userdata_move": self._userdata_move,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises Denied, Refused and StorageFailed."""
        target: Target = request["target"]
        identity: Identity = request["identity"]
        match = self._routes.match(request.method, target.path, identity.role)
        return await self._handlers[match.rule.handling](
            Asked(request, target, match, self._settings)
        )

    async def _pass(self, asked: Asked) -> web.StreamResponse:
        return await self._host.pass_on(
            asked.request,
            asked.match.path,
            asked.target.query,
            asked.headers,
            self._settings.max_body_bytes,
        )

    async def _socket(self, asked: Asked) -> web.StreamResponse:
        return await self._sockets.relay(asked.request, asked.identity, asked.target, asked.headers)

    async def _prompt(self, asked: Asked) -> web.StreamResponse:
        body = await read_body(asked.request, self._settings.max_body_bytes)
        given = parse_object(body).get("client_id")
        client = host_client_id(asked.identity, given if isinstance(given, str) else "")
        workflow = self._graphs.check(asked.identity, body, client)
        if not self._owners.begin(
            workflow.id,
            asked.identity.name,
            asked.address,
            workflow.digest,
            workflow.nodes,
            workflow.models,
        ):
            raise not_found()
        # Where this fails, nobody knows whether the host took it: `Runs` finds out.
        self._runs.begun()
        answer = await self._host.read(
            "POST", asked.match.path, "", asked.for_json(), body=workflow.body
        )
        taken = answer.status == 200
        if not taken:
            self._owners.withdraw(workflow.id)
        await asked.request.app[AUDIT].write(
            "run",
            user=asked.identity.name,
            address=asked.address,
            job=workflow.id,
            workflow_sha256=workflow.digest,
            nodes=workflow.nodes,
            models=list(workflow.models),
            outcome="queued" if taken else "refused by ComfyUI",
        )
        return _as_it_came(answer)

    async def _upload(self, asked: Asked) -> web.StreamResponse:
        audit, user = asked.request.app[AUDIT], asked.identity.name
        with new_file() as file:
            try:
                upload = await self._uploads.receive(
                    asked.request, asked.identity, file, mask=asked.match.rule.handling == "mask"
                )
            except Denied as denied:
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
        return _as_it_came(answer)

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

    async def _history(self, asked: Asked) -> web.StreamResponse:
        # All of it, and then the page: the host counts everybody's.
        answer = await self._ask(asked, query="")
        own = listings.history(answer.data, self._owns(asked))
        for entry in own.values():
            if isinstance(entry, dict):
                self._owners.note_outputs(asked.identity.name, entry.get("outputs"))
        if "job" not in asked.match.names:
            fields = asked.target.fields()
            most, first = _number(fields, "max_items"), _number(fields, "offset")
            runs = list(own.items())
            if first is None:
                first = max(0, len(runs) - most) if most is not None else 0
            own = dict(runs[first : None if most is None else first + most])
        return web.json_response(own)

    async def _queue(self, asked: Asked) -> web.StreamResponse:
        answer = await self._ask(asked)
        return web.json_response(listings.queue(answer.data, self._owns(asked)))

    async def _jobs(self, asked: Asked) -> web.StreamResponse:
        fields = asked.target.fields()
        offset, limit = _number(fields, "offset") or 0, _number(fields, "limit")
        kept = {name: value for name, value in fields.items() if name not in ("offset", "limit")}
        answer = await self._ask(asked, query=urlencode(kept))
        if answer.status != 200:
            return _as_it_came(answer)
        own = listings.jobs(answer.data, self._owns(asked), offset, limit)
        for job in own["jobs"]:
            self._owners.note_outputs(asked.identity.name, job.get("preview_output"))
        return web.json_response(own)

    async def _job(self, asked: Asked) -> web.StreamResponse:
        self._require(asked, asked.match.names["job"])
        answer = await self._ask(asked)
        if isinstance(answer.data, dict):
            # Not the rest of it: there is also what the user wrote.
            self._owners.note_outputs(asked.identity.name, answer.data.get("outputs"))
        return _as_it_came(answer)

    async def _interrupt(self, asked: Asked) -> web.StreamResponse:
        """Without a run's id the host would stop whatever runs, whoever's it is."""
        given = await self._object(asked)
        return await self._tell(asked, {"prompt_id": self._require(asked, given.get("prompt_id"))})

    async def _cancel(self, asked: Asked) -> web.StreamResponse:
        self._require(asked, asked.match.names["job"])
        return await self._tell(asked, {})

    async def _cancel_many(self, asked: Asked) -> web.StreamResponse:
        given = await self._object(asked)
        return await self._tell(asked, {"job_ids": self._all(asked, given.get("job_ids"))})

    async def _dequeue(self, asked: Asked) -> web.StreamResponse:
        """`clear` is for all of the user's own: the host would clear everybody's."""
        given = await self._object(asked)
        if given.get("clear"):
            queue = await self._host.read("GET", "/queue", "", asked.for_json())
            waiting = listings.queue(queue.data, self._owns(asked))["queue_pending"]
            return await self._tell(asked, {"delete": [item[1] for item in waiting]})
        return await self._tell(asked, {"delete": self._all(asked, given.get("delete"))})

    async def _forget(self, asked: Asked) -> web.StreamResponse:
        given = await self._object(asked)
        if given.get("clear"):
            found = await self._host.read("GET", "/history", "", asked.for_json())
            own = listings.history(found.data, self._owns(asked))
            return await self._tell(asked, {"delete": list(own)})
        return await self._tell(asked, {"delete": self._all(asked, given.get("delete"))})

    async def _object_info(self, asked: Asked) -> web.StreamResponse:
        answer = await self._ask(asked)
        return web.json_response(listings.nodes(answer.data, self._graphs.allowed))

    async def _system_stats(self, asked: Asked) -> web.StreamResponse:
        answer = await self._ask(asked)
        return web.json_response(listings.system(answer.data))

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
            self._settings.max_body_bytes,
        )

    async def _userdata_list(self, asked: Asked) -> web.StreamResponse:
        fields = asked.target.fields()
        folder = fields.get("dir", "").removesuffix("/")
        own = owned_files.folder_of(asked.identity)
        fields["dir"] = owned_files.prefix(asked.identity, folder) if folder else own
        return await self._host.pass_on(
            asked.request, asked.match.path, urlencode(fields), asked.headers, 0
        )

    def _owns(self, asked: Asked) -> listings.Owns:
        return lambda run_id: self._owners.owns(asked.identity.name, run_id)

    def _require(self, asked: Asked, run_id: Any) -> str:
        if not self._owners.owns(asked.identity.name, run_id):
            raise not_found()
        return str(run_id)

    def _all(self, asked: Asked, ids: Any) -> list[str]:
        if not isinstance(ids, list):
            raise not_found()
        return [self._require(asked, run_id) for run_id in ids]

    async def _object(self, asked: Asked) -> dict[str, Any]:
        return parse_object(await read_body(asked.request, _SMALL_BODY))

    async def _ask(self, asked: Asked, query: str | None = None) -> Answer:
        return await self._host.read(
            "GET",
            asked.match.path,
            asked.target.query if query is None else query,
            asked.for_json(),
        )

    async def _tell(self, asked: Asked, said: dict[str, Any]) -> web.StreamResponse:
        body = web.json_response(said).body
        return _as_it_came(
            await self._host.read("POST", asked.match.path, "", asked.for_json(), body=body)
        )


def _one_step(asked: Asked, name: str) -> str:
    return owned_files.in_userdata(asked.identity, asked.match.names[name])


def _as_it_came(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


def _number(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
