"""How a node talks to the host while it works: progress, cancelling, notices."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import comfy.model_management
import comfy.utils
from server import PromptServer

from ..core.jobs import Progress
from ..core.notices import Notice

NOTICE_EVENT = "heliochrome.notice"

_log = logging.getLogger("heliochrome")


def progress_bar(node_id: str | None) -> Progress:
    """Progress shown on the node."""
    bar = comfy.utils.ProgressBar(1, node_id=node_id)

    def report(done: int, total: int) -> None:
        bar.update_absolute(done, total)

    return report


def cancel() -> None:
    """Raise the host's own exception once the user has pressed the cancel button."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def notify(node_id: str | None, notices: Sequence[Notice]) -> None:
    """Tell the user that something was changed for them: log, text on the node, toast.

    A notice's code chooses its translation in locales/*/main.json.
    """
    for notice in notices:
        _log.warning("%s", notice.text)
    host = PromptServer.instance
    client = host.client_id
    if not notices or client is None or node_id is None:
        return  # without an addressee the host would tell everyone
    host.send_progress_text("\n".join(notice.text for notice in notices), node_id, client)
    for notice in notices:
        message = {
            "node_id": node_id,
            "code": notice.code,
            "text": notice.text,
            "values": dict(notice.values),
            "help": notice.help,
        }
        host.send_sync(NOTICE_EVENT, message, client)
