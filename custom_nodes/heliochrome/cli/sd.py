"""`heliochrome sd`: Stable Diffusion on OpenVINO, and its models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.disk import human_bytes
from ..core.paths import from_user
from . import sd_generate
from .bars import byte_bar, part_bar
from .interrupt import answering_interrupt
from .output import complain, say

if TYPE_CHECKING:
    from ..core.store import ModelStore


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs; each sets `run`."""
    parser = subparsers.add_parser("sd", help="make and repair pictures with Stable Diffusion")
    verbs = parser.add_subparsers(dest="verb", required=True)
    sd_generate.register(verbs)

    verb = verbs.add_parser("list", help="show the diffusion models that are here")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_list)

    verb = verbs.add_parser("get", help="download a model; an interrupted download goes on")
    verb.add_argument("model", metavar="ADDRESS", help="https://, s3:// or oss:// of its folder")
    verb.add_argument(
        "--accept-change",
        action="store_true",
        help="take files that differ from those this address gave before",
    )
    verb.set_defaults(run=_get)

    verb = verbs.add_parser(
        "convert",
        help="convert a model of stable_diffusion.openvino",
        description="Convert the files of stable_diffusion.openvino (text_encoder, unet, "
        "vae_decoder and vae_encoder as .xml and .bin) and compare each with its original.",
    )
    verb.add_argument("folder", type=Path, metavar="FOLDER", help="where the old files are")
    verb.add_argument("target", type=Path, metavar="NEW_FOLDER", help="the model to be made")
    verb.add_argument(
        "--tokenizer",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="with vocab.json and merges.txt of openai/clip-vit-large-patch14, or with "
        "openvino_tokenizer.xml",
    )
    verb.set_defaults(run=_convert)

    verb = verbs.add_parser("compress", help="make a model with int8 weights")
    verb.add_argument("model", metavar="MODEL", help="name or folder of the model")
    verb.add_argument("target", type=Path, metavar="NEW_FOLDER", help="the model to be made")
    verb.set_defaults(run=_compress)


def _list(args: argparse.Namespace) -> int:
    from ..core.errors import HeliochromeError
    from ..core.model_folders import listed
    from ..core.store import ModelStore
    from ..diffusion.sources import find_diffusion_models

    store = ModelStore.from_environ()
    models: list[dict[str, Any]] = []
    for name, folder in find_diffusion_models(store).items():
        try:
            models.append({"name": name, **_told(store, folder), "path": str(folder)})
        except HeliochromeError as error:
            models.append({"name": name, "damaged": str(error), "path": str(folder)})
    if args.json:
        say(json.dumps(models, indent=2))
        return 0
    if not models:
        complain(f"No diffusion model is in {listed(store.folders)}. See `heliochrome sd get`.")
    for model in models:
        if "damaged" in model:
            complain(f"{model['name']}: {model['damaged']}")
            continue
        size, modes = human_bytes(model["bytes"]), ", ".join(model["modes"])
        say(f"{model['name']}  {model['pipeline']}  {model['pixels']}  {size}  {model['path']}")
        say(f"  {modes}; {model['origin'] or 'without a manifest'}")
    return 0


def _told(store: ModelStore, folder: Path) -> dict[str, Any]:
    from ..diffusion.layout import require_whole
    from ..diffusion.manifest import read_manifest
    from ..diffusion.model import read_model

    model, manifest = read_model(folder), read_manifest(folder)
    files = [folder / name for name in require_whole(folder).files]
    return {
        "pipeline": model.pipeline,
        "pixels": str(model.native),
        "modes": list(model.modes),
        "bytes": sum(path.stat().st_size for path in files if path.is_file()),
        "origin": manifest and manifest.origin,
    }


def _get(args: argparse.Namespace) -> int:
    from ..core.store import ModelStore
    from ..diffusion.sources import digest, resolve

    store = ModelStore.from_environ()
    with answering_interrupt() as cancel, byte_bar("sd") as progress:
        folder = resolve(
            store,
            args.model,
            progress=progress,
            cancel=cancel,
            download=True,
            accept_change=args.accept_change,
        )
    say(f"{folder.name}: {folder}")
    say(f"{folder.name}: SHA-256 of its manifest {digest(store, folder)}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from ..diffusion.legacy import convert

    source, target = from_user(args.folder), from_user(args.target)
    complain(f"converting {source} and comparing it with the original (some minutes)")
    with answering_interrupt() as cancel, part_bar() as progress:
        made = convert(
            source,
            target,
            tokenizer=from_user(args.tokenizer),
            progress=progress,
            cancel=cancel,
        )
    say(str(made.folder))
    what = "pictures from text and from pictures" if made.encoder else "pictures from text"
    say(f"{what}, always {made.native}; guidance_scale must be more than 1")
    for name, difference in made.differences.items():
        say(f"{name}: largest difference from the original {difference:.1e} of its largest value")
    return 0


def _compress(args: argparse.Namespace) -> int:
    from ..core.store import ModelStore
    from ..diffusion.compress import compress
    from ..diffusion.sources import resolve

    complain(f"compressing {args.model} (some minutes)")
    with answering_interrupt() as cancel, part_bar() as progress:
        source = resolve(ModelStore.from_environ(), args.model, cancel=cancel)
        made = compress(source, from_user(args.target), progress=progress, cancel=cancel)
    say(str(made.folder))
    say(f"{human_bytes(made.bytes_before)} -> {human_bytes(made.bytes_after)}")
    say(f"mean difference of the UNet's output on noise: {100 * made.unet_difference:.2f} %")
    return 0
