"""The template that creates the instance, held to Alibaba's own package and to its promises."""

from __future__ import annotations

import copy
import json
import re
import shutil
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
from template_files import (
    DOCKER,
    HERE,
    PARAMETERS,
    RESOURCES,
    SCRIPT,
    TEMPLATE,
    everywhere,
    of_type,
)

from heliochrome_gateway.passwords import MAX_PASSWORD, MIN_PASSWORD, require_good

PSEUDO = {"ALIYUN::StackName"}

# --- Alibaba's own package, as an independent reader ---------------------------------------------


def peer(folder: Path, resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if not (HERE / "node_modules/@alicloud/ros-cdk-ecs").exists():
        pytest.skip("@alicloud/ros-cdk-ecs is missing: run `npm ci` in tests/marketplace")
    order = folder / "resources.json"
    order.write_text(json.dumps(resources), encoding="utf-8")
    done = subprocess.run(
        [shutil.which("node") or "node", "ros_peer.mjs", str(order), str(folder / "out")],
        cwd=HERE, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def with_values(node: Any, values: dict[str, Any]) -> Any:
    """With each parameter's value in place of its name. A disk's size is a text there."""
    if isinstance(node, dict):
        if set(node) == {"Ref"} and node["Ref"] in values:
            return values[node["Ref"]]
        found = {key: with_values(value, values) for key, value in node.items()}
        return found | ({"Size": str(found["Size"])} if isinstance(found.get("Size"), int) else {})
    return [with_values(item, values) for item in node] if isinstance(node, list) else node


def allowed(end: int) -> dict[str, Any]:
    """A value for each parameter: the first or the last that it takes."""
    examples = {"AllowedCidr": "203.0.113.7/32", "ZoneId": "cn-hangzhou-k", "Password": "a" * 10}
    examples |= {"InstanceType": "ecs.gn7i-c8g1.2xlarge"}
    bounds = ("MinValue", "MaxValue")
    return {
        name: about["AllowedValues"][end] if "AllowedValues" in about
        else about.get(bounds[end], about.get("Default", examples.get(name)))
        for name, about in PARAMETERS.items()
    }  # fmt: skip


def given(resources: dict[str, Any]) -> dict[str, Any]:
    return {n: {"Type": r["Type"], "Properties": r["Properties"]} for n, r in resources.items()}


def test_the_package_knows_every_property_and_takes_every_value(tmp_path: Path) -> None:
    named = given(RESOURCES)
    for end in (0, -1):
        named |= {
            f"{name}{end % 2}": with_values(item, allowed(end))
            for name, item in given(RESOURCES).items()
        }
    found = peer(tmp_path, named)
    for name, item in named.items():
        assert found[name]["errors"] == []
        # What it does not know it does not write.
        assert found[name]["rendered"] == item["Properties"], name


def test_every_attribute_asked_for_is_one_the_resource_has(tmp_path: Path) -> None:
    found = peer(tmp_path, given(RESOURCES))
    asked = [value for key, value in everywhere(TEMPLATE) if key == "Fn::GetAtt"]
    assert asked
    for resource, attribute in asked:
        assert attribute in found[resource]["attributes"]


MISTAKES = {
    "unknown": ("Machine", lambda p: p.update(HttpToken="required")),
    "unknown below": ("Machine", lambda p: p["DiskMappings"][0].update(Encrypt="true")),
    "kind": ("Machine", lambda p: p["DiskMappings"][0].update(Encrypted=True)),
    "missing": ("FirstStart", lambda p: p.pop("CommandContent")),
    "missing below": ("Machine", lambda p: p["DiskMappings"][0].pop("Size")),
    "range": ("SecurityGroup", lambda p: p["SecurityGroupIngress"][0].update(Priority=101)),
    "choice": ("Machine", lambda p: p.update(InternetChargeType="PayByHour")),
}


def test_the_package_finds_mistakes(tmp_path: Path) -> None:
    resources = {}
    for name, (where, mistake) in MISTAKES.items():
        resources[name] = copy.deepcopy(given(RESOURCES)[where])
        mistake(resources[name]["Properties"])
    resources["type"] = {"Type": "ALIYUN::ECS::Machine", "Properties": {}}
    found = peer(tmp_path, resources)
    missed = [
        name
        for name, said in found.items()
        if not said["errors"] and said["rendered"] == resources[name]["Properties"]
    ]
    assert missed == []


# --- The template by itself ----------------------------------------------------------------------


def test_everything_that_is_named_is_there_and_everything_there_is_named() -> None:
    refs = {value for key, value in everywhere(TEMPLATE) if key == "Ref"}
    assert refs <= {*PARAMETERS, *RESOURCES, *PSEUDO}
    # Parameters that only others depend on are shown in the form by their names.
    shown = set(re.findall(r"\$\{(\w+)\}", json.dumps(PARAMETERS)))
    assert shown <= set(PARAMETERS)
    assert set(PARAMETERS) <= refs
    conditions = [value[0] for key, value in everywhere(TEMPLATE) if key == "Fn::If"]
    conditions += [item["Condition"] for item in RESOURCES.values() if "Condition" in item]
    assert set(conditions) == set(TEMPLATE["Conditions"])
    for text, values in (value for key, value in everywhere(TEMPLATE) if key == "Fn::Sub"):
        assert set(re.findall(r"\$\{([^}]*)\}", text)) == set(values)


def test_every_parameter_is_asked_for_once_and_in_both_languages() -> None:
    groups = TEMPLATE["Metadata"]["ALIYUN::ROS::Interface"]["ParameterGroups"]
    listed = [name for group in groups for name in group["Parameters"]]
    assert sorted(listed) == sorted(PARAMETERS)
    texts = [about["Label"] for about in PARAMETERS.values()]
    texts += [group["Label"]["default"] for group in groups]
    texts += [value for key, value in everywhere(TEMPLATE) if key.endswith("Description")
              and isinstance(value, dict)]  # fmt: skip
    texts += [item["Label"] for item in TEMPLATE["Outputs"].values()]
    for text in texts:
        assert set(text) == {"en", "zh-cn"}, text
        assert text["en"] and re.search(r"[\u4e00-\u9fff]", text["zh-cn"])
        # A folded line within Chinese would leave a space there.
        assert not re.search(r"[\u4e00-\u9fff，。] [\u4e00-\u9fff，。]", text["zh-cn"])


def test_there_is_nothing_of_yaml_that_only_some_readers_know() -> None:
    written = (DOCKER / "marketplace/ros-template.yaml").read_text("utf-8")
    assert re.findall(r"(?m)(?:[:-] |^)[&*]\w+|<<:|!\w", written.replace(SCRIPT, "")) == []


def test_one_port_is_open_and_only_to_the_addresses_that_were_named() -> None:
    ((ingress,),) = [
        group["SecurityGroupIngress"] for group in of_type("ALIYUN::ECS::SecurityGroup")
    ]
    assert ingress["PortRange"] == "8443/8443"
    assert ingress["SourceCidrIp"] == {"Ref": "AllowedCidr"}
    assert ingress["IpProtocol"] == "tcp"
    kinds = {item["Type"] for item in RESOURCES.values()}
    assert "ALIYUN::ECS::SecurityGroupIngress" not in kinds


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0/0", "10.0.0.0/7", "1.2.3.4", "0.1.2.3/8", "1.2.3.256/32", "1.2.3.4/33", "1.2.3.4/0",
     "::/0", "1.2.3.4/32\n", "any", "", "1.2.3.4/32,0.0.0.0/0", "01.2.3.4/32"],
)  # fmt: skip
def test_addresses_that_are_everybody_or_none_are_refused(address: str) -> None:
    about = PARAMETERS["AllowedCidr"]
    assert "Default" not in about
    assert not re.fullmatch(about["AllowedPattern"], address)


@pytest.mark.parametrize("address", ["203.0.113.7/32", "10.0.0.0/8", "192.168.1.0/24", "1.2.3.4/9"])
def test_addresses_of_a_network_are_taken(address: str) -> None:
    assert re.fullmatch(PARAMETERS["AllowedCidr"]["AllowedPattern"], address)


def test_the_password_is_hidden_and_goes_nowhere_but_into_the_command() -> None:
    about = PARAMETERS["Password"]
    assert about["NoEcho"] is True and "Default" not in about
    holders = {
        name
        for name, item in {**RESOURCES, **TEMPLATE["Outputs"]}.items()
        if ("Ref", "Password") in [(k, v) for k, v in everywhere(item) if k == "Ref"]
    }
    assert holders == {"FirstStart"}
    assert RESOURCES["FirstStart"]["Properties"]["KeepCommand"] is False
    assert "UserData" not in dict(everywhere(TEMPLATE))


def test_the_password_is_one_that_the_gateway_takes_and_that_needs_no_quoting() -> None:
    about = PARAMETERS["Password"]
    assert MIN_PASSWORD <= about["MinLength"] <= about["MaxLength"] <= MAX_PASSWORD
    pattern = about["AllowedPattern"]
    taken = [sign for sign in map(chr, range(256)) if re.fullmatch(pattern, sign * 10)]
    assert {*string.ascii_letters, *string.digits} < set(taken)
    assert not {*"'\"\\$`!{}()<>|&;*?#", *string.whitespace} & set(taken)
    everything = "".join(taken)
    require_good(everything[: about["MaxLength"]], "admin")
    said = subprocess.run(["sh", "-c", f"echo '{everything}'"], capture_output=True, text=True)
    assert said.stdout == f"{everything}\n"
    for length, good in ((9, False), (10, True), (128, True), (129, False)):
        assert bool(re.fullmatch(pattern, "a" * length)) is good


def test_nobody_signs_in_to_the_system_and_the_metadata_asks_for_a_token() -> None:
    (machine,) = of_type("ALIYUN::ECS::InstanceGroup")
    assert not {"Password", "PasswordInherit", "KeyPairName", "RamRoleName", "UserData"} & set(
        machine
    )
    assert (machine["HttpEndpoint"], machine["HttpTokens"]) == ("enabled", "required")
    assert machine["MaxAmount"] == 1
    # The end of a subscription releases instance and disks, and no stack deletes one before.
    assert machine["InstanceChargeType"] == "PostPaid"
    metadata = PARAMETERS["InstanceType"]["AssociationPropertyMetadata"]
    assert metadata["InstanceChargeType"] == "PostPaid"
    (disk,) = machine["DiskMappings"]
    assert disk["Encrypted"] == "true"
