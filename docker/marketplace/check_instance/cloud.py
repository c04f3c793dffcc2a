"""What the cloud brings: cloud-init and the cloud assistant, and nothing of what they did."""

from __future__ import annotations

import re
from typing import Final

from .image import Image

ASSISTANT: Final = "usr/local/share/aliyun-assist"


def cloud_init(image: Image) -> list[str]:
    off = "etc/cloud/cloud-init.disabled"
    return image.without("cloud-init", "cloud-guest-utils") + ([off] if image.has(off) else [])


def cloud_state(image: Image) -> list[str]:
    made = [
        "etc/ssh/sshd_config.d/50-cloud-init.conf",
        "etc/sudoers.d/90-cloud-init-users",
        "etc/apt/apt.conf.d/90cloud-init-aptproxy",
    ]
    return image.names("var/lib/cloud") + [path for path in made if image.has(path)]


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
