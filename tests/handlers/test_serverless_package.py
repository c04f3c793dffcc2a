"""serverless.yml as CloudFormation: what AWS would be asked for. Made by osls, never deployed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deployment import ENVIRONMENT, LAMBDA, serverless

OSLS = Path(__file__).parent / "osls" / "node_modules" / "osls" / "bin" / "serverless.js"


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's file."""
    node = shutil.which("node")
    if node is None or not OSLS.exists():
        pytest.skip("osls is missing: run `npm install` in tests/handlers/osls")
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(LAMBDA / "serverless.yml", folder)
    quiet = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}
    environ = {**quiet, **ENVIRONMENT, "PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        [node, OSLS, "package", "--stage", "prod"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / ".serverless" / "cloudformation-template-update-stack.json"


@pytest.fixture(scope="module")
def resources(packaged: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(packaged.read_text("utf-8"))["Resources"]
    return found


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def test_the_framework_adds_no_rights_of_its_own(resources: dict[str, dict[str, Any]]) -> None:
    ours = {name for name in serverless()["resources"]["Resources"] if name.endswith("Role")}
    assert {name for name, r in resources.items() if r["Type"].startswith("AWS::IAM::")} == ours
    functions = of_type(resources, "AWS::Lambda::Function").values()
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions]
    assert sorted(roles) == sorted(ours - {"ModelCopyRole"})


def test_only_the_bucket_may_call_and_the_address_asks_for_iam(
    resources: dict[str, dict[str, Any]],
) -> None:
    (permission,) = of_type(resources, "AWS::Lambda::Permission").values()
    assert permission["Principal"] == "s3.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert ENVIRONMENT["HELIOCHROME_BUCKET"] in json.dumps(permission["SourceArn"])
    (address,) = of_type(resources, "AWS::Lambda::Url").values()
    assert address["AuthType"] == "AWS_IAM"


def test_functions_run_the_named_image_bounded_and_with_their_models(
    resources: dict[str, dict[str, Any]],
) -> None:
    functions = of_type(resources, "AWS::Lambda::Function").values()
    assert len(functions) == 3
    for function in functions:
        assert function["Code"] == {"ImageUri": ENVIRONMENT["HELIOCHROME_IMAGE"]}
        assert function["ReservedConcurrentExecutions"] == 2
        (models,) = function["FileSystemConfigs"]
        assert models["Arn"] == {"Fn::GetAtt": ["ModelAccess", "Arn"]}
        assert len(function["VpcConfig"]["SubnetIds"]) == 2
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (invocation,) = of_type(resources, "AWS::Lambda::EventInvokeConfig").values()
    dead = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert invocation["DestinationConfig"]["OnFailure"]["Destination"] == dead


def test_photographs_and_models_outlive_the_service(resources: dict[str, dict[str, Any]]) -> None:
    for name in ("S3BucketPhotos", "ModelFiles"):
        assert resources[name]["DeletionPolicy"] == "Retain"


def test_cloudformation_would_accept_it(packaged: Path) -> None:
    """By the schemas of AWS's own linter."""
    linter = shutil.which("cfn-lint", path=Path(sys.executable).parent)
    if linter is None:
        pytest.skip("cfn-lint is missing: pip install cfn-lint")
    # W3005: the framework names a dependency that CloudFormation would find by itself.
    done = subprocess.run(
        [linter, "-r", "eu-central-1", "-i", "W3005", "-t", packaged],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
