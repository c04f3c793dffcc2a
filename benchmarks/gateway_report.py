"""The page of the gateway's benchmark."""

from __future__ import annotations

import statistics
from typing import Any, Final

import machine

_MOST: Final = {
    "per_s": ("at least", 0.9), "p99_ms": ("at most", 1.5), "upload": ("at most", 1.2),
    "guessing": ("at most", 2.0), "none": ("", 0.0),
}  # fmt: skip


def ratios(these: list[Any], those: list[Any], key: str | None = None) -> list[float]:
    """Round by round."""
    pairs = zip(these, those, strict=True)
    return [(a[key] / b[key] if key else a / b) for a, b in pairs]


def as_page(report: dict[str, Any]) -> str:
    asked, sent, guessed = report["requests"], report["uploads"], report["guessing"]
    others = report["cores_busy_with_others"]
    guesses = statistics.median(row["guesses"] for row in guessed["guessed at"])
    alone, attacked = guessed["alone"], guessed["guessed at"]
    bars = [
        (f"{what}, {name}", ratios(rows, asked["nginx"], key), key)
        for key, what in (("per_s", "requests/s"), ("p99_ms", "p99"))
        for name, rows in asked.items()
        if name.startswith("gateway")
    ]
    bars += [
        ("200 MB upload", ratios(sent["gateway"], sent["nginx"]), "upload"),
        (
            "the same, nginx with a buffer of 256 kB",
            ratios(sent["gateway"], sent["nginx with a buffer of 256 kB"]),
            "none",
        ),
        (
            "200 MB picture for ComfyUI",
            ratios(sent["gateway, a picture for ComfyUI"], sent["nginx, the same"]),
            "none",
        ),
        ("median while others guess", ratios(attacked, alone, "p50_ms"), "guessing"),
        ("p99 while others guess", ratios(attacked, alone, "p99_ms"), "guessing"),
    ]
    lines = [
        f"{machine.named(report['machine'])}. Made by `make bench`. Other work kept "
        f"{others[0]:.1f} cores busy just before and {others[1]:.1f} just after.",
        "",
        "| ratio | median | rounds from, to | bar |",
        "| --- | ---: | ---: | --- |",
        *(_bar(what, found, _MOST[bar]) for what, found, bar in bars),
        "",
        "Requests and uploads are against nginx with one worker, as the gateway is one process; "
        "guessing is against the same user alone.",
        _python(report["python_built_with_pgo"]),
        "",
        "| wrk, 16 connections, 1 kB | requests/s | p50, ms | p99, ms | processor, us a request |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_wrk(name, rows) for name, rows in asked.items()),
        "",
        "| wrk, 1 connection | requests/s | p50, ms | p99, ms | processor, us a request |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_wrk(name, rows) for name, rows in guessed.items()),
        "",
        "| 200 MB upload | s | rounds from, to |",
        "| --- | ---: | ---: |",
        *(
            f"| {name} | {statistics.median(rows):.2f} | {min(rows):.2f}, {max(rows):.2f} |"
            for name, rows in sent.items()
        ),
        "",
        "Medians of the rounds. A picture is held back until the gateway has decoded all of it, so "
        "it takes longer and is held to no bar; nginx passes it on unseen. Guesses come over 64 "
        "connections as fast as they are answered, each from another address and for one of 2000 "
        f"names: {guesses:.0f} in a round. nginx has its usual buffers and no cache.",
    ]
    return "\n".join(lines) + "\n"


def _python(optimised: bool) -> str:
    if optimised:
        return "This Python was built with profile-guided optimisation, as Debian's is."
    return (
        "Debian's Python, like its nginx, is as users have it; the other one was built here "
        "without profile-guided optimisation."
    )


def _bar(what: str, found: list[float], bar: tuple[str, float]) -> str:
    word, limit = bar
    median = statistics.median(found)
    met = median >= limit if word == "at least" else median <= limit
    said = f"{word} {limit:g}: {'met' if met else 'not met'}" if word else ""
    return f"| {what} | {median:.2f} | {min(found):.2f}, {max(found):.2f} | {said} |"


def _wrk(name: str, rows: list[dict[str, float]]) -> str:
    found = [statistics.median(row[key] for row in rows)
             for key in ("per_s", "p50_ms", "p99_ms", "cpu_us")]  # fmt: skip
    return f"| {name} | {found[0]:.0f} | {found[1]:.2f} | {found[2]:.2f} | {found[3]:.0f} |"
