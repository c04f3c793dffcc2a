"""Which addresses exist, for whom, and what is done with each: data, and deny by default."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from .identity import ROLES, Role
from .refusals import Denied, not_offered

COMFYUI: Final = "/comfyui"
# Where a connection stays: these are counted by themselves.
SOCKETS: Final = frozenset({f"{COMFYUI}/ws", f"{COMFYUI}/api/ws"})

# What is done with a request of ComfyUI's; "pass": it goes through as it came.
Handling = Literal[
    "pass", "prompt", "socket", "upload", "mask", "view", "history", "queue", "jobs", "job",
    "interrupt", "cancel", "cancel_many", "forget", "dequeue", "object_info", "system_stats",
    "settings", "settings_change",
    "userdata", "userdata_list", "userdata_move",
]  # fmt: skip

_ALL: Final = frozenset(ROLES)
_WORKING: Final[frozenset[Role]] = frozenset({"admin", "user"})
_READING: Final = frozenset({"GET", "HEAD"})
_STUDIO_METHODS: Final = _READING | {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Rule:
    """pattern: of a path below /comfyui, without its /api: {name} is one step, {name*} is all
    that follows. plain: only without /api, where newer hosts have something else."""

    methods: frozenset[str]
    pattern: str
    roles: frozenset[Role]
    handling: Handling
    plain: bool = False


@dataclass(frozen=True)
class Match:
    """path: as the host is asked. names: what the pattern's names stand for."""

    rule: Rule
    path: str
    names: dict[str, str]


def _rule(
    methods: str, pattern: str, roles: frozenset[Role] = _ALL, handling: Handling = "pass"
) -> Rule:
    return Rule(frozenset(methods.split()), pattern, roles, handling)


def _file(pattern: str) -> Rule:
    return Rule(_READING, pattern, _ALL, "pass", plain=True)


# Not here, so refused: /internal, /free, /users (POST), /view_metadata, /experiment, /assets of
# the API, /v2/userdata, /models, and whatever an added pack brings.
RULES: Final = (
    # The frontend's own files.
    _file("/"),
    _file("/user.css"),
    _file("/favicon.ico"),
    _file("/materialdesignicons.min.css"),
    *(
        _file(f"/{folder}/{{file*}}")
        for folder in ("assets", "cursor", "docs", "extensions", "fonts", "scripts", "templates")
    ),
    _rule("GET HEAD", "/workflow_templates/{file*}"),
    # What it reads to start.
    *(
        _rule("GET", f"/{name}")
        for name in ("embeddings", "extensions", "features", "global_subgraphs", "i18n",
                     "node_replacements", "prompt", "users", "workflow_templates")
    ),
    _rule("GET", "/settings", handling="settings"),
    _rule("GET", "/settings/{id}", handling="settings"),
    _rule("GET", "/global_subgraphs/{id}"),
    _rule("GET", "/object_info", handling="object_info"),
    _rule("GET", "/object_info/{node}", handling="object_info"),
    _rule("GET", "/system_stats", handling="system_stats"),
    _rule("GET", "/ws", handling="socket"),
    # What belongs to somebody.
    _rule("GET", "/history", handling="history"),
    _rule("GET", "/history/{job}", handling="history"),
    _rule("GET", "/queue", handling="queue"),
    _rule("GET", "/jobs", handling="jobs"),
    _rule("GET", "/jobs/{job}", handling="job"),
    _rule("GET HEAD", "/view", handling="view"),
    _rule("GET", "/userdata", handling="userdata_list"),
    _rule("GET", "/userdata/{file*}", handling="userdata"),
    # Work.
    _rule("POST", "/prompt", _WORKING, "prompt"),
    _rule("POST", "/upload/image", _WORKING, "upload"),
    _rule("POST", "/upload/mask", _WORKING, "mask"),
    _rule("POST", "/interrupt", _WORKING, "interrupt"),
    _rule("POST", "/jobs/cancel", _WORKING, "cancel_many"),
    _rule("POST", "/jobs/{job}/cancel", _WORKING, "cancel"),
    _rule("POST", "/queue", _WORKING, "dequeue"),
    _rule("POST", "/history", _WORKING, "forget"),
    _rule("POST", "/userdata/{file*}/move/{to*}", _WORKING, "userdata_move"),
    _rule("POST DELETE", "/userdata/{file*}", _WORKING, "userdata"),
    _rule("POST", "/settings", _WORKING, "settings_change"),
    _rule("POST", "/settings/{id}", _WORKING, "settings_change"),
)  # fmt: skip


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of a Rule, as a regular expression for the whole path."""
    parts = re.split(r"\{(\w+)(\*?)\}", pattern)
    text = ""
    for literal, name, star in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        text += re.escape(literal)
        if name:
            text += f"(?P<{name}>{'.+' if star else '[^/]+'})"
    return re.compile(text)


class Routes:
    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self._rules = [(compiled(rule.pattern), rule) for rule in rules]

    def match(self, method: str, path: str, role: Role) -> Match:
        """path: decoded, of the gateway, below /comfyui. Raises Denied.

        The host serves each address plainly and below /api; one rule is for both.
        """
        own = path.removeprefix(COMFYUI)
        bare = own.removeprefix("/api") if own.startswith("/api/") else own
        known = False
        for pattern, rule in self._rules:
            if not (found := pattern.fullmatch(own if rule.plain else bare)):
                continue
            known = True
            if method in rule.methods:
                if role not in rule.roles:
                    raise _not_for(role)
                return Match(rule, own, found.groupdict())
        if known:
            raise _other_method(method)
        raise not_offered()


def check_studio(method: str, role: Role) -> None:
    """The studio's addresses are its own matter; who may change something is not. Raises Denied."""
    if method not in _STUDIO_METHODS:
        raise _other_method(method)
    if method not in _READING and role not in _WORKING:
        raise _not_for(role)


def _not_for(role: Role) -> Denied:
    return Denied(
        403,
        "role",
        f"A {role} may not do this. Ask an administrator for another role.",
        "您的角色无权执行此操作。请联系管理员。",
    )


def _other_method(method: str) -> Denied:
    return Denied(
        405,
        "method",
        f"This address does not take {method}. See the documentation of the API.",
        f"此地址不接受 {method} 方法。请查阅 API 文档。",
    )
