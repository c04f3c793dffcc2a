"""A request that is not let through: what a person reads, and what the record says of it."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from .login_page import language


class Denied(Exception):
    """rule: a short name for the record and for programs. en, zh: for a person, each saying
    what was expected, what came and what to do. recorded: worth a line in the record."""

    def __init__(self, status: int, rule: str, en: str, zh: str, *, recorded: bool = True) -> None:
        super().__init__(en)
        self.status, self.rule, self.en, self.zh = status, rule, en, zh
        self.recorded = recorded


def not_offered() -> Denied:
    """One answer for what is forbidden to all and for what does not exist: it tells nothing."""
    return Denied(
        404,
        "route",
        "The gateway does not offer this address. Start at the front page.",
        "网关不提供此地址。请从首页开始。",
    )


def not_found() -> Denied:
    """For what is somebody else's, and for what is nobody's: the two look alike."""
    return Denied(
        404,
        "ownership",
        "There is nothing of yours with this name. Choose one of your own photographs or runs.",
        "您没有这个名称的内容。请选择您自己的照片或任务。",
    )


def answer(request: web.Request, denied: Denied) -> web.Response:
    """In the form in which ComfyUI's own frontend expects errors, with `code` as the studio's API
    has it; plain text for a person."""
    spoken = language(request.headers.get("Accept-Language", ""))
    said = denied.zh if spoken == "zh" else denied.en
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language",
               "Content-Language": spoken}  # fmt: skip
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(text=f"{said}\n", status=denied.status, headers=headers)
    error = {
        "type": denied.rule, "code": denied.rule, "message": said, "details": "", "extra_info": {},
    }  # fmt: skip
    text = json.dumps({"error": error, "node_errors": {}}, ensure_ascii=False)
    return web.Response(
        text=text, status=denied.status, headers=headers, content_type=_JSON, charset="utf-8"
    )


_JSON: Final = "application/json"
