"""A mirror of ComfyUI's upstream: an HTTP server with one archive, as codeload packs it."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def archive_server(tree: Path, folder: Path) -> Iterator[str]:
    """The address of an archive of this work tree. folder: for the archive."""
    with tarfile.open(folder / "comfyui.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(tree, "ComfyUI-of-a-commit", filter=_no_packs)
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/comfyui.tar.gz"
        finally:
            server.shutdown()


def _no_packs(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "custom_nodes" in Path(member.name).parts else member


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
