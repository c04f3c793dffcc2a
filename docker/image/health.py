"""Exit code 0 if this address, on this machine, answers 200. For HEALTHCHECK."""

from __future__ import annotations

import ssl
import sys
import urllib.request

_PATIENCE_S = 4


def main(address: str) -> int:
    # The certificate may be the gateway's own; only loopback is asked.
    unchecked = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE_S, context=unchecked) as answer:
            return 0 if answer.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
