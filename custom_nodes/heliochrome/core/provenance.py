"""Says in the file itself what of it is not the camera's, and what made it.

Written as XMP: IPTC's DigitalSourceType for machines that sort pictures, an xmpMM:History
event for people who open the file's history, and our own namespace for the full record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from xml.dom.minidom import Attr, Element

from ..version import SOFTWARE
from .errors import BadImage, BadSetting
from .source_types import SOURCE_TYPES, Kind, most_synthetic
from .xmp import RDF, MalformedXmp, Packet, children, is_property, items, legal, value_of
from .xmp_history import Event, append_event, events_in

Parameter = str | int | float | bool

NAMESPACE: Final = "urn:heliochrome:provenance:1.0/"
IPTC_EXTENSION: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE: Final = "Iptc4xmpExt:DigitalSourceType"

SOURCE_SHA256: Final = "source_sha256"  # the parameter that holds the digest of the file worked on

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

    def from_file(self, sha256: str, before: Provenance | None) -> Provenance:
        """This record of what was made from the file with that digest (hex), which came with the
        record `before`, if it had one."""
        return replace(self, parameters={**self.parameters, SOURCE_SHA256: sha256}).after(before)

    @property
    def source_type(self) -> str:
        """IPTC's DigitalSourceType of the file, with all that was done to it."""
        before = [SOURCE_TYPES[record.kind] for record in self.earlier]
        return most_synthetic(SOURCE_TYPES[self.kind], before)


def to_xmp(provenance: Provenance, existing: bytes | None) -> bytes:
    """A packet that says `provenance` and keeps every property of `existing`.

    A DigitalSourceType that says more of the picture is made up than `provenance` does stays. The
    earlier one is kept in our namespace and named in the history; an earlier record of ours is
    replaced, its history event stays. Raises BadImage if `existing` cannot
    be parsed.
    """
    try:
        packet = Packet(existing)
    except MalformedXmp as error:
        raise BadImage(f"Expected XMP that can be added to, but {error}. Leave it out.") from error
    known = events_in(packet)
    source_type = most_synthetic(provenance.source_type, _source_types(packet))
    previous = _take_previous(packet)
    _take_ours(packet)
    ours = packet.add_description({"Iptc4xmpExt": IPTC_EXTENSION, "heliochrome": NAMESPACE})
    packet.append(ours, IPTC_EXTENSION, _SOURCE_TYPE, source_type)
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
    for event in map(_event, provenance.earlier):
        if (event.agent, event.when) not in known:
            append_event(packet, event)
    append_event(packet, _event(provenance, previous))
    return packet.to_bytes()


def handed_on(packet: bytes | None) -> bytes | None:
    """What a new picture that is made from one with this packet takes over of it: the
    DigitalSourceType. For `to_xmp`; None if there is none."""
    try:
        found = _source_types(Packet(packet))
    except MalformedXmp:
        return None
    if not found:
        return None
    new = Packet()
    description = new.add_description({"Iptc4xmpExt": IPTC_EXTENSION})
    new.append(description, IPTC_EXTENSION, _SOURCE_TYPE, found[-1])
    return new.to_bytes()


def from_xmp(packet: bytes) -> Provenance | None:
    """The record that `to_xmp` wrote; None if there is none or it cannot be understood."""
    try:
        parsed = Packet(packet)
        found = _understood(
            {
                "kind": parsed.text(NAMESPACE, "Kind"),
                "model": parsed.text(NAMESPACE, "Model"),
                "model_sha256": parsed.text(NAMESPACE, "ModelSHA256"),
                "parameters": json.loads(parsed.text(NAMESPACE, "Parameters") or "{}"),
                "notices": _array(parsed, "Notices"),
                "software": parsed.text(NAMESPACE, "Software") or "",
                "when": parsed.text(NAMESPACE, "When") or "",
            }
        )
        earlier = tuple(_understood(json.loads(line)) for line in _array(parsed, "Earlier"))
        return replace(found, earlier=earlier)
    # MalformedXmp is a ValueError; deep JSON or XML ends in RecursionError
    except (ValueError, TypeError, KeyError, RecursionError, BadSetting):
        return None


def _source_types(packet: Packet) -> tuple[str, ...]:
    nodes = packet.properties(IPTC_EXTENSION, "DigitalSourceType")
    return tuple(value for node in nodes if (value := value_of(node)))


def _take_previous(packet: Packet) -> tuple[str, ...]:
    """Remove DigitalSourceType; return it after those replaced before, oldest first."""
    values = (*_array(packet, "PreviousDigitalSourceTypes"), *_source_types(packet))
    for node in list(packet.properties(IPTC_EXTENSION, "DigitalSourceType")):
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


def _event(provenance: Provenance, previous: tuple[str, ...] = ()) -> Event:
    return Event(
        action="created" if provenance.kind == "generation" else "edited",
        agent=legal(provenance.software),
        when=provenance.when.isoformat(),
        parameters=_sentence(provenance, previous),
    )


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


def _understood(found: Any) -> Provenance:
    """A record as written, whoever wrote it. Raises TypeError, ValueError, KeyError, BadSetting."""
    fields = {name: found[name] for name in _RECORDED}
    parameters, notices = fields["parameters"], fields["notices"]
    sound = (
        isinstance(fields["kind"], str)
        and isinstance(fields["software"], str)
        and all(isinstance(fields[name], str | None) for name in ("model", "model_sha256"))
        and isinstance(notices, list | tuple)
        and all(isinstance(notice, str) for notice in notices)
        and isinstance(parameters, dict)
        and all(isinstance(value, str | int | float) for value in parameters.values())
        and all(math.isfinite(value) for value in parameters.values() if type(value) is float)
    )
    if not sound:
        raise ValueError("a field of the record is of another kind")
    when = datetime.fromisoformat(found["when"])
    return Provenance(**{**fields, "notices": tuple(notices)}, when=when)


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
