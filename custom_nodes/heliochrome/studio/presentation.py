"""Photographs and jobs as the API shows them: openapi.json describes each field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..core.notices import Notice
from .jobs import Summary, summary_of
from .keeping import Keeping
from .records import STATES, Job, Made, Photo, state_of


def summary_json(job: Summary, keeping: Keeping) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": state_of(job.counts),
        "preset": job.order.preset,
        "preview": job.order.preview,
        "webhook": job.order.webhook,
        "created": _time(job.created),
        "expires": _time(keeping.until(job.over)) if job.over is not None else None,
        "counts": {state: job.counts[state] for state in STATES if job.counts.get(state)},
        "progress": round(job.progress, 3),
    }


def job_json(job: Job, positions: Mapping[str, int], keeping: Keeping) -> dict[str, Any]:
    """positions: `Queue.positions`."""
    photos = [photo_json(photo, positions) for photo in job.photos]
    return {**summary_json(summary_of(job), keeping), "photos": photos}


def photo_json(photo: Photo, positions: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": photo.id,
        "name": photo.name,
        "bytes": photo.bytes,
        "sha256": photo.sha256,
        "format": photo.format,
        "width": photo.width,
        "height": photo.height,
        "uploaded": _time(photo.uploaded),
        "job": photo.job,
        "state": photo.state,
        "progress": 1.0 if photo.state == "done" else round(photo.progress, 3),
        "position": positions.get(photo.id),
        "error": photo.failure and {"code": photo.failure.code, "message": photo.failure.text},
        "result": photo.made and made_json(photo.made),
    }


def made_json(made: Made) -> dict[str, Any]:
    return {
        "name": made.name,
        "bytes": made.bytes,
        "kind": made.kind,
        "model": made.model,
        "model_sha256": made.model_sha256,
        "network_extent": made.network_extent,
        "seconds": made.seconds,
        "notices": [_notice_json(notice) for notice in made.notices],
        "parameters": dict(made.parameters),
    }


def _notice_json(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "help": Notice(**told).help}


def _time(seconds: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
