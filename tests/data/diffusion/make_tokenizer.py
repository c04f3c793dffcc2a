"""Makes the tokenizer fixture beside this file: tokenizer/. Run it in the environment of README.md.

A complete byte-level BPE in CLIP's shape: 256 bytes, the same 256 as ends of words, merges learnt
from the text below (ours), then the start and end tokens. Every text can be written with them;
common words of prompts take one to three tokens.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
MERGES = 250
TEXT = """
a photograph of a cat and a dog in the garden of an old house by the sea, the cat on the wall and
the dog under the tree. a portrait of a woman with a red hat, a portrait of an old man, a painting
of a castle on a hill in the evening light, oil on canvas, highly detailed. an old photograph of a
street in the rain, black and white, a torn photograph, repaired. the river, the mountain, the
forest and the blue sky over green fields. a small boat on a quiet lake, in colour. a portrait of
the child with the dog, soft light, blurry, low quality, watermark, text. the red house, the white
cat, the black dog, the green tree, the blue boat. a street of the old town in winter, snow on the
roof of the house.
"""


def byte_characters() -> list[str]:
    """The printable character that stands for each byte 0..255 (GPT-2's table, in its order)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + place) for place in range(len(rest))]


def learn(text: str, count: int) -> list[tuple[str, str]]:
    """The `count` merges that shorten the text most, found one after another."""
    words = Counter(re.findall(r"[a-z]+", text))
    parts = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, often in words.items():
            for pair in zip(parts[word], parts[word][1:], strict=False):
                pairs[pair] += often
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, pieces in parts.items():
            place = 0
            while place < len(pieces) - 1:
                if (pieces[place], pieces[place + 1]) == best:
                    pieces[place : place + 2] = ["".join(best)]
                place += 1
            parts[word] = pieces
    return merges


def write_bpe(folder: Path) -> None:
    """vocab.json and merges.txt, as CLIPTokenizer reads them."""
    merges = learn(TEXT, MERGES)
    characters = byte_characters()
    tokens = [*characters, *(c + "</w>" for c in characters), *map("".join, merges), BOS, EOS]
    assert len(tokens) == len(set(tokens))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    folder.joinpath("vocab.json").write_text(
        json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    folder.joinpath("merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def clip_tokenizer(folder: Path) -> Any:
    """transformers' CLIPTokenizer of vocab.json and merges.txt in `folder`."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        unk_token=EOS,
        model_max_length=LENGTH,
    )


def main() -> None:
    import openvino as ov
    import openvino_tokenizers

    target = Path(__file__).parent / "tokenizer"
    target.mkdir(exist_ok=True)
    write_bpe(target)
    there, back = openvino_tokenizers.convert_tokenizer(
        clip_tokenizer(target), with_detokenizer=True
    )
    ov.save_model(there, target / "openvino_tokenizer.xml")
    ov.save_model(back, target / "openvino_detokenizer.xml")


if __name__ == "__main__":
    main()
