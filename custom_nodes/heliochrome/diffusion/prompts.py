"""Prompts that are longer than the model reads: shortened by whole words."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

# Chinese and Japanese have no spaces: there each character may be the last.
_ALONE: Final = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_MARKS: Final = 2  # tokens for the start and the end
_WORD: Final = re.compile(f"[{_ALONE}]|[^\\s{_ALONE}]+")

TokenCount = Callable[[str], int]


def shorten(prompt: str, limit: int, count: TokenCount) -> tuple[str, str]:
    """Split a prompt into what fits into `limit` tokens and what does not ("" if all does).

    The cut is after a whole word, or after a character of a first word that is too long alone.
    count: tokens of a text with the marks of its start and its end. Without this the tokens
    beyond the limit would be cut off with the mark of the end, which the model needs.
    """
    # No tokenizer makes more tokens of plain letters than there are; others may be taken apart.
    if (prompt.isascii() and len(prompt) + _MARKS <= limit) or count(prompt) <= limit:
        return prompt, ""
    ends = [word.end() for word in _WORD.finditer(prompt)]
    if not ends or count(prompt[: ends[0]]) > limit:
        ends = list(range(1, len(prompt) + 1))
    fits, too_long = 0, len(ends)  # number of words
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if count(prompt[: ends[middle - 1]]) <= limit:
            fits = middle
        else:
            too_long = middle
    cut = ends[fits - 1] if fits else 0
    return prompt[:cut].rstrip(), prompt[cut:].strip()


def token_counter(tokenizers: Sequence[Path]) -> TokenCount:
    """Counts tokens as the model's tokenizers do; the most, where it has two.

    They are opened at the first call, as most prompts are short enough without counting. That
    raises RuntimeError if OpenVINO GenAI cannot open one of the folders. For several threads.
    """
    opened: list[Any] = []
    opening = threading.Lock()

    def count(text: str) -> int:
        import openvino_genai

        with opening:
            if not opened:
                opened.extend([openvino_genai.Tokenizer(folder) for folder in tokenizers])
        return max(int(one.encode(text).input_ids.shape[1]) for one in opened)

    return count
