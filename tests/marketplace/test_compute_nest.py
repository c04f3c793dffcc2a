"""Compute Nest's file, held to what computenest-cli 1.9.17 reads (Apache-2.0).

It takes 482 MB with what it needs, so its facts are here and not the program; its own checks of
this file (`computenestcli.processor.check`) were run once, and passed.
"""

from __future__ import annotations

import re

from template_files import DOCKER, SERVICE, TEMPLATE, everywhere, of_type

from heliochrome.version import __version__

READ = {
    "Service": (
        "RegionId DeployType ServiceType ServiceInfo OperationMetadata DeployMetadata"
        " IsSupportOperated PolicyNames ShareType ApprovalType"
    ),
    "ServiceInfo": "Locale Name ShortDescription Image Softwares",
    "Softwares": "Name Version",
    "TemplateConfigs": (
        "Name Url ArchitectureDiagramUrl AllowedRegions OutputConfigs ServiceInstanceNameRule"
        " HiddenParameterKeys PredefinedParameters"
    ),
    "Artifact": "ArtifactType ArtifactName Description SupportRegionIds ArtifactProperty",
    "ArtifactProperty": "RegionId ImageId CommodityCode CommodityVersion",
}


def test_the_service_has_only_what_is_read() -> None:
    service, artifact = SERVICE["Service"], SERVICE["Artifact"]["EcsImage"]
    assert set(service) <= {*READ["Service"].split()}
    assert set(artifact) <= {*READ["Artifact"].split()}
    assert set(artifact["ArtifactProperty"]) <= {*READ["ArtifactProperty"].split()}
    for info in service["ServiceInfo"]:
        assert set(info) == {*READ["ServiceInfo"].split()}
        assert all(set(software) == {*READ["Softwares"].split()} for software in info["Softwares"])
    for config in service["DeployMetadata"]["TemplateConfigs"]:
        assert set(config) <= {*READ["TemplateConfigs"].split()}
    assert [info["Locale"] for info in service["ServiceInfo"]] == ["zh-CN", "en-US"]
    assert (service["DeployType"], service["ServiceType"]) == ("ros", "private")


def test_the_image_of_the_service_takes_the_place_of_the_templates() -> None:
    (machine,) = of_type("ALIYUN::ECS::InstanceGroup")
    metadata = SERVICE["Service"]["DeployMetadata"]
    (relation,) = metadata["SupplierDeployMetadata"]["ArtifactRelation"].items()
    assert relation == (
        machine["ImageId"],
        {"ArtifactId": "${Artifact.EcsImage.ArtifactId}", "ArtifactVersion": "draft"},
    )
    (config,) = metadata["TemplateConfigs"]
    assert config["Url"] == "ros-template.yaml"
    # computenest-cli refuses regions that the image is not for.
    assert set(config["AllowedRegions"]) <= set(SERVICE["Artifact"]["EcsImage"]["SupportRegionIds"])


def test_the_service_names_parameters_and_outputs_of_the_template() -> None:
    operations = SERVICE["Service"]["OperationMetadata"]
    (config,) = SERVICE["Service"]["DeployMetadata"]["TemplateConfigs"]
    named = [item["TemplateName"] for items in operations.values() for item in items]
    assert set(named) == {config["Name"]}
    # By default a group applies what was changed to new instances only, of which there is none.
    (machine,) = of_type("ALIYUN::ECS::InstanceGroup")
    assert "UpdatePolicy" not in machine and set(operations) == {"StatusOperationConfigs"}
    assert {item["OutputKey"] for item in config["OutputConfigs"]} <= set(TEMPLATE["Outputs"])


def test_the_seller_gets_no_right_in_the_buyers_account() -> None:
    service = SERVICE["Service"]
    assert service["IsSupportOperated"] is False
    names = {key for key, _ in everywhere(SERVICE)}
    assert not {"PolicyNames", "RoleName", "UserType", "OperationPolicies"} & names


def test_the_versions_are_those_of_the_programs() -> None:
    pinned = re.search(r"ComfyUI (\d+\.\d+\.\d+)", (DOCKER / "Dockerfile").read_text("utf-8"))
    assert pinned
    for info in SERVICE["Service"]["ServiceInfo"]:
        found = {software["Name"]: software["Version"] for software in info["Softwares"]}
        assert found == {"Heliochrome": __version__, "ComfyUI": pinned[1]}
