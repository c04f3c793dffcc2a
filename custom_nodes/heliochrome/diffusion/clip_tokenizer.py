"""CLIP's tokenizer as an OpenVINO model, from its vocabulary and merges alone.

openvino_tokenizers makes the same from a transformers tokenizer; a test compares the two.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from ..core.errors import BackendUnavailable, BadWeights, ModelNotFound
from .layout import TOKENIZER, TOKENIZER_EXTRAS
from .runtime import reason

START, END = "<|startoftext|>", "<|endoftext|>"
_VOCABULARY, _MERGES = "vocab.json", "merges.txt"
_WORD_END: Final = "</w>"
# CLIP's own way to cut text into words (openai/CLIP, simple_tokenizer.py), after lower-casing.
_WORDS: Final = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def require_tokenizer(folder: Path) -> None:
    """Raise `ModelNotFound` unless `folder` holds what `put_tokenizer` needs."""
    if not _holds(folder, TOKENIZER) and not _holds(folder, (_VOCABULARY, _MERGES)):
        raise ModelNotFound(
            f"{folder} holds no tokenizer: {' and '.join(TOKENIZER)}, or CLIP's {_VOCABULARY} and "
            f"{_MERGES} expected. The old layout came without one; it is the tokenizer of "
            "openai/clip-vit-large-patch14."
        )


def put_tokenizer(source: Path, target: Path, length: int) -> None:
    """Bring the tokenizer in `source` to `target`, built from its vocabulary if it has to be.

    length: tokens of the text encoder, the two marks included. Raises `BadWeights`,
    `BackendUnavailable` (no openvino_tokenizers) and OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in (*TOKENIZER, *TOKENIZER_EXTRAS):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if not _holds(source, TOKENIZER):
        import openvino

        openvino.save_model(_built(source, length), target / TOKENIZER[0])


def last_token(folder: Path) -> int:
    """The number of the mark of the end, which is CLIP's last. Raises `BadWeights`."""
    import openvino_genai

    try:
        return int(openvino_genai.Tokenizer(folder).encode("a").input_ids.data.max())
    except RuntimeError as error:
        raise BadWeights(f"{folder / TOKENIZER[0]} cannot be run ({reason(error)}).") from error


def _holds(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() for name in names)


def _built(folder: Path, length: int) -> Any:
    """The tokenizer: text -> input_ids (B, n <= length) i64 and attention_mask."""
    vocabulary, merges = _vocabulary(folder / _VOCABULARY), _merges(folder / _MERGES)
    try:
        from openvino import Model, Type
        from openvino_tokenizers import tokenizer_pipeline as steps
        from openvino_tokenizers.utils import change_outputs_type
    except ImportError as error:
        raise BackendUnavailable(
            "openvino-tokenizers is not installed, which makes a tokenizer from its vocabulary: "
            "run `pip install 'heliochrome[diffusion]'`."
        ) from error
    marks = {mark: vocabulary.index(mark) for mark in (START, END)}
    pipeline = steps.TokenizerPipeline()
    pipeline.add_steps(
        [
            steps.SpecialTokensSplit.from_string_iter(marks),
            steps.NormalizeUnicode("NFC"),
            steps.RegexNormalizationStep(r"\s+", " "),
            steps.CaseFoldStep(),
            steps.RegexSplitStep(_WORDS, invert=True, behaviour="remove"),
            steps.RegexSplitStep.byte_level_splitter(),
            steps.BytesToCharsStep(),
            steps.BPETokenizationStep(
                vocabulary,
                merges,
                unk_token=END,
                end_suffix=_WORD_END,
                added_tokens=dict(marks),
            ),
            steps.TruncationStep(length - len(marks)),
            steps.CombineSegmentsStep(
                [
                    steps.AddToken(START, marks[START]),
                    steps.Sequence(),
                    steps.AddToken(END, marks[END]),
                ]
            ),
            steps.PaddingStep(END, marks[END], max_length=length),
        ]
    )
    pipeline.vocab = vocabulary
    graph = pipeline.get_tokenizer_ov_subgraph()
    model = Model(graph.outputs[:2], graph.get_parameters(), "tokenizer")
    model.add_sinks(graph.get_sinks())
    change_outputs_type(model, Type.i64)
    for port, name in zip(model.outputs, ("input_ids", "attention_mask"), strict=True):
        port.get_tensor().set_names({name})
    for name, mark in (("bos", START), ("eos", END), ("pad", END)):
        model.set_rt_info(marks[mark], f"{name}_token_id")
    return model


def _vocabulary(path: Path) -> list[str]:
    """The tokens in the order of their numbers."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = sorted(data, key=data.__getitem__)
        whole = sorted(data.values()) == list(range(len(data)))
    except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise BadWeights(f"{path} is not CLIP's vocabulary: {error}.") from error
    if not whole or not {START, END} <= set(found):
        raise BadWeights(
            f"{path} is not CLIP's vocabulary: every number from 0 on, {START} and {END} expected."
        )
    return found


def _merges(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise BadWeights(f"{path} is not a list of merges: {error}.") from error
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None or not pairs:
        raise BadWeights(f"{path} is not a list of merges: two tokens on each line expected.")
    return [(left, right) for left, right in pairs]
