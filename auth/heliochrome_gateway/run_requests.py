"""Requests about runs: to begin one, to see one's own, to stop and to forget one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from . import listings
from .asked import Asked, Handler, as_it_came
from .bodies import read_body
from .graphs import Graphs, parse_object
from .login import AUDIT
from .messages import host_client_id
from .ownership import Owners
from .proxy import Host
from .refusals import not_found
from .routes import Handling
from .runs import Runs


class RunRequests:
    """most_bytes: of a workflow."""

    def __init__(
        self, host: Host, owners: Owners, graphs: Graphs, runs: Runs, most_bytes: int
    ) -> None:
        self._host, self._owners = host, owners
        self._graphs, self._runs, self._most = graphs, runs, most_bytes
        self.handlers: Mapping[Handling, Handler] = {
            "prompt": self._prompt,
            "history": self._history,
            "queue": self._queue,
            "jobs": self._jobs,
            "job": self._job,
            "interrupt": self._interrupt,
            "cancel": self._cancel,
            "cancel_many": self._cancel_many,
            "forget": self._forget,
            "dequeue": self._dequeue,
        }

    async def _prompt(self, asked: Asked) -> web.StreamResponse:
        body = await read_body(asked.request, self._most)
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
        return as_it_came(answer)

    async def _history(self, asked: Asked) -> web.StreamResponse:
        # All of it, and then the page: the host counts everybody's.
        answer = await asked.ask(self._host, "")
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
        answer = await asked.ask(self._host)
        return web.json_response(listings.queue(answer.data, self._owns(asked)))

    async def _jobs(self, asked: Asked) -> web.StreamResponse:
        fields = asked.target.fields()
        offset, limit = _number(fields, "offset") or 0, _number(fields, "limit")
        kept = {name: value for name, value in fields.items() if name not in ("offset", "limit")}
        answer = await asked.ask(self._host, urlencode(kept))
        if answer.status != 200:
            return as_it_came(answer)
        own = listings.jobs(answer.data, self._owns(asked), offset, limit)
        for job in own["jobs"]:
            self._owners.note_outputs(asked.identity.name, job.get("preview_output"))
        return web.json_response(own)

    async def _job(self, asked: Asked) -> web.StreamResponse:
        self._require(asked, asked.match.names["job"])
        answer = await asked.ask(self._host)
        if isinstance(answer.data, dict):
            # Not the rest of it: there is also what the user wrote.
            self._owners.note_outputs(asked.identity.name, answer.data.get("outputs"))
        return as_it_came(answer)

    async def _interrupt(self, asked: Asked) -> web.StreamResponse:
        """Without a run's id the host would stop whatever runs, whoever's it is."""
        given = await asked.object()
        return await asked.tell(
            self._host, {"prompt_id": self._require(asked, given.get("prompt_id"))}
        )

    async def _cancel(self, asked: Asked) -> web.StreamResponse:
        self._require(asked, asked.match.names["job"])
        return await asked.tell(self._host, {})

    async def _cancel_many(self, asked: Asked) -> web.StreamResponse:
        given = await asked.object()
        return await asked.tell(self._host, {"job_ids": self._all(asked, given.get("job_ids"))})

    async def _dequeue(self, asked: Asked) -> web.StreamResponse:
        """`clear` is for all of the user's own: the host would clear everybody's."""
        given = await asked.object()
        if given.get("clear"):
            queue = await self._host.read("GET", "/queue", "", asked.for_json())
            waiting = listings.queue(queue.data, self._owns(asked))["queue_pending"]
            return await asked.tell(self._host, {"delete": [item[1] for item in waiting]})
        return await asked.tell(self._host, {"delete": self._all(asked, given.get("delete"))})

    async def _forget(self, asked: Asked) -> web.StreamResponse:
        given = await asked.object()
        if given.get("clear"):
            found = await self._host.read("GET", "/history", "", asked.for_json())
            own = listings.history(found.data, self._owns(asked))
            return await asked.tell(self._host, {"delete": list(own)})
        return await asked.tell(self._host, {"delete": self._all(asked, given.get("delete"))})

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


def _number(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
