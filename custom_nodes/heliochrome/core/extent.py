"""Width and height as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """Size of a picture in pixels."""

    width: int
    height: int

    @classmethod
    def of(cls, array_shape: tuple[int, ...]) -> Extent:
        """From the shape of an (H, W, ...) array."""
        return cls(array_shape[1], array_shape[0])

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def fit(self, long_side: int, step: int) -> Extent:
        """Same aspect with the long side at most `long_side`, both sides multiples of `step`.

        The aspect moves by less than half a step on the short side; very long
        pictures keep one step of height.
        """
        longest = long_side // step * step
        scale = longest / max(self.width, self.height)

        def snap(side: int) -> int:
            return min(longest, max(step, round(side * scale / step) * step))

        return Extent(snap(self.width), snap(self.height))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"
