"""The host's lists with only what is the user's own left in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .owned_files import SHARED

Owns = Callable[[object], bool]


def history(found: Any, owns: Owns) -> dict[str, Any]:
    """found: {run's id: entry}."""
    return {run_id: entry for run_id, entry in _object(found).items() if owns(run_id)}


def queue(found: Any, owns: Owns) -> dict[str, Any]:
    """found: lists of runs, each a list with the id in second place. Of others' runs the number
    stays: it is the user's place in the queue; nothing of what is in them."""
    kept: dict[str, Any] = {}
    for name in ("queue_running", "queue_pending"):
        items = _object(found).get(name)
        kept[name] = [
            item for item in (items if isinstance(items, list) else [])
            if isinstance(item, list) and len(item) > 1 and owns(item[1])
        ]  # fmt: skip
    return kept


def jobs(found: Any, owns: Owns, offset: int, limit: int | None) -> dict[str, Any]:
    """found: all jobs, so that pages are counted in the user's own."""
    items = _object(found).get("jobs")
    own = [
        item for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and owns(item.get("id"))
    ]  # fmt: skip
    page = own[offset:] if limit is None else own[offset : offset + limit]
    paging = {"offset": offset, "limit": limit, "total": len(own),
              "has_more": offset + len(page) < len(own)}  # fmt: skip
    return {"jobs": page, "pagination": paging}


def nodes(found: Any, allowed: Collection[str]) -> dict[str, Any]:
    """found: {node: what it takes}. Left are the nodes that may be used, and of the pictures in
    the input folder those that all may read."""
    kept = {name: node for name, node in _object(found).items() if name in allowed}
    for name in ("LoadImage", "LoadImageMask"):
        required = _object(_object(_object(kept.get(name)).get("input")).get("required"))
        image = required.get("image")
        if not isinstance(image, list) or not image:
            continue
        if isinstance(image[0], list):
            image[0] = sorted(SHARED & set(image[0]))
        if (
            len(image) > 1
            and isinstance(image[1], dict)
            and isinstance(image[1].get("options"), list)
        ):
            image[1]["options"] = sorted(SHARED & set(image[1]["options"]))
    return kept


def system(found: Any) -> dict[str, Any]:
    """found: about the machine. Not how the host was started: that names its folders."""
    kept = dict(_object(found))
    kept["system"] = {
        name: value for name, value in _object(kept.get("system")).items() if name != "argv"
    }
    return kept


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
