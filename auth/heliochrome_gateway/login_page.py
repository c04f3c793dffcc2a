"""The sign-in page: one file without script, in the reader's language."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Final, Literal

from aiohttp import web

Language = Literal["en", "zh"]
Message = Literal["", "wrong", "locked", "busy", "stale", "unreadable", "broken"]
_LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


def language(accepted: str) -> Language:
    """The one of ours that Accept-Language (RFC 9110, 12.5.4) puts first; else English."""
    best: tuple[float, Language] = (0.0, "en")
    for item in accepted.split(","):
        tag, _, rest = item.strip().partition(";")
        weight = rest.strip().removeprefix("q=") or "1"
        try:
            quality = float(weight)
        except ValueError:
            continue
        for ours in _LANGUAGES:
            if tag.strip().lower().split("-")[0] == ours and quality > best[0]:
                best = (quality, ours)
    return best[1]


class LoginPage:
    """The page's parts, read once."""

    def __init__(self) -> None:
        pages = resources.files(__package__) / "pages"
        style = (pages / "login.css").read_text(encoding="utf-8")
        self._template = Template((pages / "login.html").read_text(encoding="utf-8"))
        self._style = style
        self._texts: dict[Language, Mapping[str, str]] = {
            name: json.loads((pages / f"{name}.json").read_text(encoding="utf-8"))
            for name in _LANGUAGES
        }
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # Nothing but this page's own style; it has no script, and shows in no frame.
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )

    def asking_again(self, path: str) -> web.Response:
        """A page that sends the browser to `path`, as coming from us."""
        shown = html.escape(path)
        return web.Response(
            text='<!doctype html><meta charset="utf-8"><title>Heliochrome</title>'
            f'<meta http-equiv="refresh" content="0;url={shown}"><a href="{shown}">Heliochrome</a>',
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": self._policy, "Cache-Control": "no-store"},
        )

    def response(
        self,
        request: web.Request,
        *,
        form: str,
        next_path: str,
        message: Message = "",
        name: str = "",
        status: int = 200,
        wait_s: float = 0.0,
    ) -> web.Response:
        """wait_s: for a message about waiting; also the answer's Retry-After."""
        spoken = language(request.headers.get("Accept-Language", ""))
        texts = self._texts[spoken]
        said = Template(texts[message]).substitute(wait=_waiting(texts, wait_s)) if message else ""
        fields = {
            **texts, "language": spoken, "form": form, "next": next_path, "name": name,
        }  # fmt: skip
        shown = {key: html.escape(value) for key, value in fields.items()}
        shown["message"] = f'<p class="message" role="alert">{html.escape(said)}</p>' * bool(said)
        shown["style"] = self._style
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-store",
                   "Vary": "Accept-Language, Cookie", "Content-Language": spoken}  # fmt: skip
        if wait_s:
            headers["Retry-After"] = str(math.ceil(wait_s))
        return web.Response(
            text=self._template.substitute(shown),
            status=status,
            content_type="text/html",
            charset="utf-8",
            headers=headers,
        )


def _waiting(texts: Mapping[str, str], seconds: float) -> str:
    unit, count = ("seconds", seconds) if seconds < 120 else ("minutes", seconds / 60)
    return Template(texts[unit]).substitute(count=math.ceil(count))
