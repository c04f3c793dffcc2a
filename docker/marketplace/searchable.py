"""Makes the Chinese of a printed PDF findable.

The font has one glyph for 用 and for the radical U+2F64, which looks the same, and Chromium notes
the radical: who looks for 用 finds nothing, and who copies it gets another character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, StreamObject

_RADICALS: Final = range(0x2E80, 0x2FE0)
# Those that Unicode gives no equal, or the traditional form as their equal.
_PLAIN: Final = dict(
    zip(
        "⺠⻄⻅⻆⻉⻋⻓⻔⻚⻛⻜⻝⻢⻣⻤⻥⻦⻨⻩⻬⻮⻰⼾",
        "民西见角贝车长门页风飞食马骨鬼鱼鸟麦黄齐齿龙户",
        strict=True,
    )
)


class UnknownRadical(Exception):
    """One that has no entry in the table."""


def make(path: Path) -> None:
    """Rewrites the file in place."""
    document = PdfWriter(clone_from=path)
    for found in document._objects:
        if isinstance(found, DictionaryObject) and "/ToUnicode" in found:
            noted = found["/ToUnicode"]
            if isinstance(noted, StreamObject):
                noted.set_data(plain(noted.get_data().decode("ascii")).encode("ascii"))
    document.add_metadata({"/Creator": "Heliochrome"})
    document.write(path)


def plain(noted: str) -> str:
    """A ToUnicode table (PDF 32000-1, 9.10.3) with the characters that are meant."""
    # A range goes on from its first character, which no radical's equal does.
    noted = re.sub(r"\d+ beginbfrange\n(.*?)endbfrange", _ranges, noted, flags=re.DOTALL)

    def one(found: re.Match[str]) -> str:
        return f"{found[1]}<{_meant(found[2])}>"

    return re.sub(r"(?m)^(<[0-9A-F]+> )<([0-9A-F]{4})>$", one, noted)


def _ranges(found: re.Match[str]) -> str:
    kept: list[str] = []
    single: list[str] = []
    for first, last, start in re.findall(r"<(\w+)> <(\w+)> <(\w+)>\n", found[1]):
        count = int(last, 16) - int(first, 16) + 1
        codes = range(int(start, 16), int(start, 16) + count)
        if len(start) == 4 and any(code in _RADICALS for code in codes):
            width = len(first)
            single += [
                f"<{int(first, 16) + index:0{width}X}> <{code:04X}>"
                for index, code in enumerate(codes)
            ]
        else:
            kept.append(f"<{first}> <{last}> <{start}>")
    return "\n".join((*_blocks("bfrange", kept), *_blocks("bfchar", single)))


def _blocks(kind: str, lines: list[str]) -> Iterator[str]:
    """At most 100 lines each, as the format has it."""
    for start in range(0, len(lines), 100):
        some = lines[start : start + 100]
        yield "\n".join((f"{len(some)} begin{kind}", *some, f"end{kind}"))


def _meant(code: str) -> str:
    sign = chr(int(code, 16))
    if ord(sign) not in _RADICALS:
        return code
    meant = _PLAIN.get(sign) or unicodedata.normalize("NFKC", sign)
    if ord(meant) in _RADICALS:
        raise UnknownRadical(f"U+{code} ({sign}) has no plain form here. Add it to _PLAIN.")
    return f"{ord(meant):04X}"
