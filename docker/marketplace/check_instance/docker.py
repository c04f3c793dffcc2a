"""Docker, and what lies in its store: our image whole, and nothing that has run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from .image import Image, inner, json_object

STORE: Final = "var/lib/docker/image/overlay2"
LAYERS: Final = "var/lib/docker/overlay2"


def engine(image: Image) -> list[str]:
    return image.without("docker-ce", "docker-ce-cli", "containerd.io")


def compose(image: Image) -> list[str]:
    return image.without("docker-compose-plugin", "docker-buildx-plugin")


def stored_image(image: Image) -> list[str]:
    """Its configuration, and a folder for each layer. What is in the layers is not read."""
    name, digest = _named(image)
    if not digest:
        return [f"no image {name or '(none is named)'}"]
    if digest != image.record.get("image_id"):
        return [f"{name} is {digest}, prepared.json says {image.record.get('image_id')}"]
    content = image.data(f"{STORE}/imagedb/content/sha256/{digest.partition(':')[2]}")
    if _digest(content) != digest:
        return [f"the configuration of {digest} is another"]
    layers = list(_layers(image, content))
    missing = [
        f"layer {chain} is missing"
        for chain, place in layers
        if not place or image.at(f"{LAYERS}/{place}/diff") is None
    ]
    return missing if layers else ["no layers"]


def _named(image: Image) -> tuple[str, str]:
    """The image that .env names, and its digest in Docker's store; empty where it has none."""
    name = image.settings.get("HELIOCHROME_IMAGE", "")
    known = json_object(image.text(f"{STORE}/repositories.json"))
    digest = inner(known, "Repositories", name.rpartition(":")[0]).get(name)
    return name, digest if isinstance(digest, str) else ""


def _layers(image: Image, configuration: bytes) -> Iterator[tuple[str, str]]:
    """Of each layer the digest of the chain up to it, and the name of its folder."""
    found = json_object(configuration.decode("utf-8", "replace"))
    layers: Any = inner(found, "rootfs").get("diff_ids")
    chain = ""
    for layer in layers if isinstance(layers, list) else []:
        chain = _digest(f"{chain} {layer}".encode()) if chain else str(layer)
        place = image.text(f"{STORE}/layerdb/sha256/{chain.partition(':')[2]}/cache-id").strip()
        yield chain, place


def store(image: Image) -> list[str]:
    """What lies there beside the one image, and beside what the engine makes when it is empty."""
    name, digest = _named(image)
    if not digest:
        return []  # a point of its own; all of the store would be beside it
    known = inner(json_object(image.text(f"{STORE}/repositories.json")), "Repositories")
    names = {tag for tags in known.values() for tag in (tags if isinstance(tags, dict) else {"?"})}
    number = digest.partition(":")[2]
    layers = list(_layers(image, image.data(f"{STORE}/imagedb/content/sha256/{number}")))
    allowed = {
        "var/lib/docker": {
            "buildkit", "containers", "engine-id", "image", "network", "overlay2", "plugins",
            "runtimes", "swarm", "tmp", "trust", "volumes",
        },
        "var/lib/docker/image": {"overlay2"},
        STORE: {"distribution", "imagedb", "layerdb", "repositories.json"},
        f"{STORE}/imagedb/content/sha256": {number},
        f"{STORE}/imagedb/metadata/sha256": {number},
        f"{STORE}/layerdb/sha256": {chain.partition(":")[2] for chain, _ in layers},
        f"{STORE}/layerdb/mounts": set[str](),
        LAYERS: {"l", "backingFsBlockDev", *(place for _, place in layers)},
        "var/lib/docker/buildkit": set[str](),
        "var/lib/containerd": set[str](),
    }  # fmt: skip
    beside = [
        path
        for folder, own in allowed.items()
        for path in image.names(folder)
        if path.rpartition("/")[2] not in own
    ]
    empty = [f"var/lib/docker/{folder}" for folder in ("plugins", "swarm", "tmp", "trust")]
    beside += image.files(*empty, f"{STORE}/distribution", f"{STORE}/layerdb/tmp")
    beside += [path for path in image.files(f"{LAYERS}/l") if not image.link(path)]
    return [f"the image {tag}" for tag in sorted(names - {name})] + beside


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def containers(image: Image) -> list[str]:
    own = {"metadata.db", "backingFsBlockDev"}
    volumes = [
        path for path in image.names("var/lib/docker/volumes") if path.rpartition("/")[2] not in own
    ]
    return volumes + image.names("var/lib/docker/containers")
