"""xmpMM:History: what was done to a picture, event by event, for whoever opens its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.dom.minidom import Element

from .xmp import RDF, XMLNS, Packet, children, is_named, items, value_of

MEDIA_MANAGEMENT: Final = "http://ns.adobe.com/xap/1.0/mm/"
EVENT: Final = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"


@dataclass(frozen=True)
class Event:
    """when: ISO 8601. parameters: one line on how it was done."""

    action: str
    agent: str
    when: str
    parameters: str


def events_in(packet: Packet) -> frozenset[tuple[str, str]]:
    """(agent, when) of every event that is there."""
    history = next(packet.properties(MEDIA_MANAGEMENT, "History"), None)
    found = items(history) if isinstance(history, Element) else []
    return frozenset((_field(item, "softwareAgent"), _field(item, "when")) for item in found)


def append_event(packet: Packet, event: Event) -> None:
    history = next(packet.properties(MEDIA_MANAGEMENT, "History"), None)
    if not isinstance(history, Element):
        parent = packet.add_description({"xmpMM": MEDIA_MANAGEMENT})
        history = packet.append(parent, MEDIA_MANAGEMENT, "xmpMM:History")
    sequence = next((node for node in children(history) if is_named(node, RDF, "Seq")), None)
    if sequence is None:
        sequence = packet.append(history, RDF, "rdf:Seq")
    item = packet.append(sequence, RDF, "rdf:li")
    # Declared here, as the packet may use these prefixes for something else.
    item.setAttributeNS(XMLNS, "xmlns:rdf", RDF)
    item.setAttributeNS(XMLNS, "xmlns:stEvt", EVENT)
    item.setAttributeNS(RDF, "rdf:parseType", "Resource")
    for name, text in (
        ("action", event.action),
        ("softwareAgent", event.agent),
        ("when", event.when),
        ("parameters", event.parameters),
        ("changed", "/"),
    ):
        packet.append(item, EVENT, f"stEvt:{name}", text)


def _field(item: Element, name: str) -> str:
    """Written as an element, as an attribute, or as either of an rdf:Description inside."""
    for node in _structures(item):
        if node.hasAttributeNS(EVENT, name):
            return str(node.getAttributeNS(EVENT, name))
        for child in children(node):
            if is_named(child, EVENT, name):
                return value_of(child)
    return ""


def _structures(item: Element) -> Iterator[Element]:
    yield item
    yield from (node for node in children(item) if is_named(node, RDF, "Description"))
