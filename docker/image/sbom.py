"""What is in the image, as CycloneDX 1.6 JSON: Debian's packages, Python's, and ComfyUI.

The same image gives the same bytes: no time and no random number is in it.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote


def debian(status: Path) -> Iterator[dict[str, Any]]:
    """status: dpkg's file of that name."""
    for paragraph in status.read_text("utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            place = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            yield {
                "type": "library",
                "bom-ref": place,
                "name": name,
                "version": version,
                "purl": place,
            }


def python(folder: Path) -> Iterator[dict[str, Any]]:
    """folder: site-packages."""
    for found in distributions(path=[str(folder)]):
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        place = f"pkg:pypi/{name}@{quote(found.version)}"
        yield {
            "type": "library",
            "bom-ref": place,
            "name": name,
            "version": found.version,
            "purl": place,
            **_licence(found),
        }


def _licence(found: Distribution) -> dict[str, Any]:
    """As the package states it; some state a whole text, of which the first line is kept."""
    fields = found.metadata.json
    if expression := fields.get("license_expression"):
        return {"licenses": [{"expression": expression}]}
    stated = [
        str(line).rpartition(" :: ")[2]
        for line in fields.get("classifier", [])
        if str(line).startswith("License :: ")
    ] or str(fields.get("license", "")).strip().splitlines()[:1]
    return {"licenses": [{"license": {"name": name}} for name in stated]} if stated else {}


def comfyui(folder: Path) -> Iterator[dict[str, Any]]:
    version = re.search(r'__version__ = "(.+)"', (folder / "comfyui_version.py").read_text("utf-8"))
    yield {
        "type": "application",
        "bom-ref": "comfyui",
        "name": "ComfyUI",
        "version": version[1] if version else "unknown",
        "licenses": [{"license": {"id": "GPL-3.0-only"}}],
    }


def document(name: str, components: Sequence[dict[str, Any]]) -> str:
    ordered = sorted(components, key=lambda component: component["bom-ref"])
    content = json.dumps(ordered)
    (own,) = (part for part in ordered if part["name"] == "heliochrome")
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "container",
                    "bom-ref": "image",
                    "name": name,
                    "version": own["version"],
                }
            },
            "components": ordered,
        },
        indent=1,
    )


if __name__ == "__main__":
    _, image, status, packages, host = sys.argv
    parts = [*debian(Path(status)), *python(Path(packages)), *comfyui(Path(host))]
    sys.stdout.write(document(image, parts) + "\n")
