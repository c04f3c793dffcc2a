"""A container engine of this machine, with storage and settings of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from wire import Network

from dockerfile import ROOT

# Kept from run to run, so that only what changed is built again. `make clean` removes it.
STORAGE = Path(os.environ.get("HELIOCHROME_CONTAINERS", ROOT / ".cache/containers"))


@dataclass
class Engine:
    """environ: of every program, so that it uses our storage and nothing of the machine's.

    name: of its command; compose: of the one that reads compose files.
    """

    image: str
    environ: dict[str, str]
    name: str = "podman"
    compose: str = "podman-compose"

    def run(
        self, *command: str | Path, check: bool = True, cwd: Path | None = None, limit_s: int = 600
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self.environ, cwd=cwd, capture_output=True, text=True, check=False,
            timeout=limit_s,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def call(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(self.name, *command, check=check)

    def subnets(self, *networks: str) -> list[Network]:
        found = json.loads(self.call("network", "inspect", *networks).stdout)
        if self.name == "podman":
            texts = [subnet["subnet"] for network in found for subnet in network["subnets"]]
        else:
            texts = [part["Subnet"] for network in found for part in network["IPAM"]["Config"]]
        return [ip_network(text) for text in texts]

    def note(self, what: str, value: float) -> None:
        """Figures are for people to read, and no test is about them."""
        with (STORAGE / "measured.txt").open("a") as file:
            file.write(f"{self.name}: {what}: {value:.1f}\n")
