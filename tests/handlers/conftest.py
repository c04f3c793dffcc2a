from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from handler_calls import Caller

import micro
import tiny_diffusion
from heliochrome.core.loading import open_model
from heliochrome.core.store import ModelStore
from heliochrome.handlers import HandlerSettings
from heliochrome.handlers.service import Service
from object_storage import ObjectStorage, running_storage

# The table of bad requests is shared with the engine's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "diffusion"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.build(tmp_path_factory.mktemp("diffusion") / "tiny")


@pytest.fixture(scope="session")
def color_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for HELIOCHROME_MODELS that holds a micro network as ddcolor_v2."""
    return micro.save(tmp_path_factory.mktemp("models") / "ddcolor_v2.safetensors").parent


@pytest.fixture(scope="session")
def environ(
    tiny: Path, color_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The operator's settings: both models, nothing downloaded."""
    return {
        "HELIOCHROME_DIFFUSION_MODEL": str(tiny),
        "HELIOCHROME_MODELS": str(color_models),
        "HELIOCHROME_CACHE": str(tmp_path_factory.mktemp("used") / "cache"),
        "HELIOCHROME_OFFLINE": "1",
    }


@pytest.fixture(scope="session")
def function_environ(environ: dict[str, str]) -> dict[str, str]:
    """As `environ`, and the cache holds the network's export: that needs torch and some time,
    neither of which a function in the cloud has."""
    store = ModelStore.from_environ(environ)
    open_model(store, "ddcolor_v2", "openvino").backend.close()
    return environ


@pytest.fixture(scope="module")
def service(environ: dict[str, str]) -> Iterator[Service]:
    """Both models in this process, opened when the first test of a module needs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        made = Service(HandlerSettings.from_environ())
        yield made
        made.close()


@pytest.fixture
def ask(service: Service) -> Caller:
    return Caller(service)


@pytest.fixture(scope="session")
def storage() -> Iterator[ObjectStorage]:
    pytest.importorskip("moto.server", reason="the S3 stand-in: pip install 'moto[server]'")
    with running_storage() as found:
        yield found
