"""`heliochrome sd generate`: a picture from words, from a picture, or a photograph repaired."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .bars import part_bar
from .interrupt import answering_interrupt
from .output import say

if TYPE_CHECKING:
    from ..core.jobs import Cancel, Progress
    from ..core.photo import Photo
    from ..core.provenance import Provenance
    from ..core.store import ModelStore
    from ..diffusion import Engine, Generated, GenerationRequest

# Options that are fields of a request, with their type and placeholder.
_FIELDS: Final[dict[str, tuple[type, str, str]]] = {
    "negative_prompt": (str, "TEXT", "what the picture should not be"),
    "width": (int, "PIXELS", "default: the model's, or the image's"),
    "height": (int, "PIXELS", "default: the model's, or the image's"),
    "num_inference_steps": (int, "N", "more is slower and finer; default: the model's"),
    "guidance_scale": (float, "X", "how closely to follow the words; default: the model's"),
    "strength": (float, "X", "0 to 1: how far to leave the image; needs --image"),
    "seed": (int, "N", "the same number makes the same picture; default: drawn, and told"),
    "num_images_per_prompt": (int, "N", "several pictures, with the seeds after --seed"),
    "scheduler": (str, "NAME", "default: the model's own"),
}


@dataclass(frozen=True)
class _Result:
    """write: to a path, with the record; gives sentences on what the format cannot hold."""

    write: Callable[..., tuple[str, ...]]
    provenance: Provenance
    seed: int


@dataclass(frozen=True)
class _Job:
    """What a request is made with. sha256: of the model. prompts: whether to record them."""

    engine: Engine
    sha256: str
    prompts: bool
    progress: Progress
    cancel: Cancel

    def record(self, made: Sequence[Generated]) -> Provenance:
        from ..diffusion.record import record

        return record(
            made,
            device=self.engine.device,
            sha256=self.sha256,
            prompts=self.prompts,
        )


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "generate",
        help="make a picture, or repair a photograph",
        description="Make a picture from words; with --image from a picture; with --mask repaint "
        "only what is white there, in a photograph of any size.",
    )
    add = parser.add_argument
    add("prompt", metavar="PROMPT", help="what the picture should be")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="a new file, as cat.png")
    add("--model", metavar="MODEL", help="name or folder; default: the only one that is here")
    add("--image", type=Path, metavar="PICTURE", help="start from this picture")
    add("--mask", type=Path, metavar="PICTURE", help="white where --image is to be repainted")
    for name, (kind, placeholder, text) in _FIELDS.items():
        add(f"--{name.replace('_', '-')}", type=kind, metavar=placeholder, help=text)
    add("--device", default="CPU", help="CPU, GPU or NPU; default: %(default)s")
    add("--lora", type=Path, metavar="FILE", help="a LoRA, as .safetensors")
    add("--lora-alpha", type=float, metavar="X", help="how strongly it counts; default: 1")
    add(
        "--no-record-prompt",
        action="store_true",
        help="leave the words out of the file's record",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..core.errors import BadSetting
    from ..core.paths import from_user
    from ..core.photo import read_photo
    from ..core.store import ModelStore
    from ..diffusion import Lora, open_engine
    from ..diffusion.photo_repair import require_repair
    from ..diffusion.photos import colours, mask_of
    from ..diffusion.request import GenerationRequest
    from ..diffusion.sources import digest, resolve

    fields = {name: getattr(args, name) for name in _FIELDS if getattr(args, name) is not None}
    if args.mask is not None and args.image is None:
        raise BadSetting("--mask needs the picture that it belongs to: add --image PICTURE.")
    if args.strength is not None and args.image is None:
        raise BadSetting("--strength needs a picture to start from: add --image PICTURE.")
    if args.lora_alpha is not None and args.lora is None:
        raise BadSetting("--lora-alpha is of a LoRA: add --lora FILE.")
    photo = None
    if args.image is not None:
        photo = read_photo(from_user(args.image), keep_stored=args.mask is not None)
    mask = None if args.mask is None else mask_of(read_photo(from_user(args.mask)))
    request = GenerationRequest.from_mapping(
        {"prompt": args.prompt, **fields},
        image=None if photo is None else colours(photo),
        mask=mask,
    )
    if mask is not None:
        require_repair(request)
    targets = _targets(from_user(args.output), request.num_images_per_prompt, photo)
    store = ModelStore.from_environ()
    alpha = 1.0 if args.lora_alpha is None else args.lora_alpha
    loras = [] if args.lora is None else [Lora(from_user(args.lora), alpha)]
    with answering_interrupt() as cancel, part_bar() as progress:
        folder = resolve(store, args.model or _only_model(store), cancel=cancel)
        sha256 = digest(store, folder, cancel=cancel)
        engine = open_engine(
            folder, device=args.device, cache=store.cache, loras=loras, cancel=cancel
        )
        try:
            job = _Job(engine, sha256, not args.no_record_prompt, progress, cancel)
            if photo is None or mask is None:
                results, notices = _made(job, request, photo)
            else:
                results, notices = _repaired(job, request, photo)
        finally:
            engine.close()
    for target, result in zip(targets, results, strict=True):
        losses = result.write(target, provenance=result.provenance, allow_loss=True)
        say(f"{target} (seed {result.seed})")
        for sentence in (*(photo.notes if photo else ()), *notices, *losses):
            say(f"  note: {sentence}")
    return 0


def _targets(output: Path, number: int, photo: Photo | None) -> list[Path]:
    """Where the pictures go; told at once if one may not be written, not after minutes.

    Several are output-1, output-2, and so on. Raises BadImage, OutputExists, OutputFailed.
    """
    from ..core.errors import BadImage
    from ..core.photo import SUFFIXES, format_of_suffix, publish

    if format_of_suffix(output) is None:
        known = ", ".join(suffix for group in SUFFIXES.values() for suffix in group)
        raise BadImage(f"{output}: expected a name that ends in one of {known}.")
    targets = [output]
    if number > 1:
        targets = [output.with_stem(f"{output.stem}-{at + 1}") for at in range(number)]
    source = None if photo is None else photo.source
    for target in targets:
        publish.destination(target, source, overwrite=False)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise publish.failed(output, f"cannot make its folder: {error.strerror}") from error
    return targets


def _only_model(store: ModelStore) -> str:
    from ..core.errors import ModelNotFound
    from ..core.model_folders import listed
    from ..diffusion.sources import find_diffusion_models

    names = list(find_diffusion_models(store))
    if not names:
        raise ModelNotFound(
            f"no diffusion model is in {listed(store.folders)}. Get one with `heliochrome sd get`, "
            "or name a folder with --model."
        )
    if len(names) > 1:
        raise ModelNotFound(f"there are several models: add --model with {' or '.join(names)}.")
    return names[0]


def _made(
    job: _Job, request: GenerationRequest, photo: Photo | None
) -> tuple[list[_Result], Sequence[str]]:
    """Pictures from words, or from a picture."""
    from ..core.photo import Metadata, write_photo
    from ..core.provenance import handed_on
    from ..diffusion.photos import as_photo

    # What the picture was before it was varied: all of it may have been made up.
    metadata = Metadata(xmp=None if photo is None else handed_on(photo.metadata.xmp))
    made = job.engine.generate(request, progress=job.progress, cancel=job.cancel)
    results = []
    for at, seed in enumerate(made.seeds):
        one = replace(made, images=made.images[at : at + 1], seeds=(seed,))
        like = replace(as_photo(one.images[0]), metadata=metadata)
        write = partial(write_photo, pixels=like.pixels, like=like)
        results.append(_Result(write, _after(job.record([one]), photo), seed))
    return results, [notice.text for notice in made.notices]


def _repaired(
    job: _Job, request: GenerationRequest, photo: Photo
) -> tuple[list[_Result], Sequence[str]]:
    """The photograph, repainted where the mask says so."""
    from ..diffusion.photo_repair import repair_photo

    done = repair_photo(
        photo,
        request,
        job.engine,
        sha256=job.sha256,
        prompts=job.prompts,
        progress=job.progress,
        cancel=job.cancel,
    )
    result = _Result(done.write, _after(done.provenance, photo), done.seed)
    return [result], [notice.text for notice in done.notices]


def _after(provenance: Provenance, photo: Photo | None) -> Provenance:
    """The record, with that of the picture that it was made from."""
    from ..core.disk import hash_file
    from ..core.photo import result_record

    if photo is None or photo.source is None:
        return provenance
    return provenance.from_file(hash_file(photo.source), result_record(photo.source))
