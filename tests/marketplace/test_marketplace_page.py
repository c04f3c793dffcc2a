"""The manual's page on the product says what template, compose file and code say."""

from __future__ import annotations

import re

import pytest
import yaml
from template_files import DOCKER, PARAMETERS

from heliochrome.core.backends.memory_table import activation_bytes
from heliochrome.core.budget import MARGIN, RESERVE
from heliochrome.core.catalog import load_catalog
from heliochrome.core.extent import Extent
from heliochrome.core.presets import MAX_SIZE
from pages import LANGUAGES, quoted, rows, source

COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
both = pytest.mark.parametrize("language", LANGUAGES)


def families(page: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in rows(page) if re.match(r"`gn\d", row[0])}


@both
def test_the_fields_are_the_templates(language: str) -> None:
    table = [
        row for row in rows(source(language, "marketplace")) if row[0].strip("`") in PARAMETERS
    ]
    first = [row[0].strip("`") for row in table]
    named = {name for row in table for cell in row for name in quoted(cell)} & set(PARAMETERS)
    assert len(first) == len(set(first))
    assert named == set(PARAMETERS)
    password = next(row for row in table if row[0] == "`Password`")
    limits = [str(PARAMETERS["Password"][name]) for name in ("MinLength", "MaxLength")]
    assert re.findall(r"\d+", password[1]) == limits


@both
def test_the_least_system_disk_is_the_templates_for_buyer_and_seller(language: str) -> None:
    sizes = re.findall(r"(\d+) GiB", source(language, "marketplace").replace("30 GiB", ""))
    assert sizes == [str(PARAMETERS["SystemDiskSize"]["MinValue"])] * 2


@both
@pytest.mark.parametrize(
    ("option", "program"),
    [("seal --discard-photographs", "seal-instance"), ("restore --replace", "../appliance"),
     ("--root ROOT --host", "build_listing.py")],
)  # fmt: skip
def test_what_is_deleted_or_read_besides_is_said(language: str, option: str, program: str) -> None:
    assert option in source(language, "marketplace")
    assert option.split()[-1] in (DOCKER / "marketplace" / program).read_text("utf-8")


@both
def test_nothing_is_said_to_be_backed_up_onto_the_system_disk(language: str) -> None:
    folders = re.findall(
        r"sudo appliance (?:backup|restore --replace) (/\S+)", source(language, "marketplace")
    )
    assert folders and all(folder.startswith("/mnt/") for folder in folders)
    assert "sudo mount /dev/DISK /mnt\n" in source(language, "marketplace")


@both
def test_the_families_are_those_that_the_template_offers(language: str) -> None:
    metadata = PARAMETERS["InstanceType"]["AssociationPropertyMetadata"]
    offered = metadata["Constraints"]["InstanceTypeFamily"]
    assert {f"ecs.{name}" for name in families(source(language, "marketplace"))} == set(offered)


@both
def test_the_sizes_are_computed_by_the_codes_own_formula(language: str) -> None:
    page = source(language, "marketplace")
    weights = max(spec.size or 0 for spec in load_catalog().models.values())
    runtimes = (("torch", "bf16"), ("onnxruntime", "f32"), ("tensorrt", "fp16"))
    most = max(
        round(activation_bytes(*one, weights, Extent(MAX_SIZE, MAX_SIZE)) * MARGIN)
        for one in runtimes
    )
    need = most + RESERVE + weights
    said = re.search(r"(\d\.\d) GB.{0,200}?(\d\.\d) GB", page, re.S)
    assert said
    one, two = (float(number) * 1e9 for number in said.groups())
    assert need <= one < need + 1e8
    assert two == pytest.approx(2 * one)
    for card, memory, size in families(page).values():
        assert card and int(memory.split()[0]) * 1e9 > two
        assert int(size) == MAX_SIZE


@both
def test_the_machines_own_memory_and_the_logs_are_the_compose_files(language: str) -> None:
    page = source(language, "marketplace")
    services = COMPOSE["services"].values()
    memory = sum(int(service["mem_limit"].removesuffix("g")) for service in services)
    assert re.search(rf"\b{memory} GB\b", page) or f" {memory} GB" in page
    logs = COMPOSE["x-hardened"]["logging"]["options"]
    most = int(logs["max-size"].removesuffix("m")) * int(logs["max-file"])
    assert f"{most} MB" in page


@both
def test_the_commands_are_there(language: str) -> None:
    page = source(language, "marketplace")
    handle = (DOCKER / "appliance").read_text("utf-8")
    asked = set(re.findall(r"sudo appliance ([a-z-]+)", page))
    assert {"up", "down", "passwd", "backup", "restore", "logs"} == asked
    for command in asked:
        assert re.search(rf"^    {command}\)", handle, re.M)
    for name in re.findall(r"docker/marketplace/([\w.-]+)", page):
        assert (DOCKER / "marketplace" / name).exists()
