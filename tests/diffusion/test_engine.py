"""The engine makes what it is asked for, and the same again."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_diffusion_model import fixed_shapes

import tiny_diffusion
from heliochrome.core.errors import BackendUnavailable, BadSetting, ModelNotFound
from heliochrome.diffusion import SCHEDULERS, Engine, Generated, GenerationRequest, open_engine

DRAWS = np.random.RandomState(0)
PHOTO = DRAWS.rand(64, 64, 3).astype(np.float32)
HOLE = np.zeros((64, 64), np.float32)
HOLE[16:48, 16:48] = 1
PICTURES: dict[str, dict[str, Any]] = {
    "text-to-image": {},
    "image-to-image": {"image": PHOTO, "strength": 0.9},
    "inpaint": {"image": PHOTO, "mask": HOLE},
}


def ask(mode: str = "text-to-image", **fields: Any) -> GenerationRequest:
    few = {"prompt": "the cat", "seed": 5, "num_inference_steps": 3}
    return GenerationRequest(**(few | PICTURES[mode] | fields))


def same(one: Generated, other: Generated) -> bool:
    return np.array_equal(one.images, other.images)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("mode", PICTURES)
def test_every_mode_and_scheduler(mode: str, scheduler: str, engine: Engine) -> None:
    made = engine.generate(ask(mode, scheduler=scheduler))
    assert made.images.shape == (1, 64, 64, 3)
    assert made.images.dtype == np.float32
    assert 0 <= made.images.min() < made.images.max() <= 1
    assert made.images.std() > 0.02
    assert (made.model, made.seeds, made.notices) == ("tiny", (5,), ())
    assert same(made, engine.generate(ask(mode, scheduler=scheduler)))
    others = {name for name in SCHEDULERS if name != scheduler}
    for other in others:
        assert not same(made, engine.generate(ask(mode, scheduler=other)))


@pytest.mark.parametrize("mode", PICTURES)
@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "a dog"},
        {"seed": 6},
        {"guidance_scale": 3},
        {"guidance_scale": 1},
        {"num_inference_steps": 4},
        {"width": 128},
    ],
)
def test_every_field_counts(mode: str, change: dict[str, Any], engine: Engine) -> None:
    assert not same(engine.generate(ask(mode)), engine.generate(ask(mode, **change)))


def test_strength_and_the_pictures_count(engine: Engine) -> None:
    little = engine.generate(ask("image-to-image", strength=0.34))
    assert not same(little, engine.generate(ask("image-to-image", strength=1.0)))
    assert not same(little, engine.generate(ask("image-to-image", strength=0.34, image=1 - PHOTO)))
    inside, outside = HOLE > 0, HOLE == 0
    inside[8:56, 8:56] = True  # the decoder looks a little beyond
    kept = np.abs(
        engine.generate(ask("inpaint", seed=1)).images - engine.generate(ask("inpaint")).images
    )
    assert kept[0][HOLE > 0].mean() > 10 * kept[0][outside & ~inside].mean()


def test_what_was_left_out_is_filled_in(engine: Engine) -> None:
    made = engine.generate(GenerationRequest(prompt="the cat"))
    asked = made.request
    assert (asked.width, asked.height, asked.num_inference_steps) == (64, 64, 50)
    assert (asked.guidance_scale, asked.scheduler, asked.strength) == (7.5, "pndm", None)
    assert asked.seed is not None and made.seeds == (asked.seed,)
    assert same(made, engine.generate(asked))
    assert engine.generate(ask("image-to-image", strength=None)).request.strength == 0.8
    assert engine.generate(ask("inpaint")).request.strength == 1.0


def test_a_missing_seed_is_drawn_each_time(engine: Engine) -> None:
    drawn = {engine.generate(ask(seed=None)).seeds for _ in range(5)}
    assert len(drawn) == 5  # the runtime alone would take 42 each time


@pytest.mark.parametrize("mode", PICTURES)
def test_each_of_several_pictures_can_be_made_alone(mode: str, engine: Engine) -> None:
    made = engine.generate(ask(mode, seed=2**32 - 2, num_images_per_prompt=3))
    assert made.seeds == (2**32 - 2, 2**32 - 1, 0)
    assert len({image.tobytes() for image in made.images}) == 3
    for image, seed in zip(made.images, made.seeds, strict=True):
        assert np.array_equal(engine.generate(ask(mode, seed=seed)).images[0], image)


def test_the_result_is_the_callers_own(engine: Engine) -> None:
    made = engine.generate(ask())
    before = made.images.copy()
    engine.generate(ask(seed=6))
    assert np.array_equal(made.images, before)
    assert made.images.flags.owndata and made.images.flags.writeable


def test_parallel_requests_queue_and_each_is_as_if_alone(engine: Engine) -> None:
    asked = [
        ask(mode, seed=seed, width=width, scheduler=scheduler)
        for seed, (mode, width, scheduler) in enumerate(
            (mode, width, scheduler)
            for mode in PICTURES
            for width in (64, 128)
            for scheduler in ("pndm", "ddim")
        )
    ]
    alone = [engine.generate(one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(engine.generate, asked))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


def test_the_same_seed_is_the_same_in_another_process(tiny: Path, engine: Engine) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path\n"
        "from heliochrome.diffusion import GenerationRequest, open_engine\n"
        "made = open_engine(Path(sys.argv[1])).generate(GenerationRequest("
        "prompt='the cat', seed=5, num_inference_steps=3, scheduler='euler_ancestral'))\n"
        "print(hashlib.sha256(made.images.tobytes()).hexdigest())"
    )
    commands = [[sys.executable, "-c", code, str(tiny)]] * 2
    runs = [subprocess.run(one, capture_output=True, text=True, check=True) for one in commands]
    import hashlib

    here = engine.generate(ask(scheduler="euler_ancestral")).images.tobytes()
    assert {run.stdout.strip() for run in runs} == {hashlib.sha256(here).hexdigest()}


@pytest.mark.parametrize(
    ("picture", "asked", "size"),
    [
        ((64, 64), {}, (64, 64)),
        ((90, 130), {}, (128, 64)),
        ((20, 20), {}, (64, 64)),
        ((300, 20), {}, (64, 320)),
        ((100, 200), {"width": 128}, (128, 64)),
        ((100, 200), {"height": 128}, (256, 128)),
        ((100, 200), {"width": 64, "height": 128}, (64, 128)),
    ],
)
def test_a_picture_of_another_size_is_resized(
    picture: tuple[int, int], asked: dict[str, int], size: tuple[int, int], engine: Engine
) -> None:
    image = DRAWS.rand(*picture, 3).astype(np.float32)
    made = engine.generate(ask("inpaint", image=image, mask=np.ones((7, 9), np.float32), **asked))
    assert made.images.shape == (1, size[1], size[0], 3)
    told = [notice.code for notice in made.notices]
    assert told == ([] if picture == size[::-1] else ["diffusion-image-resized"])


@pytest.mark.parametrize("picture", [(3000, 4000), (20_000, 100)])
def test_a_huge_picture_is_brought_within_the_limits(
    picture: tuple[int, int], engine: Engine
) -> None:
    from heliochrome.diffusion.request import MAX_PIXELS, MAX_SIDE
    from heliochrome.diffusion.settle import settle

    huge = ask("image-to-image", image=np.zeros((*picture, 3), np.float32))
    extent = settle(huge, engine.model, lambda text: 3).extent
    assert extent.pixels <= MAX_PIXELS and max(extent.width, extent.height) <= MAX_SIDE
    assert extent.pixels > MAX_PIXELS * 0.9 or max(extent.width, extent.height) == MAX_SIDE


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ({"guidance_scale": 1}, False),
        ({"guidance_scale": 0.5}, False),
        ({"guidance_scale": 1.00000001}, False),  # 1 in the runtime's float32
        ({"guidance_scale": 1.5}, True),
    ],
)
def test_a_negative_prompt_needs_guidance(
    fields: dict[str, Any], used: bool, engine: Engine
) -> None:
    made = engine.generate(ask(negative_prompt="a dog", **fields))
    assert same(made, engine.generate(ask(**fields))) is not used
    codes = [notice.code for notice in made.notices]
    assert codes == ([] if used else ["diffusion-negative-unused"])


def test_a_latent_consistency_model(tmp_path: Path) -> None:
    engine = open_engine(tiny_diffusion.build(tmp_path / "lcm", kind="lcm"))
    for mode in PICTURES:
        asked = ask(mode, num_inference_steps=None, negative_prompt="a dog")
        made = engine.generate(asked)
        assert (made.request.num_inference_steps, made.request.scheduler) == (4, "lcm")
        assert [notice.code for notice in made.notices] == ["diffusion-negative-unused-lcm"]
        assert not same(made, engine.generate(replace(asked, guidance_scale=2)))
    engine.close()


def test_an_inpainting_model_only_repaints(tmp_path: Path) -> None:
    engine = open_engine(tiny_diffusion.build(tmp_path / "m", kind="inpaint"))
    made = engine.generate(ask("inpaint"))
    assert same(made, engine.generate(ask("inpaint")))
    for mode in ("text-to-image", "image-to-image"):
        with pytest.raises(BadSetting, match="only repaints"):
            engine.generate(ask(mode))
    engine.close()


def test_a_model_without_an_encoder_only_makes_pictures_from_text(tmp_path: Path) -> None:
    engine = open_engine(tiny_diffusion.build(tmp_path / "m", vae_encoder=False))
    engine.generate(ask())
    for mode in ("image-to-image", "inpaint"):
        with pytest.raises(BadSetting, match="no vae_encoder"):
            engine.generate(ask(mode))
    engine.close()


def test_sdxl_with_its_two_text_encoders(tmp_path: Path) -> None:
    engine = open_engine(tiny_diffusion.build(tmp_path / "m", kind="sdxl"))
    for mode in PICTURES:
        previews: list[Any] = []
        made = engine.generate(ask(mode), preview=lambda *seen, kept=previews: kept.append(seen))
        assert made.request.guidance_scale == 5
        assert same(made, engine.generate(ask(mode)))
        for change in ({"prompt": "a dog"}, {"negative_prompt": "a dog"}, {"guidance_scale": 2}):
            assert not same(made, engine.generate(ask(mode, **change)))
        assert not previews  # its latents are others
    engine.close()


def test_names_of_folders_may_be_in_any_script(tmp_path: Path, engine: Engine) -> None:
    there = open_engine(tiny_diffusion.build(tmp_path / "模型 ü x"), cache=tmp_path / "缓存")
    assert same(there.generate(ask()), engine.generate(ask()))
    assert list((tmp_path / "缓存").rglob("*.blob"))
    there.close()


def test_a_model_of_one_size(tmp_path: Path, engine: Engine) -> None:
    folder = tiny_diffusion.build(tmp_path / "m")
    fixed_shapes(folder)
    fixed = open_engine(folder)
    for mode in PICTURES:
        apart = fixed.generate(ask(mode)).images - engine.generate(ask(mode)).images
        assert np.abs(apart).max() < 1.5 / 255  # other kernels may round otherwise
    with pytest.raises(BadSetting, match="only makes pictures of 64x64"):
        fixed.generate(ask(width=128))
    with pytest.raises(BadSetting, match="more than 1"):
        fixed.generate(ask(guidance_scale=1))
    larger = ask("image-to-image", image=np.zeros((90, 200, 3), np.float32))
    assert fixed.generate(larger).images.shape == (1, 64, 64, 3)
    fixed.close()


@pytest.mark.parametrize(
    ("device", "error", "says"),
    [
        ("GPU", BackendUnavailable, "choose CPU"),
        ("NPU", BackendUnavailable, "choose CPU"),
        ("TPU", BadSetting, "CPU, GPU, NPU"),
        ("cpu", BadSetting, "CPU, GPU, NPU"),
    ],
)
def test_a_device_that_is_not_here(device: str, error: Any, says: str, tiny: Path) -> None:
    import openvino

    if device in openvino.Core().available_devices:
        pytest.skip(f"this machine has an {device}")
    with pytest.raises(error, match=says):
        open_engine(tiny, device=device)


def test_a_precision_the_processor_lacks(tiny: Path) -> None:
    with pytest.raises(BackendUnavailable, match="fp16"):
        open_engine(tiny, precision="fp16")


def test_compiled_models_are_kept_where_that_can_be_written(tiny: Path, tmp_path: Path) -> None:
    first = open_engine(tiny, cache=tmp_path / "cache")
    kept = sorted((tmp_path / "cache").rglob("*.blob"))
    assert kept
    second = open_engine(tiny, cache=tmp_path / "cache")
    assert sorted((tmp_path / "cache").rglob("*.blob")) == kept
    (tmp_path / "file").touch()
    third = open_engine(tiny, cache=tmp_path / "file" / "cache")
    made = [engine.generate(ask()) for engine in (first, second, third)]
    assert same(made[0], made[1]) and same(made[0], made[2])
    for engine in (first, second, third):
        engine.close()


def test_a_damaged_cache_is_done_without(tiny: Path, tmp_path: Path, engine: Engine) -> None:
    open_engine(tiny, cache=tmp_path).close()
    for blob in tmp_path.rglob("*.blob"):
        blob.write_bytes(b"damaged" * 100)
    again = open_engine(tiny, cache=tmp_path)
    assert same(again.generate(ask()), engine.generate(ask()))
    again.close()


def test_a_closed_engine_says_so(tiny: Path) -> None:
    engine = open_engine(tiny)
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="was closed"):
        engine.generate(ask())


def test_importing_loads_no_runtime() -> None:
    code = (
        "import sys, heliochrome.diffusion\n"
        "print([name for name in ('openvino', 'openvino_genai', 'torch') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise ModuleNotFoundError('No module named openvino_genai')", "is not installed"),
        ("raise ImportError('undefined symbol: x')", "cannot be loaded (undefined symbol: x)"),
    ],
)
def test_a_runtime_that_is_not_there_or_not_whole(
    module: str, says: str, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "openvino_genai.py").write_text(module)
    code = (
        "import sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from heliochrome.core.errors import BackendUnavailable\n"
        "from heliochrome.diffusion import open_engine\n"
        "try: open_engine(Path(sys.argv[1]))\n"
        "except BackendUnavailable as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tiny), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert says in run.stdout
    assert "heliochrome[diffusion]" in run.stdout


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        open_engine(tmp_path / "none")
