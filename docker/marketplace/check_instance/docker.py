"""Docker, and what lies in its store: our image whole, and nothing that has run."""

from __future__ import annotations

import hashlib

from .image import Image, json_object


def engine(image: Image) -> list[str]:
    return image.without("docker-ce", "docker-ce-cli", "containerd.io")


def compose(image: Image) -> list[str]:
    return image.without("docker-compose-plugin", "docker-buildx-plugin")


def stored_image(image: Image) -> list[str]:
    """Its configuration and its layers, by the digests that name them."""
    name = image.settings.get("HELIOCHROME_IMAGE", "")
    store = "var/lib/docker/image/overlay2"
    known = json_object(image.text(f"{store}/repositories.json")).get("Repositories", {})
    digest = known.get(name.rpartition(":")[0], {}).get(name)
    if not digest:
        return [f"no image {name or '(none is named)'}"]
    if digest != image.record.get("image_id"):
        return [f"{name} is {digest}, prepared.json says {image.record.get('image_id')}"]
    content = image.data(f"{store}/imagedb/content/sha256/{digest.partition(':')[2]}")
    if _digest(content) != digest:
        return [f"the configuration of {digest} is another"]
    configuration = json_object(content.decode("utf-8", "replace"))
    chain = ""
    for layer in configuration.get("rootfs", {}).get("diff_ids", []):
        chain = _digest(f"{chain} {layer}".encode()) if chain else layer
        place = image.text(f"{store}/layerdb/sha256/{chain.partition(':')[2]}/cache-id").strip()
        if not place or image.at(f"var/lib/docker/overlay2/{place}/diff") is None:
            return [f"layer {layer} is missing"]
    return [] if chain else ["no layers"]


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def containers(image: Image) -> list[str]:
    own = {"metadata.db", "backingFsBlockDev"}
    volumes = [
        path for path in image.names("var/lib/docker/volumes") if path.rpartition("/")[2] not in own
    ]
    return volumes + image.names("var/lib/docker/containers")
