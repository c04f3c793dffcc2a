"""Every error an operator can meet. Each says what was expected, what came, and what to do."""

from __future__ import annotations


class GatewayError(Exception):
    """Base of all errors whose message is written for a person."""


class BadSetting(GatewayError):
    """A setting is outside its range or of the wrong kind; the message names its variable."""


class BadAccount(GatewayError):
    """A user, a password or a token is not as it must be, is not there, or is there already."""


class StorageFailed(GatewayError):
    """A file of the gateway cannot be written or read, or is damaged."""


class CertificateFailed(GatewayError):
    """A TLS certificate or its key cannot be used."""


class Refused(GatewayError):
    """Not now. `retry_after_s`: when asking again makes sense."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LockedOut(Refused):
    """Too many wrong passwords, for this address or this account."""


class TooBusy(Refused):
    """More passwords wait to be checked than this machine is to hold in memory."""


class TooMany(Refused):
    """A user asks faster, or for more at once, than the settings allow."""
