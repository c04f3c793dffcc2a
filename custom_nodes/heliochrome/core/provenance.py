"""Says in the file itself what of it is not the camera's, and what made it.

Written as XMP: IPTC's DigitalSourceType for machines that sort pictures, an xmpMM:History
event for people who open the file's history, and our own namespace for the full record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal
from xml.dom.minidom import Attr, Element

from ..version import SOFTWARE
from .errors import BadImage, BadSetting
from .xmp import (
    RDF,
    XMLNS,
    MalformedXmp,
    Packet,
    children,
    is_named,
    is_property,
    items,
    legal,
    value_of,
)

Kind = Literal["colorization", "preview", "generation", "variation", "inpainting"]
Parameter = str | int | float | bool

# IPTC Digital Source Type NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/ (2024-10-23).
_NEWSCODES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES: Final[Mapping[Kind, str]] = {
    # "Edited using Generative AI: augmentation, correction or enhancement using a Generative AI
    # model". The light is a real capture, and a model trained on other pictures makes up the
    # colours. Not trainedAlgorithmicMedia, which says that all of it is made up; and not
    # algorithmicallyEnhanced, whose changes leave "the main content" as it was.
    "colorization": _NEWSCODES + "compositeWithTrainedAlgorithmicMedia",
    # "Modification or correction by algorithm without changing the main content, initiated or
    # configured by a human". A fixed tone curve; nothing trained takes part.
    "preview": _NEWSCODES + "algorithmicallyEnhanced",
    # "Created using Generative AI": all of it is made up, from words.
    "generation": _NEWSCODES + "trainedAlgorithmicMedia",
    # Made from a picture of the user's, as a whole or within a mask.
    "variation": _NEWSCODES + "compositeWithTrainedAlgorithmicMedia",
    "inpainting": _NEWSCODES + "compositeWithTrainedAlgorithmicMedia",
}
# Of several, a file is called what leaves least of it to the camera.
_SEVERITY: Final = [SOURCE_TYPES[kind] for kind in ("preview", "variation", "generation")]

NAMESPACE: Final = "urn:heliochrome:provenance:1.0/"
IPTC_EXTENSION: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MEDIA_MANAGEMENT: Final = "http://ns.adobe.com/xap/1.0/mm/"
EVENT: Final = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"

_RECORDED: Final = ("kind", "model", "model_sha256", "parameters", "notices", "software")


@dataclass(frozen=True)
class Provenance:
    """How a picture came by its colours, or by its content.

    model and model_sha256: the model's id and its file's digest (of a folder of files: see
    `diffusion.sources.digest`); None where there is none. parameters: the settings; floats are
    finite. notices: what was changed for the user, in sentences. when: aware. earlier: what
    was done to the picture before, oldest first; these have no `earlier` of their own, see
    `after`. Raises BadSetting.
    """

    kind: Kind
    model: str | None
    model_sha256: str | None
    parameters: Mapping[str, Parameter]
    notices: tuple[str, ...]
    when: datetime
    software: str = field(default=SOFTWARE)
    earlier: tuple[Provenance, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in SOURCE_TYPES:
            raise BadSetting(f"Expected kind to be one of {list(SOURCE_TYPES)}, not {self.kind!r}.")
        if self.when.tzinfo is None:
            raise BadSetting("Expected a time with a time zone; use datetime.now(timezone.utc).")
        if any(record.earlier for record in self.earlier):
            raise BadSetting("Expected earlier records in one row; use `after` to add one.")

    def after(self, before: Provenance | None) -> Provenance:
        """This record of a picture that came with the record `before`, if it had one."""
        if before is None:
            return self
        return replace(self, earlier=(*before.earlier, replace(before, earlier=()), *self.earlier))

    @property
    def source_type(self) -> str:
        """IPTC's DigitalSourceType of the file, with all that was done to it."""
        kinds = [SOURCE_TYPES[record.kind] for record in (*self.earlier, self)]
        return max(kinds, key=_SEVERITY.index)


def to_xmp(provenance: Provenance, existing: bytes | None) -> bytes:
    """A packet that says `provenance` and keeps every property of `existing`.

    An earlier DigitalSourceType is kept in our namespace and named in the history; an earlier
    record of ours is replaced, its history event stays. Raises BadImage if `existing` cannot
    be parsed.
    """
    try:
        packet = Packet(existing)
    except MalformedXmp as error:
        raise BadImage(f"Expected XMP that can be added to, but {error}. Leave it out.") from error
    previous = _take_previous(packet)
    _take_ours(packet)
    ours = packet.add_description({"Iptc4xmpExt": IPTC_EXTENSION, "heliochrome": NAMESPACE})
    packet.append(ours, IPTC_EXTENSION, "Iptc4xmpExt:DigitalSourceType", provenance.source_type)
    for name, text in (
        ("Kind", provenance.kind),
        ("Model", provenance.model),
        ("ModelSHA256", provenance.model_sha256),
        ("Parameters", _json(provenance.parameters)),
        ("Software", provenance.software),
        ("When", provenance.when.isoformat()),
    ):
        if text is not None:
            packet.append(ours, NAMESPACE, f"heliochrome:{name}", text)
    _append_array(packet, ours, "Notices", provenance.notices)
    _append_array(packet, ours, "Earlier", tuple(map(_record, provenance.earlier)))
    _append_array(packet, ours, "PreviousDigitalSourceTypes", previous)
    for earlier in provenance.earlier:
        _append_event(packet, earlier, ())
    _append_event(packet, provenance, previous)
    return packet.to_bytes()


def from_xmp(packet: bytes) -> Provenance | None:
    """The record that `to_xmp` wrote; None if there is none or it cannot be understood."""
    try:
        parsed = Packet(packet)
        kind = next(
            (known for known in SOURCE_TYPES if known == parsed.text(NAMESPACE, "Kind")), None
        )
        if kind is None:
            return None
        return Provenance(
            kind=kind,
            model=parsed.text(NAMESPACE, "Model"),
            model_sha256=parsed.text(NAMESPACE, "ModelSHA256"),
            parameters=json.loads(parsed.text(NAMESPACE, "Parameters") or "{}"),
            notices=_array(parsed, "Notices"),
            software=parsed.text(NAMESPACE, "Software") or "",
            when=datetime.fromisoformat(parsed.text(NAMESPACE, "When") or ""),
            earlier=tuple(map(_from_record, _array(parsed, "Earlier"))),
        )
    except (ValueError, TypeError, KeyError, BadSetting):  # MalformedXmp is a ValueError
        return None


def _take_previous(packet: Packet) -> tuple[str, ...]:
    """Remove DigitalSourceType; return it after those replaced before, oldest first."""
    values = list(_array(packet, "PreviousDigitalSourceTypes"))
    for node in list(packet.properties(IPTC_EXTENSION, "DigitalSourceType")):
        values.append(value_of(node))
        packet.remove(node)
    return tuple(value for value in values if value)


def _take_ours(packet: Packet) -> None:
    for description in packet.descriptions():
        own: list[Element | Attr] = [*description.attributes.values(), *children(description)]
        for node in own:
            if node.namespaceURI == NAMESPACE:
                packet.remove(node)
        if not children(description) and not any(
            is_property(attribute) for attribute in description.attributes.values()
        ):
            packet.remove(description)  # it held nothing but our earlier record


def _array(packet: Packet, name: str) -> tuple[str, ...]:
    found = next(packet.properties(NAMESPACE, name), None)
    return tuple(value_of(item) for item in items(found)) if isinstance(found, Element) else ()


def _append_array(packet: Packet, parent: Element, name: str, texts: tuple[str, ...]) -> None:
    if texts:
        array = packet.append(parent, NAMESPACE, f"heliochrome:{name}")
        sequence = packet.append(array, RDF, "rdf:Seq")
        for text in texts:
            packet.append(sequence, RDF, "rdf:li", text)


def _append_event(packet: Packet, provenance: Provenance, previous: tuple[str, ...]) -> None:
    history = next(packet.properties(MEDIA_MANAGEMENT, "History"), None)
    if not isinstance(history, Element):
        parent = packet.add_description({"xmpMM": MEDIA_MANAGEMENT})
        history = packet.append(parent, MEDIA_MANAGEMENT, "xmpMM:History")
    sequence = next((node for node in children(history) if is_named(node, RDF, "Seq")), None)
    if sequence is None:
        sequence = packet.append(history, RDF, "rdf:Seq")
    event = packet.append(sequence, RDF, "rdf:li")
    # Declared here, as the packet may use these prefixes for something else.
    event.setAttributeNS(XMLNS, "xmlns:rdf", RDF)
    event.setAttributeNS(XMLNS, "xmlns:stEvt", EVENT)
    event.setAttributeNS(RDF, "rdf:parseType", "Resource")
    for name, text in (
        ("action", "created" if provenance.kind == "generation" else "edited"),
        ("softwareAgent", provenance.software),
        ("when", provenance.when.isoformat()),
        ("parameters", _sentence(provenance, previous)),
        ("changed", "/"),
    ):
        packet.append(event, EVENT, f"stEvt:{name}", text)


def _sentence(provenance: Provenance, previous: tuple[str, ...]) -> str:
    """One line for the people who read a file's history."""
    parts: list[str] = [provenance.kind]
    if provenance.model:
        parts.append(f"model={provenance.model}")
    if provenance.model_sha256:
        parts.append(f"sha256={provenance.model_sha256}")
    parts += [f"{name}={value}" for name, value in sorted(provenance.parameters.items())]
    if previous:
        parts.append(f"DigitalSourceType was {previous[-1]}")
    return "; ".join(parts)


def _record(provenance: Provenance) -> str:
    """One earlier record, in one line."""
    fields = {name: getattr(provenance, name) for name in _RECORDED}
    return _json({**fields, "when": provenance.when.isoformat()})


def _from_record(line: str) -> Provenance:
    found = json.loads(line)
    fields = {name: found[name] for name in _RECORDED}
    when = datetime.fromisoformat(found["when"])
    return Provenance(**{**fields, "notices": tuple(fields["notices"])}, when=when)


def _json(parameters: Mapping[str, Any]) -> str:
    """Types survive: 1, 1.0, true and "1" come back as what they were."""
    try:
        text = json.dumps(dict(parameters), sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadSetting(
            f"Expected parameters that are text, whole numbers, finite numbers or true and false, "
            f"but {error}."
        ) from error
    return legal(text)
