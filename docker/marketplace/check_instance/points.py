"""All that is proved of an image, point by point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import (
    appliance,
    card,
    cloud,
    cloud_settings,
    credentials,
    docker,
    homes,
    machine,
    packages,
    places,
    rights,
    ssh,
    started,
)
from .image import Image


@dataclass(frozen=True)
class Point:
    """what: is expected. find: what is wrong, nothing if it is met. card: only with a card."""

    name: str
    what: str
    find: Callable[[Image], list[str]]
    card: bool = False


POINTS: Final = (
    # What `install` leaves.
    Point("system", " or ".join(packages.SYSTEMS), packages.system),
    Point("packages", "no package half installed", packages.half_installed),
    Point("docker", "Docker Engine is installed", docker.engine),
    Point("compose", "Docker's compose and buildx are installed", docker.compose),
    Point("toolkit", "NVIDIA Container Toolkit, known to Docker", card.toolkit, card=True),
    Point("driver", f"NVIDIA driver, {card.LEAST_DRIVER} or newer", card.driver, card=True),
    Point("driver-module", "each kernel has the driver's module", card.driver_module, card=True),
    Point(
        "repositories", "all packages are signed, theirs by the known keys", packages.repositories
    ),
    Point("files", "our files: only root writes to them, as shipped", appliance.files),
    Point("command", f"`appliance` is a link to {appliance.HANDLE}", appliance.command),
    Point("settings", ".env has the lines that were laid, and no others", appliance.settings),
    Point(
        "image",
        "Docker holds the image that prepared.json names, no layer missing",
        docker.stored_image,
    ),
    Point("units", "our units are turned on", appliance.turned_on),
    Point("sshd", "sshd takes keys only", ssh.sshd),
    Point(
        "upgrades",
        "security updates come by themselves, and no kernel without a driver",
        packages.upgrades,
    ),
    Point("record", "prepared.json, not old, no update waiting", appliance.record),
    Point("cloud-init", "cloud-init and growpart are installed", cloud.cloud_init),
    Point("assistant", "the cloud assistant is there and turned on", cloud.assistant),
    # What `seal` takes away.
    Point("passwords", "no account has a password", rights.passwords),
    Point("only-root", "only root has uid 0", rights.only_root),
    Point("authorized-keys", "no key may sign in", ssh.authorized_keys),
    Point("host-keys", "no SSH host keys", ssh.host_keys),
    Point("private-keys", "no private keys", homes.private_keys),
    Point("credentials", "no credentials in homes or settings", credentials.credentials),
    Point("history", "no traces of work in homes", homes.history),
    Point("leftovers", "nothing else in homes", homes.leftovers),
    Point(
        "elsewhere",
        "nothing else in /, /opt, /srv, /mnt, /media, /var and /usr/local",
        places.elsewhere,
    ),
    Point("backups", "no backup and no support bundle of the appliance", places.backups),
    Point("identity", "an empty machine-id, no other identity", machine.identity),
    Point("seeds", "no random seed", machine.seeds),
    Point("logs", "no logs", machine.logs),
    Point("cloud-state", "nothing of cloud-init's runs", cloud.cloud_state),
    Point(
        "cloud-settings",
        "cloud-init gives nobody a key, a password or rights",
        cloud_settings.given_away,
    ),
    Point("assistant-work", "nothing of the cloud assistant's runs", cloud.assistant_work),
    Point("leases", "no DHCP leases", machine.leases),
    Point("network", "no hardware address and no fixed address in settings", machine.network),
    Point("names", "no host name, no address of the machine", machine.names),
    Point("apt-caches", "no package lists and caches", packages.caches),
    Point("temporary", "nothing in temporary folders and backups", machine.temporary),
    Point("spool", "no mail, no personal timetables", machine.spool),
    Point("swap", "no swap", machine.swap),
    Point("mounts", "the system's own disks alone are mounted, by UUID or label", machine.mounts),
    Point("containers", "no containers and volumes", docker.containers),
    Point("store", "nothing but that image in Docker's and containerd's stores", docker.store),
    Point(
        "sessions-user",
        f"no {cloud.SESSIONS_USER}: sudo comes with it where it is made anew",
        cloud.sessions_user,
    ),
    Point("secrets", "no secrets of the appliance", appliance.secrets),
    # What nobody should have added.
    Point("setuid", "no unknown file that runs with another's rights", rights.setuid),
    Point("world-writable", "nobody but root writes to the system", rights.world_writable),
    Point("sudo", "sudo asks everybody", rights.sudo),
    Point(
        "additions",
        "what runs by itself or lets people in is as packages, the cloud or we laid it",
        started.additions,
    ),
)


def asked(image: Image) -> list[Point]:
    """Those that are asked of this image."""
    return [point for point in POINTS if image.card or not point.card]
