"""YAML as Ruby writes it, into plain dictionaries, lists and texts: nothing in it makes anything else.

Built from the parser's events rather than by a loader: without recursion, so that no depth breaks it, and four times
as fast. Ruby's tags only say which class something was of; any other tag is refused. Every scalar stays a text, so
that a commit id of digits and one "e" is no number.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Hashable
from typing import Any

import yaml

from opsbrief import text
from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.deadline import Deadline

CAP = 32 << 20  # bytes of one report
_DEPTH = 64
_ALIASES = 20_000  # Ruby writes one for each list of tags that is said again
_EVENTS = 4_000_000
_PAGE = 5000  # events between two looks at the clock
_STANDARD = "tag:yaml.org,2002:"
_BINARY = frozenset({"!binary", f"{_STANDARD}binary"})
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_NONE: object = object()


def load(data: bytes, deadline: Deadline) -> object:
    """Return the first document: dict, list, str or None. Raises SourceError(BAD_ANSWER) that says what is wrong."""
    if len(data) > CAP:
        raise _wrong(f"is larger than {CAP >> 20} MB")
    builder = _Builder()
    try:
        for number, event in enumerate(yaml.parse(text.decode(data), Loader=_LOADER)):
            if number % _PAGE == 0:
                deadline.remaining()
            if number > _EVENTS:
                raise _wrong(f"has more than {_EVENTS:,} parts")
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(f"is no YAML: {text.line(str(error), 150)}") from None
    return builder.root


def _wrong(what: str) -> SourceError:
    return SourceError(GapKind.BAD_ANSWER, what, "is it a report of Puppet?")


class _Builder:
    """Puts the parser's events together."""

    def __init__(self) -> None:
        self.root: object = None
        self._stack: list[dict[str, object] | list[object]] = []
        self._keys: list[object] = []  # of each mapping on the stack, the key whose value comes next
        self._anchors: dict[str, object] = {}
        self._aliases = 0

    def take(self, event: object) -> None:
        """Take one event. Raises SourceError."""
        if isinstance(event, yaml.ScalarEvent):
            _check(event.tag)
            self._put(_scalar(event), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > _ALIASES or event.anchor not in self._anchors:
                raise _wrong(
                    "has more references than a report can have"
                    if event.anchor in self._anchors
                    else "refers to nothing"
                )
            self._put(self._anchors[event.anchor], None)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _check(event.tag)
            made: dict[str, object] | list[object] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._put(made, event.anchor)
            if len(self._stack) >= _DEPTH:
                raise _wrong(f"is nested deeper than {_DEPTH} levels")
            self._stack.append(made)
            self._keys.append(_NONE)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
            self._keys.pop()

    def _put(self, value: object, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value
        if not self._stack:
            self.root = value
            return
        inner = self._stack[-1]
        if isinstance(inner, list):
            inner.append(value)
        elif self._keys[-1] is _NONE:
            self._keys[-1] = value
        else:
            key = self._keys[-1]
            inner[key if isinstance(key, str) else ""] = value
            self._keys[-1] = _NONE


def _check(tag: str | None) -> None:
    if tag and tag != "!" and tag not in _BINARY and not tag.startswith(("!ruby/", _STANDARD)):
        raise _wrong(f"has the tag {text.line(tag, 80)}, which none of Ruby's reports has")


def _scalar(event: yaml.ScalarEvent) -> str | None:
    value = str(event.value)
    if event.tag in _BINARY:
        try:
            return text.decode(b64decode(value))
        except (Error, ValueError):
            return value
    return None if event.implicit[0] and value in {"", "~", "null"} else value


def dig(value: object, *keys: Hashable) -> Any:  # noqa: ANN401 - YAML is any shape
    """Return what lies below keys of dictionaries; None where it is not there."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
