"""The face detector, on real photographs."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from heliochrome.core.errors import ChecksumMismatch
from heliochrome.core.faces import detector, find_faces
from heliochrome.core.lab import lightness
from portraits import astronaut, old_photograph


@pytest.fixture(scope="module")
def light():
    return lightness(astronaut())


def _overlap(face, box):
    """Intersection over union with (left, top, right, bottom)."""
    left, top = max(face.x, box[0]), max(face.y, box[1])
    right = min(face.x + face.width, box[2])
    bottom = min(face.y + face.height, box[3])
    both = max(right - left, 0) * max(bottom - top, 0)
    return both / (face.width * face.height + (box[2] - box[0]) * (box[3] - box[1]) - both)


ASTRONAUTS_FACE = (0.36, 0.12, 0.53, 0.37)  # drawn by hand, forehead to chin


def test_the_face_is_found_where_it_is(light):
    (face,) = find_faces(light)
    assert face.score > 0.7
    assert _overlap(face, ASTRONAUTS_FACE) > 0.6


@pytest.mark.parametrize("height", [160, 320, 900])
@pytest.mark.parametrize("squeezed", [0.8, 1.0, 1.3])
def test_size_and_shape_of_the_picture_do_not_matter(light, height, squeezed):
    shape = (round(height * squeezed), height)
    resized = np.clip(cv2.resize(light, shape), 0, 100)
    (face,) = find_faces(resized)
    assert _overlap(face, ASTRONAUTS_FACE) > 0.5


def test_a_dark_or_flat_print_keeps_its_face(light):
    for changed in (light * np.float32(0.5), 40 + light * np.float32(0.3)):
        (face,) = find_faces(changed)
        assert _overlap(face, ASTRONAUTS_FACE) > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_plain_grey_have_no_face(seed):
    rng = np.random.default_rng(seed)
    assert find_faces(rng.uniform(0, 100, (256, 320)).astype(np.float32)) == ()
    assert find_faces(np.full((32, 320), 20 + 30 * seed, np.float32)) == ()


@pytest.mark.parametrize(
    ("starts", "count"),
    [
        ("Audrey", 1),
        ("Einstein", 1),
        ("February 1936", 1),
        ("Helen Keller", 2),
        ("Louis Armstrong", 1),
        ("colorized-historical", 1),
        ("Ansel Adams", 0),
        ("Broadway", 0),
        ("Buffalo", 0),
        ("Detroit", 0),
        ("New York", 0),
    ],
)
def test_old_photographs(starts, count):
    assert len(find_faces(old_photograph(starts))) == count


def test_threads_get_the_same_faces_at_different_sizes(light):
    pictures = [light, light[:, :240], light[:256], np.ascontiguousarray(light[:, ::-1])]
    alone = [find_faces(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(find_faces, pictures * 2)) == alone * 2


def test_a_damaged_model_file_is_refused(light, monkeypatch, tmp_path):
    (tmp_path / "centerface.onnx").write_bytes(b"not the network")
    monkeypatch.setattr(detector, "files", lambda package: tmp_path)
    detector._model.cache_clear()
    try:
        with pytest.raises(ChecksumMismatch, match="Install heliochrome again"):
            find_faces(light)
    finally:
        detector._model.cache_clear()
