"""Asking the handler core in this process, and looking at what it answers."""

from __future__ import annotations

import base64
import io
import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from heliochrome.core.photo import result_record
from heliochrome.core.provenance import Provenance
from heliochrome.handlers import HandlerRequest, HandlerResponse, handle
from heliochrome.handlers.service import Service

GOOD = {"prompt": "the cat", "seed": 7, "num_inference_steps": 2}


class Caller:
    """Calls `handle` with a service; `with_settings` changes some of the operator's."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def __call__(
        self, document: Any, *, deadline: float | None = None, **about: Any
    ) -> HandlerResponse:
        """document: bytes as they are, anything else as JSON."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        request = HandlerRequest(body=body, **about)
        return handle(request, deadline=deadline, service=lambda: self.service)

    def with_settings(self, **changes: Any) -> Caller:
        other = copy(self.service)
        other.settings = replace(self.service.settings, **changes)
        return Caller(other)


def picture_of(image: dict[str, Any]) -> bytes:
    return base64.b64decode(image["image"], validate=True)


def pixels_of(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as picture:
        return np.asarray(picture.convert("RGB"))


def pixels_in(response: HandlerResponse) -> list[list[int]]:
    """The values of every picture of a JSON answer; their files also tell the time."""
    assert response.status == 200, response.body
    images = response.document()["images"]
    return [pixels_of(picture_of(image)).ravel().tolist() for image in images]


def record_of(file: bytes, folder: Path) -> Provenance:
    path = folder / "picture"
    path.write_bytes(file)
    found = result_record(path)
    assert found is not None
    return found


def sample(side: int = 64, ending: str = ".png", seed: int = 0) -> bytes:
    """A soft colour picture as a file."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (8, 8, 3), np.uint8)
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    good, encoded = cv2.imencode(ending, large)
    assert good
    return encoded.tobytes()


def hole(side: int = 64) -> bytes:
    """A mask: the middle is repainted."""
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 255
    good, encoded = cv2.imencode(".png", mask)
    assert good
    return encoded.tobytes()


def wide(width: int) -> bytes:
    """A grey strip of 16 rows."""
    good, encoded = cv2.imencode(".png", np.full((16, width, 3), 90, np.uint8))
    assert good
    return encoded.tobytes()


def plain(value: int, side: int = 64) -> bytes:
    """A mask of one value."""
    good, encoded = cv2.imencode(".png", np.full((side, side), value, np.uint8))
    assert good
    return encoded.tobytes()


def base64_of(file: bytes) -> str:
    return base64.b64encode(file).decode()
