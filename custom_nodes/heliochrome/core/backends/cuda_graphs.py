"""CUDA graphs: a network's launches recorded once for each input shape, then replayed.

Never run by its author, who has no GPU. After PyTorch's notes "CUDA semantics: CUDA graphs".
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

_log = logging.getLogger("heliochrome")

# Each graph keeps its activations: at 1280 a gigabyte and more.
_MOST: Final = 2
_MOST_PIXELS: Final = 960 * 960  # larger pictures keep the GPU busy without
_WARM_UP: Final = 3


class GraphedNetwork:
    """Calls `net` by replaying a recording; eager for shapes that cannot be recorded.

    net: (1, 3, H, W) -> (1, 2, H, W) on a CUDA device, called under inference_mode.
    """

    def __init__(self, net: Callable[[Tensor], Tensor]) -> None:
        self._net = net
        self._graphs: OrderedDict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = (
            OrderedDict()
        )
        self._seen: set[tuple[int, ...]] = set()
        self._works = True

    def __call__(self, image: Tensor) -> Tensor:
        """The result is overwritten by the next call of the same shape: copy it."""
        shape = tuple(image.shape)
        if shape not in self._graphs and not self._worth_recording(shape):
            return self._net(image)
        if shape not in self._graphs and not self._recorded(image):
            self.clear()
            return self._net(image)
        self._graphs.move_to_end(shape)
        graph, source, result = self._graphs[shape]
        source.copy_(image)
        graph.replay()
        return result

    def clear(self) -> None:
        """Give the recordings' memory back."""
        self._graphs.clear()
        torch.cuda.empty_cache()

    def _worth_recording(self, shape: tuple[int, ...]) -> bool:
        """From the second picture of a shape on: a recording costs a few runs."""
        again = shape in self._seen
        self._seen.add(shape)
        return self._works and again and shape[2] * shape[3] <= _MOST_PIXELS

    def _recorded(self, image: Tensor) -> bool:
        """Whether recording worked. What a failed one held is free when this has returned."""
        try:
            self._record(image)
        except torch.OutOfMemoryError:
            return False
        except RuntimeError as error:
            _log.warning("CUDA graphs are not used, because recording failed: %s", error)
            self._works = False
            return False
        return True

    def _record(self, image: Tensor) -> None:
        while len(self._graphs) >= _MOST:
            self._graphs.popitem(last=False)
        source = image.clone(memory_format=torch.channels_last)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._net(source)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._net(source)
        self._graphs[tuple(image.shape)] = (graph, source, result)
