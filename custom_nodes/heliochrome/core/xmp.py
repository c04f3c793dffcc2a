"""XMP packets (ISO 16684-1) as a document that can be changed without losing what is in it.

The standard library's own writer turns line breaks in attributes into spaces and ElementTree
renames prefixes, so packets are kept as a DOM and written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from xml.dom import Node
from xml.dom.minidom import Attr, Document, Element
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.minidom import parseString

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
X: Final = "adobe:ns:meta/"
XMLNS: Final = "http://www.w3.org/2000/xmlns/"
XMP: Final = "http://ns.adobe.com/xap/1.0/"
TIFF: Final = "http://ns.adobe.com/tiff/1.0/"
EXIF: Final = "http://ns.adobe.com/exif/1.0/"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_BEGIN: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END: Final = '\n<?xpacket end="w"?>'
_EMPTY: Final = f'<x:xmpmeta xmlns:x="{X}"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'
_DEEPEST: Final = 100
_LINE_BREAKS: Final = {"\r": "&#13;"}
_IN_ATTRIBUTE: Final = {**_LINE_BREAKS, "\n": "&#10;", "\t": "&#9;", '"': "&quot;"}


class MalformedXmp(ValueError):
    """The bytes are not an XMP packet, or one that cannot be kept whole."""


class Packet:
    """One XMP packet; an empty one if no bytes are given. Raises MalformedXmp."""

    def __init__(self, packet: bytes | None = None) -> None:
        # Any: which members a node has depends on its kind, which minidom's types do not say
        self.document: Any = _parsed(packet) if packet is not None else parseString(_EMPTY)
        found = self.document.getElementsByTagNameNS(RDF, "RDF")
        if not found:
            raise MalformedXmp("there is no rdf:RDF element")
        self.rdf: Element = found[0]

    def to_bytes(self, *, wrapped: bool = True) -> bytes:
        """UTF-8; `wrapped` in the xpacket instructions that let tools find it in a file."""
        text = _text_of(self.document.documentElement)
        return (_BEGIN + text + _END if wrapped else text).encode()

    def descriptions(self) -> list[Element]:
        """The top-level rdf:Description elements, which hold the properties."""
        return [node for node in children(self.rdf) if is_named(node, RDF, "Description")]

    def add_description(self, prefixes: dict[str, str]) -> Element:
        """A new top-level rdf:Description about the same thing, with `prefixes` declared."""
        known = self.descriptions()
        about = known[0].getAttributeNS(RDF, "about") if known else ""
        description: Element = self.document.createElementNS(RDF, "rdf:Description")
        for prefix, uri in {"rdf": RDF, **prefixes}.items():
            description.setAttributeNS(XMLNS, f"xmlns:{prefix}", uri)
        description.setAttributeNS(RDF, "rdf:about", about)
        self.rdf.appendChild(description)
        return description

    def properties(self, uri: str, name: str) -> Iterator[Element | Attr]:
        """Every place the top-level property is written: as an element or as an attribute."""
        for description in self.descriptions():
            attribute = description.getAttributeNodeNS(uri, name)
            if attribute is not None:
                yield attribute
            yield from [node for node in children(description) if is_named(node, uri, name)]

    def text(self, uri: str, name: str) -> str | None:
        """The value of a simple property; None if it is not there."""
        return next((value_of(node) for node in self.properties(uri, name)), None)

    def remove(self, node: Element | Attr) -> None:
        """Take a top-level property away."""
        if isinstance(node, Attr):
            owner: Any = node.ownerElement
            owner.removeAttributeNode(node)
        else:
            parent: Any = node.parentNode
            parent.removeChild(node)

    def append(self, parent: Element, uri: str, name: str, text: str = "") -> Element:
        """A new element "prefix:Name" at the end of `parent`, whose prefix must be declared."""
        element: Element = self.document.createElementNS(uri, name)
        if text:
            element.appendChild(self.document.createTextNode(legal(text)))
        parent.appendChild(element)
        return element


def upright(packet: bytes, *, turned: bool) -> bytes:
    """`packet` for a picture whose orientation has been applied, without its thumbnails.

    turned: width and height have changed places. Returns the same bytes if nothing is to be
    changed. Raises MalformedXmp.
    """
    parsed = Packet(packet)
    changed = False
    for node in list(parsed.properties(TIFF, "Orientation")):
        changed |= value_of(node) != "1"
        _set_text(node, "1")
    for node in list(parsed.properties(XMP, "Thumbnails")):
        parsed.remove(node)
        changed = True
    for uri, wide, high in (
        (EXIF, "PixelXDimension", "PixelYDimension"),
        (TIFF, "ImageWidth", "ImageLength"),
    ):
        pair = [next(parsed.properties(uri, name), None) for name in (wide, high)]
        if turned and pair[0] is not None and pair[1] is not None:
            across, down = value_of(pair[0]), value_of(pair[1])
            _set_text(pair[0], down)
            _set_text(pair[1], across)
            changed = True
    return parsed.to_bytes() if changed else packet


def children(parent: Element) -> list[Element]:
    """The child elements, without text and comments."""
    return [node for node in parent.childNodes if node.nodeType == Node.ELEMENT_NODE]


def is_named(node: Element, uri: str, name: str) -> bool:
    return node.namespaceURI == uri and node.localName == name


def value_of(node: Element | Attr) -> str:
    """The text of a simple property, also when it is written as rdf:resource."""
    if isinstance(node, Attr):
        return str(node.value)
    if node.hasAttributeNS(RDF, "resource"):
        return str(node.getAttributeNS(RDF, "resource"))
    return "".join(part.data for part in node.childNodes if part.nodeType == Node.TEXT_NODE)


def items(array: Element) -> list[Element]:
    """The rdf:li elements of a property that is a Seq, Bag or Alt."""
    return [
        item
        for container in children(array)
        for item in children(container)
        if is_named(item, RDF, "li")
    ]


def is_property(attribute: Attr) -> bool:
    """Whether an attribute of rdf:Description is a property, and not RDF or XML syntax."""
    return attribute.namespaceURI not in (None, RDF, XMLNS, _XML)


def legal(text: str) -> str:
    """`text` with every character that XML 1.0 cannot hold made U+FFFD."""
    return "".join(c if _is_legal(ord(c)) else "\ufffd" for c in text)


def _is_legal(code: int) -> bool:
    if code < 0x20:
        return code in (0x09, 0x0A, 0x0D)
    return not (0xD800 <= code <= 0xDFFF or 0xFFFE <= code <= 0xFFFF)


def _parsed(packet: bytes) -> Document:
    if not packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        packet = packet.strip(b"\0 \t\r\n")  # padding, and the C string's end
    try:
        document: Document = parseString(packet)
        root: Any = document.documentElement
    except (ExpatError, DefusedXmlException, ValueError) as error:
        raise MalformedXmp(str(error)) from error
    level, depth = [root], 0
    while level:
        level, depth = [child for node in level for child in children(node)], depth + 1
        if depth > _DEEPEST:
            raise MalformedXmp(f"it is nested more than {_DEEPEST} levels deep")
    return document


def _set_text(node: Element | Attr, text: str) -> None:
    if isinstance(node, Attr):
        node.value = text
        return
    while node.firstChild:
        node.removeChild(node.firstChild)
    document: Any = node.ownerDocument
    node.appendChild(document.createTextNode(text))


def _text_of(node: Any) -> str:
    if node.nodeType == Node.TEXT_NODE or node.nodeType == Node.CDATA_SECTION_NODE:
        return escape(node.data, _LINE_BREAKS)
    if node.nodeType == Node.COMMENT_NODE:
        return f"<!--{node.data}-->"
    if node.nodeType == Node.PROCESSING_INSTRUCTION_NODE:
        return f"<?{node.target} {node.data}?>"
    attributes = "".join(
        f' {attribute.name}="{escape(attribute.value, _IN_ATTRIBUTE)}"'
        for attribute in node.attributes.values()
    )
    inside = "".join(_text_of(child) for child in node.childNodes)
    return f"<{node.tagName}{attributes}>{inside}</{node.tagName}>"
