"""The API does what its description says: asked what the description allows, and what not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from running_studio import RunningStudio, headers_of, running_studio
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from heliochrome.studio.api import openapi

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
schema = schemathesis.openapi.from_dict(openapi())


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    folder = tmp_path_factory.mktemp("studio")
    with running_studio(folder, start_worker=False, max_user_bytes=2_000_000) as running:
        yield running


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_is_answered_as_described(case: schemathesis.Case, studio: RunningStudio):
    case.call_and_validate(
        base_url=f"{studio.address}/api/v1", headers=headers_of("ann"), checks=CHECKS
    )


def test_what_exists_is_described_as_it_is(tmp_path: Path, photo: bytes):
    """The answers that need a photograph, against the same schemas."""
    with running_studio(tmp_path) as studio:
        brought = studio.bring("ben", photo)
        job = studio.job("ben", [brought], "auto")["id"]
        found = {"photo": brought, "job": job}
        addresses = ("/me", "/jobs", "/jobs/{job}", "/photos/{photo}")
        for _ in range(2):  # while it waits or runs, and once it is done
            for address in addresses:
                case = schema[address]["GET"].Case(
                    path_parameters={name: found[name] for name in found if name in address}
                )
                case.call_and_validate(
                    base_url=f"{studio.address}/api/v1", headers=headers_of("ben"), checks=CHECKS
                )
            assert studio.wait("ben", job)["state"] == "done"
