"""Counts and times for Prometheus, without anybody's name in them."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from . import credentials
from .credentials import Bearer
from .refusals import Denied, not_offered

METRICS_PATH: Final = "/metrics"
# Not the request's own word, which could be anything, and so any number of series.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """token: what GET /metrics must bring (RFC 6750); "": it does not exist."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "heliochrome_gateway_requests_total",
            "Requests answered.",
            ("method", "status"),
            registry=self._registry,
        )
        # A few dozen at most; looking one up takes longer than counting.
        self._counted = lru_cache(None)(self._requests.labels)
        self._seconds = Histogram(
            "heliochrome_gateway_request_seconds",
            "Time to the end of the answer; WebSockets are not in it.",
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
            registry=self._registry,
        )
        self._refusals = Counter(
            "heliochrome_gateway_refusals_total",
            "Requests that were not let through.",
            ("rule",),
            registry=self._registry,
        )
        self.sockets = Gauge(
            "heliochrome_gateway_sockets", "Open WebSockets.", registry=self._registry
        )
        self.runs = Counter(
            "heliochrome_gateway_runs_total",
            "Workflows that ended.",
            ("outcome",),
            registry=self._registry,
        )

    def answered(self, method: str, status: int, seconds: float, *, socket: bool) -> None:
        name = method if method in _METHODS else "other"
        self._counted(name, f"{status // 100}xx").inc()
        if not socket:
            self._seconds.observe(seconds)

    def refused(self, rule: str) -> None:
        self._refusals.labels(rule).inc()

    async def show(self, request: web.Request) -> web.Response:
        """The handler of /metrics."""
        if not self._token:
            raise not_offered()
        given = credentials.parse(request.headers.get("Authorization", ""))
        shown = given.token if isinstance(given, Bearer) else ""
        if not secrets.compare_digest(shown.encode(errors="replace"), self._token.encode()):
            raise Denied(
                401,
                "metrics token",
                "Send the token of HELIOCHROME_GATEWAY_METRICS_TOKEN as Bearer.",
                "请以 Bearer 方式发送 HELIOCHROME_GATEWAY_METRICS_TOKEN 中的令牌。",
            )
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


METRICS: Final = web.AppKey("metrics", Metrics)
