"""The packager's own document with what it asked for filled in: keys, signaling, how to decrypt.

What it said comes back as it was, except key ids: where the content's tier had a key before, that
one is given, under its own id (SPEKE v2.0, Overriding the key identifier).
"""

from __future__ import annotations

import base64
from typing import Final
from uuid import UUID

from lxml import etree

from gateway.cpix.document import NAMESPACES, Element
from gateway.cpix.request import CpixRequest, key_id_of, system_of
from gateway.cpix.signaling import signal
from schemas.licenses import ContentKeys
from schemas.packaging import EncryptedContentKeys, EncryptedValue, KeyDelivery

AES256_CBC: Final = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
RSA_OAEP: Final = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
HMAC_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"

_Node = etree._Element  # noqa: SLF001 - lxml has no public name for what it makes


def write_answer(request: CpixRequest, keys: EncryptedContentKeys | ContentKeys) -> bytes:
    """The document as UTF-8. The keys are in the order that they were asked in."""
    assert len(keys.keys) == len(request.keys)
    deliveries = keys.deliveries if isinstance(keys, EncryptedContentKeys) else ()
    assert tuple(each.certificate for each in deliveries) == request.certificates, (
        "keys are for the asked certificates alone, and not in clear where there are any"
    )
    writer = _Writer(request, keys, deliveries)
    return etree.tostring(writer.write(), encoding="UTF-8", xml_declaration=True)


class _Writer:
    """Copies the request's tree, filling in as it goes."""

    def __init__(
        self,
        request: CpixRequest,
        keys: EncryptedContentKeys | ContentKeys,
        deliveries: tuple[KeyDelivery, ...],
    ) -> None:
        self._request = request
        self._keys = keys
        asked_ids = [asked.key_id for asked in request.keys]
        self._numbers = {key_id: number for number, key_id in enumerate(asked_ids)}
        self._deliveries = iter(deliveries)

    def write(self) -> _Node:
        root = etree.Element(_tag("cpix:CPIX"), nsmap=NAMESPACES)
        self._copy_into(root, self._request.root)
        return root

    def _copy_into(self, node: _Node, element: Element) -> None:
        for name, value in element.attributes.items():
            node.set(name, value)
        if "kid" in element.attributes:
            node.set("kid", str(UUID(self._key_id(element))))
        if element.children:
            for child in element.children:
                self._copy_into(_add(node, child.name), child)
        else:
            node.text = element.text or None
        match element.name:
            case "cpix:DRMSystem":
                self._fill_signals(node, element)
            case "cpix:DeliveryData":  # in their order
                _fill_delivery(node, next(self._deliveries))
            case "cpix:ContentKey":
                self._fill_key(node, element)

    def _key_id(self, element: Element) -> str:
        return self._keys.keys[self._numbers[key_id_of(element)]].key_id

    def _fill_signals(self, node: _Node, element: Element) -> None:
        system, key_id = system_of(element), self._key_id(element)
        for child, asked in zip(node, element.children, strict=True):
            child.text = signal(asked, system, key_id, self._request.scheme)

    def _fill_key(self, node: _Node, element: Element) -> None:
        number = self._numbers[key_id_of(element)]
        secret = _add(_add(node, "cpix:Data"), "pskc:Secret")
        if isinstance(self._keys, EncryptedContentKeys):
            _add_encrypted(secret, AES256_CBC, self._keys.keys[number].value)
        else:
            _add(secret, "pskc:PlainValue").text = _base64(self._keys.keys[number].key)


def _fill_delivery(node: _Node, delivery: KeyDelivery) -> None:
    """CPIX 2.3, DeliveryData: DocumentKey and MACMethod stand after DeliveryKey."""
    document_key = etree.Element(_tag("cpix:DocumentKey"), Algorithm=AES256_CBC)
    secret = _add(_add(document_key, "cpix:Data"), "pskc:Secret")
    _add_encrypted(secret, RSA_OAEP, delivery.document_key)
    mac_method = etree.Element(_tag("cpix:MACMethod"), Algorithm=HMAC_SHA512)
    _add_encrypted(_add(mac_method, "cpix:Key"), RSA_OAEP, delivery.mac_key)
    delivery_key = node.find(_tag("cpix:DeliveryKey"))
    assert delivery_key is not None, "it held the certificate"
    delivery_key.addnext(mac_method)
    delivery_key.addnext(document_key)


def _add_encrypted(parent: _Node, algorithm: str, value: EncryptedValue) -> None:
    """RFC 6030's EncryptedValue, with XML Encryption's method and data, and ValueMAC."""
    encrypted = _add(parent, "pskc:EncryptedValue")
    _add(encrypted, "enc:EncryptionMethod").set("Algorithm", algorithm)
    _add(_add(encrypted, "enc:CipherData"), "enc:CipherValue").text = _base64(value.cipher_value)
    _add(parent, "pskc:ValueMAC").text = _base64(value.value_mac)


def _add(parent: _Node, name: str) -> _Node:
    return etree.SubElement(parent, _tag(name))


def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
