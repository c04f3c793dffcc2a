"""`heliochrome studio`: the page behind the gateway, and the worker that colours for it."""

from __future__ import annotations

import argparse
import asyncio

from .output import say


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "studio",
        help="serve the studio's page to the gateway",
        description="Serve the studio to the gateway. Settings: HELIOCHROME_STUDIO_* variables; "
        "`heliochrome up` sets them for one machine.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM."""
    from ..core.errors import BackendUnavailable
    from ..studio.settings import StudioSettings

    settings = StudioSettings.from_environ()
    try:
        from ..studio.server import serve
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"The studio needs {error.name}: run `pip install 'heliochrome[studio]'`."
        ) from error
    asyncio.run(serve(settings, say))
    return 0
