from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from heliochrome.core.errors import BadSetting
from heliochrome.handlers import HandlerSettings
from heliochrome.handlers.places import Place
from heliochrome.handlers.refusals import STATUS
from heliochrome.handlers.request import safe_id
from heliochrome.handlers.settings import VARIABLES

MANUAL = Path(__file__).parents[2] / "help_docs"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HELIOCHROME_DIFFUSION_MODEL", "/mnt/models/sd", "diffusion_model", "/mnt/models/sd"),
        ("HELIOCHROME_DIFFUSION_MODEL", "", "diffusion_model", None),
        ("HELIOCHROME_DEVICE", "GPU", "device", "GPU"),
        ("HELIOCHROME_COLOR_BACKEND", "auto", "color_backend", "auto"),
        ("HELIOCHROME_DOWNLOAD", "1", "download", True),
        ("HELIOCHROME_LOG_CONTENT", "0", "log_content", False),
        (
            "HELIOCHROME_BUCKETS",
            "s3://one, oss://two/in",
            "buckets",
            (Place("s3", "one"), Place("oss", "two", "in/")),
        ),
        ("HELIOCHROME_OUTPUT", "s3://one/out/", "output", Place("s3", "one", "out/")),
        ("HELIOCHROME_OUTPUT_SECONDS", "60", "output_seconds", 60),
        ("HELIOCHROME_EVENT_SETTINGS", '{"preset": "auto"}', "event_settings", {"preset": "auto"}),
        ("HELIOCHROME_DEADLINE_MARGIN", "1.5", "deadline_margin_s", 1.5),
        ("HELIOCHROME_CACHE", "/mnt/cache", "cache", Path("/mnt/cache")),
    ],
)
def test_the_environment_is_read(variable: str, text: str, name: str, value: Any) -> None:
    found = HandlerSettings.from_environ({"HELIOCHROME_CACHE": "/tmp/x", variable: text})
    assert getattr(found, name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HELIOCHROME_COLOR_BACKEND", "openvinoo"),
        ("HELIOCHROME_DOWNLOAD", "yes"),
        ("HELIOCHROME_BUCKETS", "one"),
        ("HELIOCHROME_BUCKETS", "https://one/two"),
        ("HELIOCHROME_BUCKETS", "s3://ONE"),
        ("HELIOCHROME_OUTPUT", "s3://one/a//b"),
        ("HELIOCHROME_OUTPUT", "s3://one/../b"),
        ("HELIOCHROME_OUTPUT_SECONDS", "59"),
        ("HELIOCHROME_CACHE", "~nosuchuser/cache"),
        ("HELIOCHROME_OUTPUT_SECONDS", "604801"),
        ("HELIOCHROME_MAX_IMAGE_PIXELS", "-1"),
        ("HELIOCHROME_MAX_IMAGE_PIXELS", "1e6"),
        ("HELIOCHROME_MAX_IMAGE_PIXELS", "²"),
        ("HELIOCHROME_DEADLINE_MARGIN", "nan"),
        ("HELIOCHROME_DEADLINE_MARGIN", "two"),
        ("HELIOCHROME_EVENT_SETTINGS", "preset=auto"),
        ("HELIOCHROME_EVENT_SETTINGS", "[]"),
    ],
)
def test_what_cannot_be_read_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        HandlerSettings.from_environ({"HELIOCHROME_CACHE": "/tmp/x", variable: text})


def test_answers_never_become_new_photographs() -> None:
    given = {
        "HELIOCHROME_CACHE": "/tmp/x",
        "HELIOCHROME_EVENT_SOURCE": "s3://photos/in",
        "HELIOCHROME_EVENT_TARGET": "s3://photos/coloured",
    }
    HandlerSettings.from_environ({**given, "HELIOCHROME_OUTPUT": "s3://photos/results"})
    for output in ("s3://photos/in", "s3://photos/in/results"):
        with pytest.raises(BadSetting, match="HELIOCHROME_OUTPUT"):
            HandlerSettings.from_environ({**given, "HELIOCHROME_OUTPUT": output})


@pytest.mark.parametrize(
    ("source", "target", "good"),
    [
        ("s3://photos/in", "s3://photos/coloured", True),
        ("s3://photos/in", "s3://photos/in2", True),
        ("s3://photos", "s3://coloured", True),
        ("s3://photos/in", "s3://photos/in", False),
        ("s3://photos/in", "s3://photos/in/coloured", False),
        ("s3://photos/in/deep", "s3://photos/in", False),
        ("s3://photos", "s3://photos/coloured", False),
        ("s3://photos/in", None, False),
        (None, "s3://photos/in", False),
    ],
)
def test_results_never_become_new_photographs(
    source: str | None, target: str | None, good: bool
) -> None:
    given = {"HELIOCHROME_EVENT_SOURCE": source, "HELIOCHROME_EVENT_TARGET": target}
    environ = {"HELIOCHROME_CACHE": "/tmp/x"} | {k: v for k, v in given.items() if v}
    if good:
        HandlerSettings.from_environ(environ)
        return
    with pytest.raises(BadSetting, match="HELIOCHROME_EVENT_TARGET"):
        HandlerSettings.from_environ(environ)


def test_every_setting_has_its_variable() -> None:
    assert len(VARIABLES) == len(fields(HandlerSettings)) == len(set(VARIABLES))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_variable_and_every_code_is_documented(language: str) -> None:
    page = (MANUAL / language / "serverless.md").read_text(encoding="utf-8")
    assert [name for name in (*VARIABLES, *STATUS) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("8476a536-e9f4-11e8-9739-2dfe598c3fcd", True),
        ("1-64f6cd87-5bfd2e2e5a6d", True),
        ("../../etc", False),
        ("a/b", False),
        (".hidden", False),
        ("a\nb", False),
        ("a" * 129, False),
        ("", False),
        (None, False),
    ],
)
def test_an_identifier_is_safe_in_a_file_name(given: str | None, kept: bool) -> None:
    found = safe_id(given)
    assert (found == given) is kept
    assert "/" not in found and found


def test_where_the_users_cache_cannot_be_written_it_is_in_tmp() -> None:
    code = (
        "from heliochrome.handlers import HandlerSettings; "
        "print(HandlerSettings.from_environ().cache)"
    )
    environ = {"PATH": os.environ["PATH"], "HOME": "/proc/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "/tmp/heliochrome"


NOBODY = ("unshare", "--user", "--map-user=54321", "--map-group=54321")


@pytest.mark.skipif(
    subprocess.run([*NOBODY, "true"], capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="makes a user that is only a number: needs unshare and user namespaces",
)
@pytest.mark.parametrize("cache", [None, "~nobody9/cache"])
def test_a_user_without_a_home_and_a_name_is_served(
    cache: str | None, environ: dict[str, str]
) -> None:
    """As where a platform chooses the user: no HOME, and no entry in /etc/passwd."""
    code = (
        "from heliochrome.handlers import HandlerRequest, handle; "
        'body = b\'{"prompt": "a", "seed": 1, "num_inference_steps": 2}\'; '
        "print(handle(HandlerRequest(body=body)).code)"
    )
    given = {"PATH": os.environ["PATH"], **environ}
    del given["HELIOCHROME_CACHE"]
    if cache is not None:
        given["HELIOCHROME_CACHE"] = cache
    done = subprocess.run(
        [*NOBODY, sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ("None" if cache is None else "not_configured")


def test_importing_the_handlers_loads_no_runtime() -> None:
    code = (
        "import sys, heliochrome.handlers.aws; "
        "print([m for m in ('openvino', 'openvino_genai', 'torch', 'onnxruntime', 'obstore', "
        "'numba', 'pyvips') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
