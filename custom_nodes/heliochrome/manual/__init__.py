"""The manual: the pages of help_docs, searched, and served at /help.

Needs markdown-it-py (the `studio` extra); `heliochrome.manual.web` needs aiohttp as well.
"""

from __future__ import annotations

from .addresses import LANGUAGES, Language, address_of
from .book import HELP_DOCS, Manual, Page
from .document import Documents
from .markdown import Section
from .search import Hit

__all__ = [
    "HELP_DOCS",
    "LANGUAGES",
    "Documents",
    "Hit",
    "Language",
    "Manual",
    "Page",
    "Section",
    "address_of",
]
