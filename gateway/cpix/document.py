"""XML of a stranger as a small tree: no DTD, so no entities and nothing external; bounded.

Expat calls back before it reads a declaration, so that nothing of a DTD is ever taken in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from gateway.problems import ProblemError

DEPTH_MAX: Final = 8
ELEMENTS_MAX: Final = 512
NAMESPACES: Final = {
    "cpix": "urn:dashif:org:cpix",
    "pskc": "urn:ietf:params:xml:ns:keyprov:pskc",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "enc": "http://www.w3.org/2001/04/xmlenc#",
}
"""By the prefix that names carry here, whatever the document's own are."""
_PREFIXES: Final = {uri: prefix for prefix, uri in NAMESPACES.items()}
_SCHEMA_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
_ENCODINGS: Final = frozenset({"", "utf-8", "us-ascii"})


@dataclass(slots=True)
class Element:
    """One element; its name is `prefix:local`, `?:local` in a namespace that is not known."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> list[Element]:
        """The children of this name."""
        return [child for child in self.children if child.name == name]


def read_document(body: bytes) -> Element:
    """The root element. ProblemError 400 for what is no XML, or not such XML as is taken here."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.ProcessingInstructionHandler = _refuse_instruction
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add_text
    try:
        parser.Parse(body.decode(), True)  # expat would follow a byte order mark to UTF-16
    except expat.ExpatError as error:
        raise _refusal(expat.errors.messages[error.code]) from error
    except UnicodeDecodeError as error:
        raise _refusal("not UTF-8") from error
    assert reader.root is not None, "a document without a root is none to expat"
    return reader.root


class _Reader:
    """Builds the tree as expat calls."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX or len(self._open) >= DEPTH_MAX:
            raise _refusal(f"at most {ELEMENTS_MAX} elements, {DEPTH_MAX} deep")
        element = Element(
            _prefixed(name),
            {
                _prefixed(key) if " " in key else key: value
                for key, value in attributes.items()
                if not key.startswith(_SCHEMA_INSTANCE)
            },
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def add_text(self, text: str) -> None:
        self._open[-1].text += text


def _prefixed(name: str) -> str:
    uri, _, local = name.rpartition(" ")
    return f"{_PREFIXES.get(uri, '?')}:{local}"


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if (encoding or "").lower() not in _ENCODINGS:
        raise _refusal("only UTF-8 is read")


def _refuse_doctype(*_: object) -> None:
    raise _refusal("a document type declaration is not read")


def _refuse_instruction(*_: object) -> None:
    raise _refusal("a processing instruction is not read")


def _refusal(detail: str) -> ProblemError:
    return ProblemError(400, "xml", detail)
