"""Photographs in and out, with nothing lost on the way: the only door to image files."""

from __future__ import annotations

from .model import SUFFIXES, Metadata, Photo, PhotoFormat, default_suffix, format_of_suffix
from .read import MAX_PIXELS, Description, describe, inspect, read_photo, result_record
from .write import write_photo

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Description",
    "Metadata",
    "Photo",
    "PhotoFormat",
    "default_suffix",
    "describe",
    "format_of_suffix",
    "inspect",
    "read_photo",
    "result_record",
    "write_photo",
]
