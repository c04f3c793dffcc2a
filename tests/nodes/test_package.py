"""The pack can be imported where there is no host, no torch and no NumPy, and at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).parents[2] / "custom_nodes"
IMPORT_LIMIT_S = 0.3
PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
start = time.perf_counter()
import heliochrome
seconds = time.perf_counter() - start
found = {"modules": sorted(sys.modules), "web": heliochrome.WEB_DIRECTORY}
print(json.dumps({"seconds": seconds, **found}))
"""


def imported() -> dict:
    # -S: no site-packages at all, so nothing of them can be needed
    command = [sys.executable, "-S", "-c", PROGRAM, str(PACK)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_import_is_quick_and_light() -> None:
    found = min((imported() for _ in range(3)), key=lambda each: each["seconds"])
    assert found["seconds"] < IMPORT_LIMIT_S
    own = [name for name in found["modules"] if name.startswith("heliochrome")]
    assert own == ["heliochrome", "heliochrome.version"]
    assert not {"torch", "numpy", "cv2", "asyncio"} & set(found["modules"])


def test_the_command_line_is_read_without_opencv_or_a_runtime() -> None:
    program = "import sys; from heliochrome.cli import build_parser as b; b(); print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    heavy = {"cv2", "numba", "openvino", "openvino_genai", "onnxruntime", "torch"}
    assert not heavy & set(run.stdout.split())


def test_web_directory_is_there() -> None:
    assert (PACK / "heliochrome" / imported()["web"] / "js" / "heliochrome.js").is_file()
