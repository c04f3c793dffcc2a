"""`heliochrome models`: list, get, import and verify model files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..core.disk import human_bytes
from ..core.errors import BadSetting, HeliochromeError, ModelNotFound
from ..core.presets import DEFAULT_MODEL
from ..core.store import ModelStatus, ModelStore
from .bars import byte_bar
from .output import complain, say

OK: Final = 0
NOT_GOOD: Final = 1
FAILED: Final = 2

_STATES: Final = {
    "catalogue": "official",
    "first-use": "unchanged",
    "recorded": "recorded",
    "unknown": "unknown",
    "unchecked": "unchecked",
    "mismatch": "WRONG",
    "missing": "missing",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs; each sets `run`."""
    parser = subparsers.add_parser("models", help="list, get, import and verify model files")
    verbs = parser.add_subparsers(dest="verb", required=True)

    verb = verbs.add_parser("list", help="show every model and where it is")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_list)

    verb = verbs.add_parser("get", help="download models; an interrupted download goes on")
    verb.add_argument("ids", nargs="*", metavar="ID", help=f"for example {DEFAULT_MODEL}")
    verb.add_argument("--all", action="store_true", help="every model")
    verb.set_defaults(run=_get)

    verb = verbs.add_parser("import", help="copy a weights file you have into the store")
    verb.add_argument("id", metavar="ID", help=f"which model it is, for example {DEFAULT_MODEL}")
    verb.add_argument("file", metavar="FILE", type=Path, help="the weights file")
    verb.set_defaults(run=_import)

    verb = verbs.add_parser("verify", help="check the SHA-256 of models")
    verb.add_argument("ids", nargs="*", metavar="ID", help="default: every model that is here")
    verb.set_defaults(run=_verify)


def _list(args: argparse.Namespace) -> int:
    store = ModelStore.from_environ()
    models = store.status()
    if args.json:
        say(json.dumps([_as_json(model) for model in models], indent=2))
        return OK
    rows = [("ID", "MODEL", "SIZE", "LICENCE", "STATE", "PATH")]
    rows += [
        (
            model.spec.id,
            model.spec.title,
            "?" if model.size is None else human_bytes(model.size),
            model.spec.licence,
            _STATES[model.state],
            str(model.path or "-"),
        )
        for model in models
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
    for model in models:
        if model.advice:
            say(f"{model.spec.id} is {_STATES[model.state]}: {model.advice}")
    return OK


def _as_json(model: ModelStatus) -> dict[str, Any]:
    return {
        "id": model.spec.id,
        "title": model.spec.title,
        "licence": model.spec.licence,
        "size": model.size,
        "state": model.state,
        "path": str(model.path) if model.path else None,
        "advice": model.advice,
    }


def _get(args: argparse.Namespace) -> int:
    store = ModelStore.from_environ()
    ids = list(store.catalog.models) if args.all else args.ids
    if not ids:
        raise BadSetting(
            f"Name a model, such as `heliochrome models get {DEFAULT_MODEL}`, or --all."
        )
    for model_id in ids:
        store.catalog[model_id]  # a misspelt name is told before anything is downloaded
    missing = {model.spec.id for model in store.status() if model.path is None}
    failed = False
    for model_id in ids:
        try:
            if model_id in missing and not store.settings.offline:
                say(f"{model_id}: downloading to {store.download_folder()}")
            with byte_bar(model_id) as progress:
                path = store.get(model_id, progress)
        except HeliochromeError as error:
            complain(str(error))
            failed = True
            continue
        say(f"{model_id}: {path}")
        say(f"{model_id}: {store.check(model_id, path).text}")
    return FAILED if failed else OK


def _import(args: argparse.Namespace) -> int:
    store = ModelStore.from_environ()
    with byte_bar(args.id) as progress:
        path = store.import_file(args.file, args.id, progress)
    say(f"{args.id}: {path}")
    say(f"{args.id}: {store.check(args.id, path).text}")
    used = store.find(args.id)
    if used != path:
        say(
            f"{args.id}: {used} is found first and will be used; remove it to use the imported one."
        )
    return OK


def _verify(args: argparse.Namespace) -> int:
    store = ModelStore.from_environ()
    ids: Sequence[str] = args.ids or [
        model.spec.id for model in store.status() if model.path is not None
    ]
    if not ids:
        complain(f"No model is here yet. Get one with `heliochrome models get {DEFAULT_MODEL}`.")
        return NOT_GOOD
    good = True
    for model_id in ids:
        store.catalog[model_id]
    for model_id in ids:
        try:
            with byte_bar(model_id) as progress:
                outcome = store.verify(model_id, progress)
        except ModelNotFound as error:
            complain(str(error))
            good = False
            continue
        (say if outcome.ok else complain)(f"{model_id}: {outcome.text}")
        good = good and outcome.ok
    return OK if good else NOT_GOOD
