"""serverless.yml and s.yaml keep their promises; read as files, never deployed here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from deployment import ENVIRONMENT, FC, LAMBDA, function_compute, listed, serverless

from heliochrome.core.store import ModelStore
from heliochrome.handlers.alibaba_fc import _PORT, LIMITS, PAYLOAD
from heliochrome.handlers.settings import VARIABLES, HandlerSettings

AWS = serverless()
FUNCTIONS: dict[str, dict[str, Any]] = AWS["functions"]
RESOURCES: dict[str, dict[str, Any]] = AWS["resources"]["Resources"]
FC_FUNCTIONS: dict[str, dict[str, Any]] = {
    name: service["props"] for name, service in function_compute()["resources"].items()
}
BUCKET = ENVIRONMENT["HELIOCHROME_BUCKET"]
STORE_VARIABLES = ("HELIOCHROME_MODELS",)

each = pytest.mark.parametrize("name", FUNCTIONS)
each_fc = pytest.mark.parametrize("name", FC_FUNCTIONS)


def statements(name: str) -> list[dict[str, Any]]:
    (policy,) = RESOURCES[FUNCTIONS[name]["role"]]["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def allowed(name: str) -> dict[str, list[Any]]:
    """Every action of the function's role and what it may be done to."""
    found: dict[str, list[Any]] = {}
    for statement in statements(name):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                found.setdefault(action, []).extend(listed(statement["Resource"]))
    return found


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: item for name, item in RESOURCES.items() if item["Type"] == kind}


def objects(below: str) -> tuple[str, str]:
    return ("Sub", f"arn:${{AWS::Partition}}:s3:::{BUCKET}/{below}*")


# --- AWS: who may do what --------------------------------------------------------------------

OWN_ACTIONS = {
    "web": {
        "s3:GetObject": [objects("in/"), objects("results/")],
        "s3:PutObject": [objects("results/")],
    },
    "queue": {
        "s3:GetObject": [objects("in/"), objects("results/")],
        "s3:PutObject": [objects("results/")],
        "sqs:ReceiveMessage": [("GetAtt", "Requests.Arn")],
        "sqs:DeleteMessage": [("GetAtt", "Requests.Arn")],
        "sqs:GetQueueAttributes": [("GetAtt", "Requests.Arn")],
    },
    "photos": {
        "s3:GetObject": [objects("in/"), objects("coloured/")],
        "s3:PutObject": [objects("coloured/")],
        "sqs:SendMessage": [("GetAtt", "DeadLetters.Arn")],
    },
}


@each
def test_a_role_holds_its_own_actions_on_its_own_things_and_no_others(name: str) -> None:
    common = ("logs:", "ec2:", "elasticfilesystem:")
    own = {k: v for k, v in allowed(name).items() if not k.startswith(common)}
    assert own == OWN_ACTIONS[name]


@each
def test_no_action_is_a_wildcard_and_no_resource_is_everything(name: str) -> None:
    found = allowed(name)
    assert [action for action in found if "*" in action] == []
    everything = [action for action, resources in found.items() if "*" in resources]
    assert everything == ["ec2:DescribeNetworkInterfaces"]  # EC2 takes nothing narrower


@each
def test_models_are_mounted_through_the_access_point_and_only_read(name: str) -> None:
    assert "elasticfilesystem:ClientWrite" not in allowed(name)
    (mount,) = (
        item for item in statements(name) if "elasticfilesystem:ClientMount" in item["Action"]
    )
    assert mount["Condition"]["StringEquals"] == {
        "elasticfilesystem:AccessPointArn": ("GetAtt", "ModelAccess.Arn")
    }


@each
def test_a_role_writes_its_own_log_and_leaves_the_network_to_lambda(name: str) -> None:
    function = f"heliochrome-prod-{name}"
    (log,) = allowed(name)["logs:PutLogEvents"]
    assert log[1].endswith(f":log-group:/aws/lambda/{function}:*")
    (deny,) = (item for item in statements(name) if item["Effect"] == "Deny")
    assert deny["Action"] == ["ec2:*"]
    (arn,) = deny["Condition"]["ArnEquals"].values()
    assert arn[1].endswith(f":function:{function}")


def test_every_function_has_a_role_of_its_own() -> None:
    assert len({function["role"] for function in FUNCTIONS.values()}) == len(FUNCTIONS)
    roles = {f["role"] for f in FUNCTIONS.values()}
    assert set(of_type("AWS::IAM::Role")) == roles | {"ModelCopyRole"}
    assert set(AWS["provider"]) & {"iam", "iamRoleStatements", "role"} == set()


def test_models_can_be_copied_there_by_datasync_alone() -> None:
    role = RESOURCES["ModelCopyRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "datasync.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ("Ref", "AWS::AccountId")}}
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    (mount,) = (
        item for item in statements("web") if "elasticfilesystem:ClientMount" in item["Action"]
    )
    write = {"Action": [*mount["Action"], "elasticfilesystem:ClientWrite"]}
    assert statement == {**mount, **write}
    assert AWS["resources"]["Outputs"]["ModelCopyRole"]["Value"] == ("GetAtt", "ModelCopyRole.Arn")


def test_somebody_is_told_of_what_failed_in_the_end() -> None:
    (alarm,) = of_type("AWS::CloudWatch::Alarm").values()
    about = alarm["Properties"]
    assert (about["Namespace"], about["MetricName"]) == (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
    )
    (queue,) = about["Dimensions"]
    assert queue["Value"] == ("GetAtt", "DeadLetters.QueueName")
    assert (about["Threshold"], about["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert about["AlarmActions"] == [("Ref", "Alarms")]
    assert "Alarms" in of_type("AWS::SNS::Topic")
    assert AWS["resources"]["Outputs"]["AlarmTopic"]["Value"] == ("Ref", "Alarms")


@pytest.mark.parametrize("resource", RESOURCES)
def test_no_resource_policy_opens_anything_to_the_public(resource: str) -> None:
    def look(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("Effect") == "Allow" and "*" in str(node.get("Principal", "")):
                # The gateway endpoint's policy only narrows what the roles may do.
                assert RESOURCES[resource]["Type"] == "AWS::EC2::VPCEndpoint"
                assert node["Resource"] == objects("")
            for item in node.values():
                look(item)
        elif isinstance(node, list | tuple):
            for item in node:
                look(item)

    look(RESOURCES[resource])


# --- AWS: what is exposed, bounded, and kept -----------------------------------------------------


def test_the_address_answers_only_signed_requests() -> None:
    assert FUNCTIONS["web"]["url"] == {"authorizer": "aws_iam"}
    assert [name for name, function in FUNCTIONS.items() if "url" in function] == ["web"]
    events = {next(iter(e)) for f in FUNCTIONS.values() for e in f.get("events", ())}
    assert events == {"sqs", "s3"}  # no httpApi, http, alb ...


def test_the_bucket_is_closed_encrypted_and_keeps_what_is_replaced() -> None:
    bucket = AWS["provider"]["s3"]["photos"]
    assert bucket["name"] == BUCKET
    assert len(bucket["publicAccessBlockConfiguration"]) == 4
    assert all(bucket["publicAccessBlockConfiguration"].values())
    assert bucket["bucketEncryption"]
    assert bucket["versioningConfiguration"] == {"Status": "Enabled"}
    (expiry,) = bucket["lifecycleConfiguration"]["Rules"]
    assert expiry["Prefix"] == "results/", "photographs must never expire"


def test_the_network_has_no_way_out_but_the_bucket() -> None:
    kinds = {item["Type"] for item in RESOURCES.values()}
    ways_out = ("InternetGateway", "NatGateway", "TransitGateway", "EgressOnly", "Peering")
    assert [kind for kind in kinds if any(way in kind for way in ways_out)] == []
    (door,) = of_type("AWS::EC2::VPCEndpoint").values()
    assert door["Properties"]["VpcEndpointType"] == "Gateway"
    for function in FUNCTIONS.values():
        assert function["vpc"]["subnetIds"] == [("Ref", "SubnetA"), ("Ref", "SubnetB")]


@each
def test_what_a_function_can_cost_is_bounded(name: str) -> None:
    function = FUNCTIONS[name]
    assert 1 <= function["reservedConcurrency"] <= 10
    assert function["timeout"] <= 900
    for event in function.get("events", ()):
        if "sqs" in event:  # more would be throttled, and throttled messages count as received
            assert event["sqs"]["maximumConcurrency"] <= function["reservedConcurrency"]


def test_messages_that_fail_are_tried_again_one_by_one_and_then_kept() -> None:
    ((sqs,),) = (event.values() for event in FUNCTIONS["queue"]["events"])
    assert sqs["functionResponseType"] == "ReportBatchItemFailures"
    assert sqs["arn"] == ("GetAtt", "Requests.Arn")
    queue = RESOURCES["Requests"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS["queue"]["timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == ("GetAtt", "DeadLetters.Arn")
    dead = RESOURCES["DeadLetters"]["Properties"]
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert all(q["Properties"]["SqsManagedSseEnabled"] for q in of_type("AWS::SQS::Queue").values())


def test_photographs_that_fail_are_kept_too() -> None:
    photos = FUNCTIONS["photos"]
    assert photos["destinations"]["onFailure"]["arn"] == ("GetAtt", "DeadLetters.Arn")
    ((s3,),) = (event.values() for event in photos["events"])
    source = photos["environment"]["HELIOCHROME_EVENT_SOURCE"]
    assert source == f"s3://{BUCKET}/{s3['rules'][0]['prefix']}"


def test_logs_end_models_are_kept_and_the_image_is_the_one_that_was_named() -> None:
    assert AWS["provider"]["logRetentionInDays"] <= 30
    written = (LAMBDA / "serverless.yml").read_text("utf-8")
    assert re.findall(r"^ +(?:uri|image): (\S+)", written, re.M) == ["${env:HELIOCHROME_IMAGE}"]
    assert RESOURCES["ModelFiles"]["Properties"]["Encrypted"] is True
    assert RESOURCES["ModelFiles"]["DeletionPolicy"] == "Retain"


# --- Both: the environment is one that the handlers understand ------------------------------------


def environment(declared: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in declared.items()}


def require_understood(environ: dict[str, str]) -> HandlerSettings:
    ours = [name for name in environ if name.startswith("HELIOCHROME_")]
    assert [name for name in ours if name not in (*VARIABLES, *STORE_VARIABLES)] == []
    assert ModelStore.from_environ(environ).folders[0] == Path("/mnt/models")
    return HandlerSettings.from_environ(environ)


@each
def test_aws_environment_is_understood(name: str) -> None:
    environ = environment({**AWS["provider"]["environment"], **FUNCTIONS[name]["environment"]})
    settings = require_understood(environ)
    assert environ["HELIOCHROME_MODELS"] == FUNCTIONS[name]["fileSystemConfig"]["localMountPath"]
    assert (settings.event_source is not None) == (name == "photos")
    assert (settings.output is not None) == (name != "photos")


@each_fc
def test_fc_environment_is_understood(name: str) -> None:
    function = FC_FUNCTIONS[name]
    environ = environment(function["environmentVariables"])
    settings = require_understood(environ | {name: str(most) for name, most in LIMITS.items()})
    (mount,) = function["nasConfig"]["mountPoints"]
    assert mount["mountDir"] == environ["HELIOCHROME_MODELS"]
    assert environ["OSS_REGION"] == function["region"]
    if name == "web":
        assert settings.max_request_bytes == PAYLOAD
        assert PAYLOAD / 2 < settings.max_response_bytes < PAYLOAD
    else:
        assert settings.event_source is not None


# --- Function Compute ----------------------------------------------------------------------------


@each_fc
def test_fc_is_bounded_and_one_picture_at_a_time(name: str) -> None:
    function = FC_FUNCTIONS[name]
    assert function["instanceConcurrency"] == 1
    assert 1 <= function["concurrencyConfig"]["reservedConcurrency"] <= 10
    assert 1 <= function["memorySize"] / 1024 / function["cpu"] <= 4  # Alibaba's rule
    assert function["customContainerConfig"]["port"] == _PORT


def test_fc_answers_only_signed_requests() -> None:
    triggers = [item for function in FC_FUNCTIONS.values() for item in function["triggers"]]
    http = [item["triggerConfig"] for item in triggers if item["triggerType"] == "http"]
    assert [item["authType"] for item in http] == ["function"]


def test_fc_is_told_of_photographs_below_the_source_only_and_keeps_failures() -> None:
    photos = FC_FUNCTIONS["photos"]
    (trigger,) = photos["triggers"]
    prefix = trigger["triggerConfig"]["filter"]["key"]["prefix"]
    source = photos["environmentVariables"]["HELIOCHROME_EVENT_SOURCE"]
    assert source == f"oss://{BUCKET}/{prefix}"
    assert all(e.startswith("oss:ObjectCreated:") for e in trigger["triggerConfig"]["events"])
    destination = photos["asyncInvokeConfig"]["destinationConfig"]["onFailure"]["destination"]
    policy = (FC / "policies/heliochrome-photos.json").read_text("utf-8")
    assert re.sub(r"^.*?:/queues", ":/queues", destination) in policy


FC_OWN_ACTIONS = {
    "web": {"oss:GetObject": ["in/*", "results/*"], "oss:PutObject": ["results/*"]},
    "photos": {
        "oss:GetObject": ["in/*", "coloured/*"],
        "oss:PutObject": ["coloured/*"],
        "oss:ListObjects": [""],  # of the bucket, without which OSS may hide what is there
    },
}


@each_fc
def test_fc_role_has_a_policy_with_its_own_actions(name: str) -> None:
    role = FC_FUNCTIONS[name]["role"].rpartition("/")[2]
    policy = json.loads((FC / f"policies/{role}.json").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            assert "*" not in action
            found.setdefault(action, []).extend(statement["Resource"])
    assert "*" not in [resource for resources in found.values() for resource in resources]
    oss = {k: [r.partition("BUCKET/")[2] for r in v] for k, v in found.items() if "oss:" in k}
    assert oss == FC_OWN_ACTIONS[name]


def test_files_are_where_the_comments_and_commands_say() -> None:
    assert (LAMBDA / "Dockerfile").is_file()
    assert "docker/lambda/Dockerfile" in (FC / "s.yaml").read_text("utf-8")
