from __future__ import annotations

import codecs
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cpix.document import DEPTH_MAX, ELEMENTS_MAX, read_document
from gateway.problems import ProblemError

LAUGHS = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a",
        b"<a></b>",
        b"<a/><b/>",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        b"<a>\xff</a>",
        b"<x:a/>",
        b"<a>\x00</a>",
        b"<a b='1' b='2'/>",
        b"<a>&unknown;</a>",
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b"<?php echo 1 ?><a/>",
        b"<a><?pi?></a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x">%x;]><a/>',
        b'<!DOCTYPE a [<!ENTITY a0 "ha">' + LAUGHS + b"]><a>&a9;</a>",
        b'<!DOCTYPE a [<!ENTITY a0 "ha">' + LAUGHS + b']><a b="&a9;"/>',
        b'<!DOCTYPE a [<!ATTLIST a b CDATA "default">]><a/>',
        b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1),
        b"<a>" + b"<b/>" * ELEMENTS_MAX + b"</a>",
    ],
)
def test_what_is_no_plain_xml_is_400(body: bytes) -> None:
    with pytest.raises(ProblemError) as raised:
        read_document(body)
    assert (raised.value.problem.status, raised.value.problem.reason) == (400, "xml")
    assert "passwd" not in raised.value.problem.detail


def test_names_are_those_of_their_namespaces_whatever_the_prefixes() -> None:
    root = read_document(
        codecs.BOM_UTF8
        + b'<CPIX xmlns="urn:dashif:org:cpix" xmlns:q="http://www.w3.org/2000/09/xmldsig#"'
        b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x y" id="1">'
        b"<!-- ignored --><q:X509Data>a&amp;<![CDATA[b]]></q:X509Data>"
        b'<x xmlns=""/><y xmlns="cpix"/></CPIX>'
    )
    assert root.name == "cpix:CPIX"
    assert root.attributes == {"id": "1"}
    assert [child.name for child in root.children] == ["ds:X509Data", "?:x", "?:y"]
    assert root.children[0].text == "a&b"


@given(
    st.binary(max_size=200) | st.text(alphabet="<>/a:=\"' &;![]-?x", max_size=80).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(ProblemError):
        read_document(body)
