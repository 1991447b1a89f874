"""YAML and JSON as values that know their lines.

Parsed from events, so nothing recurses: neither deep nesting nor an alias that holds itself can exhaust the stack.
Scalars mean what they mean to Kubernetes: dates stay text, keys are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

__all__ = ["Document", "Node", "Problem", "documents"]

_DEPTH_MAX: Final = 200
_SIZE_MAX: Final = 2_000_000
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset(("yes", "true", "on"))
_INT64: Final = 2**63
_EXPONENT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")
_INDEX: Final = re.compile(r"[0-9]{1,9}")
_HALVES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the text itself: the line, from 1, and whether it makes the document useless."""

    line: int
    message: str
    fatal: bool = True


@dataclass(slots=True)
class Node:
    """A value with its place in the text.

    Attributes:
        line: where it begins, from 1.
        value: of a scalar, as JSON has it.
        fields: of an object, by key; None for anything else.
        items: of a list; None for anything else.
        keys: lines of the keys of an object.
        size: values in it, itself included; what aliases repeat counts each time.
        depth: levels of nesting below it.
    """

    line: int
    value: Any = None
    fields: dict[str, Node] | None = None
    items: list[Node] | None = None
    keys: dict[str, int] = field(default_factory=dict)
    size: int = 1
    depth: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is neither an object nor a list."""
        return self.fields is None and self.items is None

    def json(self) -> Any:
        """The value; what aliases repeat is shared. Nested at most as deep as documents may be."""
        return _json(self, {})

    def place(self, path: str) -> int:
        """Line of a path such as ``spec.roles[0].labels[a.b/c]``; of its nearest parent when it is not there."""
        node, line, rest = self, self.line, path if path.startswith("[") else f".{path}"
        while rest:
            step = _step(node, rest)
            if step is None:
                return line
            node, line, rest = step
        return line


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a stream: its root, None when it is empty or useless, and what is wrong with its text."""

    root: Node | None
    problems: tuple[Problem, ...] = ()


def documents(text: str) -> Iterator[Document]:
    """The documents of a YAML stream or a JSON text, empty ones left out. Never raises."""
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        # JSON has tabs only between values, where YAML takes none, and writes what is beyond 16 bits as two halves.
        text = _HALVES.sub(_joined, text.replace("\t", " "))
    try:
        yield from _stream(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(str(part) for part in (error.context, error.problem) if part)
        yield Document(None, (Problem((mark.line if mark else 0) + 1, f"is no YAML: {words}"),))
    except (yaml.YAMLError, UnicodeError) as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        yield Document(None, (Problem(line, f"is no YAML: {' '.join(str(error).split())}"),))


def _stream(text: str) -> Iterator[Document]:
    builder = _Builder()
    for event in yaml.parse(text.encode("utf-8", "surrogatepass") if _LOADER is yaml.SafeLoader else text, _LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder()
        elif isinstance(event, yaml.DocumentEndEvent):
            document = builder.document()
            if document is not None:
                yield document
        else:
            builder.take(event)


class _Builder:
    """One document, from its events."""

    def __init__(self) -> None:
        self._root: Node | None = None
        self._open: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._problems: list[Problem] = []
        self._resolver: Any = Resolver()

    def document(self) -> Document | None:
        if any(problem.fatal for problem in self._problems):
            return Document(None, tuple(self._problems))
        if self._root is None or (self._root.value is None and self._root.plain):
            return None
        return Document(self._root, tuple(self._problems))

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            node = Node(_line(event))
            node.value = self._scalar(event, node.line)
            self._anchor(event, node)
            self._add(node, event.value, merge=event.value == "<<" and event.implicit[0])
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            listed = isinstance(event, yaml.SequenceStartEvent)
            line = _line(event)
            node = Node(line, items=[]) if listed else Node(line, fields={})
            self._anchor(event, node)
            self._open.append(_Frame(node))
            if len(self._open) > _DEPTH_MAX:
                self._fatal(node.line, f"is nested more than {_DEPTH_MAX} levels deep")
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            frame = self._open.pop()
            frame.finish()
            self._add(frame.node, None)

    def _fatal(self, line: int, message: str) -> None:
        if not any(problem.message == message for problem in self._problems):
            self._problems.append(Problem(line, message))

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _alias(self, event: Any) -> None:
        line = _line(event)
        node = self._anchors.get(event.anchor)
        if node is None:
            self._fatal(line, f"refers to {event.anchor}, which is defined nowhere before")
        elif any(frame.node is node for frame in self._open):
            self._fatal(line, f"refers to {event.anchor} inside itself")
        else:
            self._add(node, str(node.value) if node.plain else None, line=line)

    def _add(self, node: Node, key: str | None, *, merge: bool = False, line: int = 0) -> None:
        """Put a complete node into what is open; ``key`` is its text should it turn out to be a key."""
        if not self._open:
            self._root = node
        else:
            problem = self._open[-1].add(node, key, line or node.line, merge=merge)
            if problem is not None:
                self._problems.append(problem)
        if node.size > _SIZE_MAX:
            self._fatal(node.line, f"repeats itself through aliases to more than {_SIZE_MAX} values")
        if node.depth > _DEPTH_MAX:
            self._fatal(node.line, f"is nested more than {_DEPTH_MAX} levels deep")

    def _scalar(self, event: Any, line: int) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(ScalarNode, event.value, event.implicit)
            if event.implicit[0] and _EXPONENT.fullmatch(event.value):
                tag = "float"  # YAML 1.1 wants a dot in it, JSON and Go do not
        value = _scalar(tag.removeprefix(_TAG), event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._fatal(line, f"{event.value[:40]} is no number that JSON has")
            return None
        if isinstance(value, str):
            return self._text(value, line)
        return value

    def _text(self, value: str, line: int) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self._fatal(line, "holds half a character (a lone surrogate)")
        return value


class _Frame:
    """A list or an object that is not complete yet."""

    __slots__ = ("_key", "_line", "_merge", "_merged", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self._key: str | None = None
        self._line = 0
        self._merge = False
        self._merged: list[Node] = []

    def add(self, node: Node, key: str | None, line: int, *, merge: bool) -> Problem | None:
        mine = self.node
        if mine.fields is not None and self._key is None:
            self._key, self._line, self._merge = key, line, merge
            if key is None:
                self._key = ""
                return Problem(line, "has a list or an object as a key; keys are text")
            return None
        mine.size += node.size
        mine.depth = max(mine.depth, node.depth + 1)
        if mine.items is not None:
            mine.items.append(node)
            return None
        fields, key, self._key = mine.fields if mine.fields is not None else {}, self._key or "", None
        if self._merge:
            self._merged += node.items if node.items is not None else [node]
            return None
        problem = None
        if key in fields:
            problem = Problem(
                self._line, f"has the key {key[:80]!r} twice; the last one wins, so remove one", fatal=False
            )
        fields[key] = node
        mine.keys[key] = self._line
        return problem

    def finish(self) -> None:
        """Put in what ``<<`` merges; keys of the object itself and of earlier ones win."""
        fields = self.node.fields
        if fields is None:
            return
        for other in self._merged:
            for key, node in (other.fields or {}).items():
                if key not in fields:
                    fields[key] = node
                    self.node.keys[key] = other.keys.get(key, node.line)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _joined(halves: re.Match[str]) -> str:
    high, low = int(halves[2], 16), int(halves[3], 16)
    return halves[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _scalar(tag: str, text: str) -> Any:
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() in _TRUE
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
    return text


def _integer(text: str) -> Any:
    plain = text.replace("_", "")
    if ":" in plain:  # of base 60, which Kubernetes takes for text
        return text
    sign, digits = (plain[0], plain[1:]) if plain[:1] in ("+", "-") else ("", plain)
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2].lower(), 8 if digits[:1] == "0" and digits != "0" else 10)
    try:
        number = int(sign + digits, base)
    except ValueError:  # thousands of digits
        return _float(plain)
    return number if -_INT64 <= number < 2 * _INT64 else _float(str(number))


def _float(text: str) -> Any:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") in (".inf", ".nan"):
        plain = plain.replace(".", "")
    try:
        return float(plain)
    except ValueError:
        return text


def _json(node: Node, known: dict[int, Any]) -> Any:
    found = known.get(id(node))
    if found is not None:
        return found
    if node.fields is not None:
        value: Any = {key: _json(inner, known) for key, inner in node.fields.items()}
    elif node.items is not None:
        value = [_json(inner, known) for inner in node.items]
    else:
        return node.value
    known[id(node)] = value
    return value


def _step(node: Node, rest: str) -> tuple[Node, int, str] | None:
    """One step into a node: the longest key that the rest of the path begins with."""
    if node.items is not None:
        digits, closed, after = rest[1:].partition("]")
        if rest[0] != "[" or not closed or not _INDEX.fullmatch(digits):
            return None
        index = int(digits)
        return (node.items[index], node.items[index].line, after) if index < len(node.items) else None
    fields = node.fields or {}
    bracket = "]" if rest[0] == "[" else ""
    ends = [len(rest), *(index for index in range(len(rest) - 1, 0, -1) if rest[index] in ".[")]
    for end in ends:  # keys may hold dots and brackets themselves
        key = rest[1 : end - len(bracket)]
        if rest[:end].endswith(bracket) and key in fields:
            return fields[key], node.keys.get(key, fields[key].line), rest[end:]
    return None
