"""How long photographs are kept once nobody works on them, and from when that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .settings import StudioSettings

# Whoever puts an older copy of the studio's folder back makes this file in it, or touches it.
RESTORED: Final = "restored"
_DAY_S: Final = 86_400.0


@dataclass(frozen=True)
class Keeping:
    """seconds: how long. since: as `time.time`; what was over before counts as over then, or a
    backup would lose its photographs a day after it was restored."""

    seconds: float
    since: float = 0.0

    @classmethod
    def of(cls, settings: StudioSettings) -> Keeping:
        mark = settings.folder / RESTORED
        since = mark.stat().st_mtime if mark.exists() else 0.0
        return cls(settings.keep_days * _DAY_S, since)

    def until(self, over: float) -> float:
        """Until when something is kept that was over then."""
        return max(over, self.since) + self.seconds

    def expired(self, now: float) -> float | None:
        """What was over before this has expired; None if nothing has."""
        before = now - self.seconds
        return before if before >= self.since else None
