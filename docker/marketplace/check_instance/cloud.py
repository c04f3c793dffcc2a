"""What the cloud brings: cloud-init and the cloud assistant, and nothing of what they did."""

from __future__ import annotations

import re
from typing import Final

from .image import Image
from .shipped import listed

MADE: Final = ("etc/sudoers.d/90-cloud-init-users", *listed("cloud-init-made"))
# Whom a session of the cloud assistant signs in as. It writes the sudoers file only where it makes
# the user: a user without that file stays without sudo.
SESSIONS_USER: Final = "ecs-assist-user"
ASSISTANT: Final = "usr/local/share/aliyun-assist"


def cloud_init(image: Image) -> list[str]:
    off = "etc/cloud/cloud-init.disabled"
    return image.without("cloud-init", "cloud-guest-utils") + ([off] if image.has(off) else [])


def cloud_state(image: Image) -> list[str]:
    return image.names("var/lib/cloud") + [path for path in MADE if image.has(path)]


def assistant(image: Image) -> list[str]:
    programs = [
        path for path in image.names(ASSISTANT) if image.at(f"{path}/aliyun-service") is not None
    ]
    units = "etc/systemd/system"
    enabled = f"{units}/multi-user.target.wants/aliyun.service"
    wrong = [] if programs else [f"no aliyun-service in {ASSISTANT}"]
    wrong += [] if image.data(f"{units}/aliyun.service") else ["no aliyun.service"]
    return wrong + ([] if image.has(enabled) else [f"no {enabled}"])


def assistant_work(image: Image) -> list[str]:
    return [path for path in image.files(ASSISTANT) if re.search("/(log|work|hybrid)/", path)]


def sessions_user(image: Image) -> list[str]:
    found = [
        path
        for path in ("etc/passwd", "etc/shadow", "etc/group", "etc/gshadow")
        for line in image.lines(path)
        if SESSIONS_USER in re.split("[:,]", line)
    ]
    found += [path for path in (f"home/{SESSIONS_USER}", f"etc/sudoers.d/{SESSIONS_USER}")
              if image.has(path)]  # fmt: skip
    remedy = "remove the user, its group, its home and its sudoers file together, as `seal` does"
    return [*dict.fromkeys(found), remedy] if found else []
