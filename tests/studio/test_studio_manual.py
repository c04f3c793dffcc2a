"""What the studio has and its pages or its openapi.json do not, or the other way round."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from heliochrome.cli import build_parser
from heliochrome.core.backends import AUTO, BACKENDS
from heliochrome.core.errors import Cancelled, GenerationFailed, HeliochromeError
from heliochrome.core.presets import AUTO_PRESET, PRESETS
from heliochrome.studio import api as api_module
from heliochrome.studio import asking, jobs, webhooks
from heliochrome.studio.api import ROOT, Api, openapi
from heliochrome.studio.database import Database
from heliochrome.studio.jobs import Jobs
from heliochrome.studio.keeping import Keeping
from heliochrome.studio.outbox import AGAIN_S, Outbox
from heliochrome.studio.queue import MOST_ATTEMPTS, Queue
from heliochrome.studio.records import STATES
from heliochrome.studio.refusals import STATUS, WORK
from heliochrome.studio.settings import (
    PREFIX,
    RANGES,
    SECRETS,
    StudioSettings,
    variable,
)
from heliochrome.studio.shelf import Shelf
from heliochrome.studio.upkeep import JOB_OVER
from heliochrome.studio.webhooks import Webhooks
from heliochrome_gateway.identity import ROLES
from heliochrome_gateway.refusals import Denied
from heliochrome_gateway.routes import check_studio
from pages import (
    HELP_DOCS,
    LANGUAGES,
    check_setting,
    leaves,
    options,
    quoted,
    routes,
    rows,
    source,
    table,
    variables,
)

PAGES = ("studio", "api")
COMMANDS = ("heliochrome studio", "heliochrome up")
NAMES = {variable(field.name) for field in fields(StudioSettings)}
FILES = {f"{variable(name)}_FILE" for name in SECRETS}
# What is worked out on the machine, so that the page says it in words.
IN_WORDS = {"folder"}
# Codes of the core that the studio's work cannot end with: it makes no pictures from words, and a
# photograph that was cancelled has no error.
ELSEWHERE = {GenerationFailed.code, Cancelled.code}
# Statuses that only the gateway in front answers with.
GATEWAYS = {408, 429, 502, 503, 504}
SECONDS = {"s": 1, "秒": 1, "min": 60, "分钟": 60, "h": 3600, "小时": 3600}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


def settings(folder: Path, **given: Any) -> StudioSettings:
    return StudioSettings(token="for-the-gateway-alone", folder=folder, **given)


@pytest.fixture
def served(tmp_path: Path) -> set[tuple[str, str]]:
    """(method, address below the API's root) of all that there is."""
    given, base = settings(tmp_path), Database(tmp_path)
    shelf = Shelf(base, given.max_photo_pixels, given.max_user_bytes)
    jobs, queue, webhooks = Jobs(base, shelf), Queue(base), Webhooks(given, Outbox(base))
    there = Api(given, Keeping.of(given), shelf, jobs, queue, webhooks)
    found = {(route.method, route.path.removeprefix(ROOT)) for route in there.routes()}
    base.close()
    return found


def may(role: Any, method: str) -> bool:
    try:
        check_studio(method, role)
    except Denied:
        return False
    return True


def core_codes(kind: type[HeliochromeError] = HeliochromeError) -> set[str]:
    """Of all errors of the core."""
    below = [each for each in kind.__subclasses__() if each.__module__ == kind.__module__]
    return {kind.code}.union(*map(core_codes, below))


def test_every_setting_has_its_row_with_default_and_range(language: str) -> None:
    shown = table(source(language, "studio"), variable("keep_days"))
    assert set(shown) == NAMES
    for field in fields(StudioSettings):
        if field.name in IN_WORDS:
            assert shown[variable(field.name)][2]
        else:
            check_setting(shown[variable(field.name)], field, RANGES.get(field.name, ()))
    assert quoted(shown[variable("backend")][2]) == {AUTO, *BACKENDS}


@every_page
def test_no_setting_is_named_that_does_not_exist(language: str, name: str) -> None:
    named = {one for one in variables(source(language, name)) if one.startswith(PREFIX)}
    assert named <= {*NAMES, *FILES}
    assert name != "studio" or named >= FILES


@pytest.mark.parametrize("page", sorted(path.stem for path in HELP_DOCS.glob("en/*.md")))
def test_other_pages_name_only_settings_of_the_studio_that_exist(language: str, page: str) -> None:
    named = {one for one in variables(source(language, page)) if one.startswith(PREFIX)}
    assert named <= {*NAMES, *FILES}


@pytest.mark.parametrize("command", COMMANDS)
def test_both_commands_are_in_the_pages_with_all_they_take(language: str, command: str) -> None:
    parser = leaves(build_parser(), "heliochrome")[command]
    assert re.search(rf"^    {command}\b", source(language, "studio"), re.M)
    section = re.search(rf"^## {command}$(.*?)^## ", source(language, "command-line"), re.M | re.S)
    assert section
    assert {one for one in quoted(section[1]) if one.startswith("--")} == options(parser)


@every_page
def test_no_command_or_option_is_named_that_does_not_exist(language: str, name: str) -> None:
    known = leaves(build_parser(), "heliochrome")
    text = source(language, name)
    lines = re.findall(r"^ {4}(heliochrome .*)$", text, re.M)
    strange = [line for line in lines if not any(f"{line} ".startswith(f"{one} ") for one in known)]
    assert strange == []
    given = [option for line in lines for option in re.findall(r"--[\w-]+", line)]
    in_words = [one for one in quoted(text) if one.startswith("--") and one != "--cpu"]
    assert {*given, *in_words} <= set().union(*map(options, known.values()))


def test_every_address_has_its_row_with_method_and_roles(
    language: str, served: set[tuple[str, str]]
) -> None:
    assert routes(source(language, "api"), ROLES) == {
        (method, address, role) for method, address in served for role in ROLES if may(role, method)
    }


@every_page
def test_no_address_is_named_that_does_not_exist(
    language: str, name: str, served: set[tuple[str, str]]
) -> None:
    text = source(language, name)
    named = set(re.findall(rf"{ROOT}(/[\w./{{}}]+)", text))
    named |= set(re.findall(r"\$STUDIO(/[\w./$]+)", text))
    plain = {re.sub(r"\$(\w+)", r"{\1}", one) for one in named}
    assert plain <= {address for _, address in served}
    assert name != "api" or {"/photos", "/jobs", "/jobs/{job}/results.zip"} <= plain


def test_every_error_code_has_its_row_with_its_status(language: str) -> None:
    shown = table(source(language, "api"), "crashed")
    assert {code: status for code, (status, _, _) in shown.items()} == {
        **{code: str(status) for code, status in STATUS.items()},
        **dict.fromkeys(WORK, ""),
    }
    ends = {code for code, (_, yes, _) in shown.items() if yes}
    assert ends >= WORK
    # What the core raises while it works on a photograph.
    assert ends >= core_codes() - ELSEWHERE - {HeliochromeError.code}
    assert ends <= core_codes() | WORK


def test_every_state_has_its_row(language: str) -> None:
    assert set(table(source(language, "api"), "uploaded")) == set(STATES)


def test_the_presets_named_are_those_there_are(language: str) -> None:
    step = next(line for line in source(language, "api").splitlines() if "`auto`" in line)
    assert quoted(re.sub(r"`[^`]*:[^`]*`", "", step)) - {"preset"} == {AUTO_PRESET, *PRESETS}


def test_the_numbers_are_the_codes(language: str) -> None:
    text = source(language, "api")
    hooks = text.split("\n## ")[-2]
    (last,) = [part for part in hooks.split("\n\n") if "299" in part]
    within, *again = re.findall(r"(\d+) (s|min|h|秒|分钟|小时)(?![a-z])", last)
    told = [int(number) * SECONDS[unit] for number, unit in again]
    assert int(within[0]) * SECONDS[within[1]] == webhooks._TIMEOUT.total
    assert told == list(AGAIN_S)
    assert f"{webhooks._LONGEST} " in hooks and f"`{JOB_OVER}`" in hooks
    assert f" {api_module._LONGEST_NAME} " in text
    assert f" {asking._LONGEST_BODY >> 20} MiB" in text
    listed = next(row for row in rows(text) if row[:2] == ["GET", "`/jobs`"])
    assert re.search(rf"\b{jobs.LISTED}\b", listed[3])
    for page in (text, source(language, "studio")):
        (line,) = [one for one in page.splitlines() if "`crashed`" in one]
        near = page[page.index(line) - 200 : page.index(line) + len(line)]
        assert re.search(rf"\b{MOST_ATTEMPTS}\b", near)


def check_of_the_page(language: str) -> Callable[..., bool]:
    """What the page gives its readers to check a report with."""
    text = source(language, "api")
    start = text.index("    import base64")
    block = text[start : re.search(r"\n(?=\S)", text[start:]).start() + start]  # type: ignore[union-attr]
    names: dict[str, Any] = {}
    exec(textwrap.dedent(block), names)  # the page's own lines
    found: Callable[..., bool] = names["is_genuine"]
    return found


@pytest.mark.parametrize("secret", [SECRET, "a secret that is no base64"])
def test_the_check_of_a_signature_in_the_page_works(
    language: str, secret: str, tmp_path: Path
) -> None:
    given = settings(tmp_path, webhook_origins=("https://archive.example",), webhook_secret=secret)
    base = Database(tmp_path)
    hooks, check = Webhooks(given, Outbox(base)), check_of_the_page(language)
    body, now = '{"type": "job.over"}', int(time.time())

    def headers(stamp: int) -> dict[str, str]:
        return {
            "Webhook-Id": "msg_1",
            "Webhook-Timestamp": str(stamp),
            "Webhook-Signature": hooks.signature("msg_1", stamp, body),
        }

    assert check(headers(now), body.encode(), secret)
    assert not check(headers(now), body.encode() + b" ", secret)
    assert not check(headers(now), body.encode(), f"{secret}abcd")
    assert not check(headers(now - 3600), body.encode(), secret)
    base.close()


def test_the_headers_in_the_page_are_those_that_are_sent(language: str) -> None:
    sent = re.findall(r'"(Webhook-\w+)"', Path(webhooks.__file__).read_text(encoding="utf-8"))
    assert set(table(source(language, "api"), "Webhook-Id")) == set(sent)


def test_openapi_names_exactly_the_addresses_and_methods_there_are(
    served: set[tuple[str, str]],
) -> None:
    methods = {"get", "put", "post", "patch", "delete", "head", "options", "trace"}
    described = {
        (method.upper(), address)
        for address, item in openapi()["paths"].items()
        for method in methods & set(item)
    }
    assert described == served


def test_openapi_names_exactly_the_presets_states_and_fields_there_are() -> None:
    schemas = openapi()["components"]["schemas"]
    assert schemas["Preset"]["enum"] == [AUTO_PRESET, *PRESETS]
    assert schemas["State"]["enum"] == list(STATES)
    assert set(schemas["JobRequest"]["properties"]) == set(asking._ORDER)
    assert set(schemas["Me"]["properties"]["role"]["enum"]) == set(ROLES)


def test_openapi_names_exactly_the_statuses_of_all_codes() -> None:
    described = {int(status) for status in openapi()["components"]["responses"]}
    assert described == set(STATUS.values()) | GATEWAYS
    named = {
        int(reference.rpartition("/")[2])
        for reference in re.findall(r"#/components/responses/\d+", str(openapi()["paths"]))
    }
    assert named == described
