"""Provenance: the record comes back equal, and nothing that was there goes away."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from heliochrome.core.errors import BadImage, BadSetting
from heliochrome.core.provenance import Provenance, from_xmp, handed_on, to_xmp
from heliochrome.core.source_types import SOURCE_TYPES
from photo_samples import CHINESE, PROVENANCE, XMP

NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mm": "http://ns.adobe.com/xap/1.0/mm/",
    "evt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "ours": "urn:heliochrome:provenance:1.0/",
}
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/print"


def parse(packet):
    """By a parser that the writer does not use."""
    return ElementTree.fromstring(packet.decode().strip("\ufeff"))


def packet_with(inside, attributes="", prefix="rdf"):
    declared = " ".join(f'xmlns:{name}="{uri}"' for name, uri in NAMES.items() if name != "rdf")
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><{prefix}:RDF xmlns:{prefix}="{NAMES["rdf"]}">'
        f'<{prefix}:Description {prefix}:about="uuid:1" {declared} {attributes}>{inside}'
        f"</{prefix}:Description></{prefix}:RDF></x:xmpmeta>"
    ).encode()


PREVIEW = Provenance(
    kind="preview",
    model=None,
    model_sha256=None,
    parameters={},
    notices=(),
    when=datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=timezone(timedelta(hours=8))),
)
AWKWARD = Provenance(
    kind="colorization",
    model="\"<&>'",
    model_sha256="0" * 64,
    parameters={
        "i": 1,
        "f": 1.0,
        "b": True,
        "s": "1",
        "e": 1e-300,
        "中": "文\n\t<&\"'",
        "empty": "",
    },
    notices=("", " spaces ", "line\nbreak", "回车\r\n", "]]>", "-->", "😀"),
    when=datetime(1999, 12, 31, tzinfo=timezone.utc),
    software="Other 9",
)

GENERATED = Provenance("generation", "sd", None, {"prompt": "a cat"}, (), PROVENANCE.when)
PAINTED = Provenance("inpainting", "sd", "0" * 64, {"seed": 7}, ("told",), PROVENANCE.when, "Old 1")
LATER = PROVENANCE.after(PAINTED).after(GENERATED)


@pytest.mark.parametrize(
    "provenance",
    [PROVENANCE, PREVIEW, AWKWARD, LATER, PREVIEW.after(AWKWARD)],
    ids=["usual", "preview", "awkward", "later", "after-awkward"],
)
@pytest.mark.parametrize("existing", [None, XMP], ids=["new", "existing"])
def test_what_is_written_is_read_back_equal(provenance, existing):
    back = from_xmp(to_xmp(provenance, existing))
    assert back == provenance
    assert [type(v) for v in back.parameters.values()] == [
        type(provenance.parameters[k]) for k in back.parameters
    ]


@pytest.mark.parametrize(
    ("provenance", "code"),
    [
        (PROVENANCE, "compositeWithTrainedAlgorithmicMedia"),
        (PREVIEW, "algorithmicallyEnhanced"),
        (GENERATED, "trainedAlgorithmicMedia"),
        (PAINTED, "compositeWithTrainedAlgorithmicMedia"),
        (replace(PAINTED, kind="variation"), "compositeWithTrainedAlgorithmicMedia"),
        (PROVENANCE.after(PAINTED), "compositeWithTrainedAlgorithmicMedia"),
        (PREVIEW.after(PAINTED), "compositeWithTrainedAlgorithmicMedia"),
        (PREVIEW.after(PREVIEW), "algorithmicallyEnhanced"),
        (LATER, "trainedAlgorithmicMedia"),  # no part of it was ever a camera's
    ],
)
def test_the_source_type_is_iptc_s(provenance, code):
    root = parse(to_xmp(provenance, None))
    (found,) = root.findall(".//ext:DigitalSourceType", NAMES)
    assert found.text == f"http://cv.iptc.org/newscodes/digitalsourcetype/{code}"
    assert provenance.source_type == found.text


def test_every_kind_is_placed_among_the_others():
    for kind in SOURCE_TYPES:
        assert replace(PREVIEW, kind=kind).after(PREVIEW).source_type == SOURCE_TYPES[kind]


def test_the_history_event():
    root = parse(to_xmp(PROVENANCE, None))
    (event,) = root.findall(".//mm:History/rdf:Seq/rdf:li", NAMES)
    found = {child.tag.split("}")[1]: child.text for child in event}
    assert found["action"] == "edited"
    assert found["softwareAgent"] == PROVENANCE.software
    assert found["when"] == "2026-01-02T03:04:05+00:00"
    for word in ("colorization", "ddcolor_v2", "size=512", "ab" * 32):
        assert word in found["parameters"]


def test_every_step_has_an_event_of_its_own_oldest_first():
    root = parse(to_xmp(LATER, packet_with("")))
    events = [
        {child.tag.split("}")[1]: child.text for child in event}
        for event in root.findall(".//mm:History/rdf:Seq/rdf:li", NAMES)
    ]
    assert [event["action"] for event in events] == ["created", "edited", "edited"]
    assert [event["softwareAgent"] for event in events][1] == "Old 1"
    for event, words in zip(
        events,
        ("generation; model=sd; prompt=a cat", "inpainting; ", "colorization; "),
        strict=True,
    ):
        assert event["parameters"].startswith(words)


def test_records_that_came_before_stand_in_one_row():
    assert [record.kind for record in LATER.earlier] == ["generation", "inpainting"]
    assert all(record.earlier == () for record in LATER.earlier)
    assert PROVENANCE.after(None) is PROVENANCE
    assert GENERATED.after(LATER).earlier == (GENERATED, PAINTED, PROVENANCE)


def test_a_record_before_that_cannot_be_understood_is_no_record():
    packet = to_xmp(PROVENANCE.after(PAINTED), None)
    assert from_xmp(packet.replace(b'"inpainting"', b'"magic"')) is None
    assert from_xmp(packet.replace(b'"seed"', b'seed"')) is None
    assert from_xmp(packet.replace(b'"software"', b'"hardware"')) is None


def swapped(packet, inside, value):
    """The packet with the text of one property of ours, or of an earlier record, replaced."""
    root = parse(packet)
    (found,) = root.findall(inside, NAMES)
    old = escape(found.text).encode()
    assert packet.count(old) == 1
    return packet.replace(old, escape(value).encode())


@pytest.mark.parametrize(
    "parameters",
    [
        "[1]",
        '"text"',
        "5",
        "[" * 200_000,
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": {"b": 1}}',
        '{"a": null}',
        '{"a": 1' + "0" * 5000 + "}",
    ],
    ids=range(9),
)
def test_settings_that_no_record_has_make_it_none(parameters):
    packet = to_xmp(PAINTED, None)
    assert from_xmp(swapped(packet, ".//ours:Parameters", parameters)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"software": 5},
        {"model": 5},
        {"model_sha256": ["a"]},
        {"notices": "abc"},
        {"notices": [1]},
        {"parameters": [1]},
        {"parameters": None},
        {"parameters": {"a": []}},
        {"kind": []},
        {"kind": "magic"},
        {"when": "2020-01-01"},
        {"when": 5},
    ],
    ids=str,
)
def test_an_earlier_record_with_a_field_of_another_kind_makes_it_none(change):
    packet = to_xmp(PROVENANCE.after(PAINTED), None)
    place = ".//ours:Earlier/rdf:Seq/rdf:li"
    line = json.loads(parse(packet).find(place, NAMES).text)
    for text in (json.dumps({**line, **change}), "[" * 200_000, "[]", '"a"'):
        assert from_xmp(swapped(packet, place, text)) is None
    assert from_xmp(swapped(packet, place, json.dumps(line))) == PROVENANCE.after(PAINTED)


def test_each_step_is_in_the_history_once_however_often_the_file_is_worked_on():
    packet, record = None, None
    for day in range(1, 5):
        when = datetime(2026, 1, day, tzinfo=timezone.utc)
        record = replace(PAINTED, when=when).after(record)
        packet = to_xmp(record, packet)
        events = parse(packet).findall(".//mm:History/rdf:Seq/rdf:li/evt:when", NAMES)
        assert [event.text[:10] for event in events] == [f"2026-01-0{n + 1}" for n in range(day)]
        record = from_xmp(packet)


@pytest.mark.parametrize(
    "event",
    [
        '<rdf:li evt:softwareAgent="Old 1" evt:when="{when}"/>',
        '<rdf:li><rdf:Description evt:softwareAgent="Old 1" evt:when="{when}"/></rdf:li>',
        '<rdf:li rdf:parseType="Resource"><evt:softwareAgent>Old 1</evt:softwareAgent>'
        "<evt:when>{when}</evt:when></rdf:li>",
    ],
    ids=["attributes", "description", "elements"],
)
@pytest.mark.parametrize(("day", "count"), [(0, 2), (1, 3)])
def test_an_event_is_known_however_it_is_written(event, day, count):
    when = (PAINTED.when + timedelta(days=day)).isoformat()
    inside = f"<mm:History><rdf:Seq>{event.format(when=when)}</rdf:Seq></mm:History>"
    packet = to_xmp(PROVENANCE.after(PAINTED), packet_with(inside))
    assert len(parse(packet).findall(".//mm:History/rdf:Seq/rdf:li", NAMES)) == count


@pytest.mark.parametrize(
    ("before", "record", "code"),
    [
        ("trainedAlgorithmicMedia", PAINTED, "trainedAlgorithmicMedia"),
        ("trainedAlgorithmicMedia", PREVIEW, "trainedAlgorithmicMedia"),
        ("algorithmicMedia", PREVIEW, "algorithmicMedia"),
        ("algorithmicMedia", PAINTED, "compositeWithTrainedAlgorithmicMedia"),
        ("compositeSynthetic", PREVIEW, "compositeSynthetic"),
        ("compositeWithTrainedAlgorithmicMedia", PREVIEW, "compositeWithTrainedAlgorithmicMedia"),
        ("print", PREVIEW, "algorithmicallyEnhanced"),
        ("somethingElse", PAINTED, "compositeWithTrainedAlgorithmicMedia"),
        ("algorithmicallyEnhanced", PAINTED, "compositeWithTrainedAlgorithmicMedia"),
        ("print", GENERATED, "trainedAlgorithmicMedia"),
    ],
)
@pytest.mark.parametrize("scheme", ["http://cv.iptc.org/newscodes/digitalsourcetype/", ""])
def test_what_was_made_up_before_is_not_called_less(before, record, code, scheme):
    """Whoever made it."""
    packet = packet_with(f"<ext:DigitalSourceType>{scheme}{before}</ext:DigitalSourceType>")
    for existing in (packet, handed_on(packet)):
        (found,) = parse(to_xmp(record, existing)).findall(".//ext:DigitalSourceType", NAMES)
        assert found.text == f"http://cv.iptc.org/newscodes/digitalsourcetype/{code}"


def test_only_the_source_type_is_handed_on():
    packet = packet_with(f"<dc:a>1</dc:a><ext:DigitalSourceType>{CAPTURE}</ext:DigitalSourceType>")
    root = parse(handed_on(to_xmp(PAINTED, packet)))
    (found,) = root.find("rdf:RDF", NAMES).findall("rdf:Description/*", NAMES)
    assert found.text == SOURCE_TYPES["inpainting"]
    assert [handed_on(other) for other in (None, XMP, b"not xml")] == [None, None, None]


def test_existing_properties_survive():
    """Elements, attributes, arrays, structures, qualifiers, comments and line breaks."""
    inside = (
        f'<dc:title><rdf:Alt><rdf:li xml:lang="zh">{CHINESE}</rdf:li></rdf:Alt></dc:title>'
        "<dc:subject><rdf:Bag><rdf:li>a</rdf:li><rdf:li>b</rdf:li></rdf:Bag></dc:subject>"
        '<mm:DerivedFrom rdf:parseType="Resource"><evt:action>x</evt:action></mm:DerivedFrom>'
        '<dc:relation rdf:resource="http://example.org/a?b=1&amp;c=2"/><!-- kept -->'
        "<mm:History><rdf:Seq><rdf:li evt:action='saved'/></rdf:Seq></mm:History>"
    )
    packet = packet_with(inside, 'dc:source="two&#10;lines&#9;tab &quot;q&quot; &lt;"')
    before, after = parse(packet), parse(to_xmp(PROVENANCE, packet))
    old = before.find(".//rdf:Description", NAMES)
    new = after.find(".//rdf:Description", NAMES)
    assert new.attrib == old.attrib
    assert "two\nlines\ttab" in new.get(f"{{{NAMES['dc']}}}source")
    history = f"{{{NAMES['mm']}}}History"
    for was, now in zip(old, new, strict=True):
        if was.tag != history:
            assert ElementTree.tostring(was) == ElementTree.tostring(now)
    events = after.findall(".//mm:History/rdf:Seq/rdf:li", NAMES)
    assert [e.get(f"{{{NAMES['evt']}}}action") for e in events] == ["saved", None]
    assert b"<!-- kept -->" in to_xmp(PROVENANCE, packet)
    abouts = {d.get(f"{{{NAMES['rdf']}}}about") for d in after.findall(".//rdf:Description", NAMES)}
    assert abouts == {"uuid:1"}


@pytest.mark.parametrize(
    ("inside", "attributes"),
    [
        (f"<ext:DigitalSourceType>{CAPTURE}</ext:DigitalSourceType>", ""),
        (f'<ext:DigitalSourceType rdf:resource="{CAPTURE}"/>', ""),
        ("", f'ext:DigitalSourceType="{CAPTURE}"'),
    ],
    ids=["element", "resource", "attribute"],
)
def test_an_earlier_source_type_is_kept_as_previous(inside, attributes):
    once = to_xmp(PROVENANCE, packet_with(inside, attributes))
    twice = to_xmp(PREVIEW, once)
    for packet, previous in ((once, [CAPTURE]), (twice, [CAPTURE, SOURCE_TYPES["colorization"]])):
        root = parse(packet)
        assert len(root.findall(".//ext:DigitalSourceType", NAMES)) == 1
        kept = root.findall(".//ours:PreviousDigitalSourceTypes/rdf:Seq/rdf:li", NAMES)
        assert [item.text for item in kept] == previous
        events = root.findall(".//mm:History/rdf:Seq/rdf:li/evt:parameters", NAMES)
        assert previous[-1] in events[-1].text
    assert from_xmp(twice) == PREVIEW
    assert len(parse(twice).findall(".//ours:Kind", NAMES)) == 1


def test_other_prefixes_for_the_same_names():
    packet = packet_with("<dc:a>1</dc:a>", prefix="r")
    back = to_xmp(PROVENANCE, to_xmp(PREVIEW, packet))
    assert from_xmp(back) == PROVENANCE
    assert parse(back).find(".//dc:a", NAMES).text == "1"


def test_padding_and_encodings():
    assert from_xmp(to_xmp(PROVENANCE, XMP + b" " * 2000 + b"\0")) == PROVENANCE
    wide = packet_with(f"<dc:a>{CHINESE}</dc:a>").decode().encode("utf-16")
    assert parse(to_xmp(PROVENANCE, wide)).find(".//dc:a", NAMES).text == CHINESE


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"not xml",
        b"<a/>",
        XMP[:200],
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>" * 3000 + b"</a>" * 3000,
    ],
)
def test_malformed_packets_are_one_error_and_no_record(packet):
    with pytest.raises(BadImage):
        to_xmp(PROVENANCE, packet)
    assert from_xmp(packet) is None


def test_no_record_in_other_people_s_packets():
    assert from_xmp(XMP) is None
    strange = to_xmp(PROVENANCE, None).replace(b"colorization<", b"something<")
    assert from_xmp(strange) is None


def test_characters_that_xml_cannot_hold():
    broken = Provenance("preview", None, None, {"a": "\0"}, ("bell \a", "\ud800"), PROVENANCE.when)
    back = from_xmp(to_xmp(broken, None))
    assert back.notices == ("bell \ufffd", "\ufffd")
    assert back.parameters == {"a": "\0"}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "magic"},
        {"when": datetime(2026, 1, 1)},
        {"earlier": (PROVENANCE.after(GENERATED),)},
    ],
)
def test_bad_records_are_refused(change):
    fields = {f: getattr(PROVENANCE, f) for f in PROVENANCE.__dataclass_fields__} | change
    with pytest.raises(BadSetting):
        Provenance(**fields)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_parameters_that_cannot_be_stored(value):
    record = Provenance("preview", None, None, {"a": value}, (), PROVENANCE.when)
    with pytest.raises(BadSetting):
        to_xmp(record, None)
