"""A host that reads what it is sent, forgets it and says {}: what uploads are measured against.

    python benchmarks/gateway_sink.py       # prints its port

Threads and plain sockets, so that it is never what is waited for.
"""

from __future__ import annotations

import re
import socket
import threading
from typing import Final

_PIECE: Final = 1 << 20
_DONE: Final = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def serve(connection: socket.socket) -> None:
    buffer = bytearray(_PIECE)
    with connection:
        found = b""
        while True:
            while b"\r\n\r\n" not in found:
                if not (more := connection.recv(_PIECE)):
                    return
                found += more
            head, _, found = found.partition(b"\r\n\r\n")
            if re.search(rb"(?i)\r\ntransfer-encoding:", head):
                connection.sendall(_DONE % b"411 Length Required")
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            left = (int(length[1]) if length else 0) - len(found)
            while left > 0:
                if not (size := connection.recv_into(buffer, min(left, _PIECE))):
                    return
                left -= size
            connection.sendall(_DONE % b"200 OK")
            found = b""


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
