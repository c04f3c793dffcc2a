"""Addresses in object storage: s3://bucket/key and oss://bucket/key, and what lies below one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..core.errors import BadSetting, shown

SCHEMES: Final = ("s3", "oss")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_KEY: Final = 1024  # bytes of UTF-8, in S3 as in OSS


@dataclass(frozen=True)
class Place:
    """An object, or, where `key` is empty or ends in "/", everything below it.

    Raises BadSetting for a scheme, bucket name or key that no storage takes.
    """

    scheme: str
    bucket: str
    key: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise BadSetting(
                f"Expected an address like s3://bucket/key, got {shown(self.scheme)}://."
            )
        if not _BUCKET.fullmatch(self.bucket):
            raise BadSetting(
                f"{shown(self.bucket)} is not the name of a bucket: expected 3 to 63 small "
                "letters, digits, dots and hyphens."
            )
        encoded = self.key.encode(errors="surrogatepass")
        odd = any(part in (".", "..") for part in self.key.split("/")) or not self.key.isprintable()
        if odd or len(encoded) > _LONGEST_KEY or self.key.startswith("/") or "//" in self.key:
            raise BadSetting(
                f"{shown(self.key)} is not a key we take: expected at most {_LONGEST_KEY} bytes, "
                "without control characters and without empty, '.' or '..' parts."
            )

    @classmethod
    def parse(cls, address: str) -> Place:
        """s3://bucket/key -> Place. Nothing is decoded. Raises BadSetting."""
        scheme, mark, rest = address.partition("://")
        if not mark:
            raise BadSetting(f"Expected an address like s3://bucket/key, got {shown(address)}.")
        bucket, _, key = rest.partition("/")
        return cls(scheme, bucket, key)

    @classmethod
    def parse_folder(cls, address: str) -> Place:
        """As `parse`, for a prefix: a key gets its "/" at the end."""
        place = cls.parse(address)
        if place.key and not place.key.endswith("/"):
            return cls(place.scheme, place.bucket, place.key + "/")
        return place

    def holds(self, other: Place) -> bool:
        """Whether `other` is in this folder."""
        same = (self.scheme, self.bucket) == (other.scheme, other.bucket)
        return same and other.key.startswith(self.key)

    def below(self, name: str) -> Place:
        """An object in this folder."""
        return Place(self.scheme, self.bucket, self.key + name)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


def is_address(text: str) -> bool:
    """Whether this is written as an address, right or wrong."""
    return text.partition("://")[0] in SCHEMES and "://" in text
