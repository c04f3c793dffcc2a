"""`heliochrome export`: a checkpoint as ONNX, beside it, for machines without PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.paths import from_user
from .output import complain, say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export",
        help="export a model to ONNX",
        description="Export a model to ONNX for the onnxruntime backend. Needs the torch extra.",
    )
    parser.add_argument("model", metavar="MODEL", help="model id or weights file")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: beside the weights, as .onnx"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an older export")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..core.export import export_onnx
    from ..core.store import ModelStore
    from ..core.weights_file import ONNX_SUFFIX, refuse_impostor

    store = ModelStore.from_environ()
    named = args.model in store.catalog.models
    weights = store.find(args.model) if named else from_user(args.model)
    refuse_impostor(weights, str(weights))
    target = from_user(args.output or weights.with_suffix(ONNX_SUFFIX))
    complain(f"exporting {weights} (about a minute for the large network)")
    say(str(export_onnx(weights, target, store.sha256(weights), overwrite=args.overwrite)))
    return 0
