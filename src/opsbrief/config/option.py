"""What the options of a dataclass are: the class is the schema.

What a field's metadata may say:

``help``      one line for ``opsbrief sources`` and the JSON Schema
``key``       the name in the YAML where the field's own is a Python word (``from``)
``internal``  not an option
``path``      a text that is a path: ``~`` and paths relative to the file's folder are resolved
``url``       a text that is an http(s) URL
``regex``     a text that is a regular expression
``baseline``  a text that is a baseline, as in ``--baseline``
``days``      a text that is a weekday or a span of them, ``fri-sun``
``duration``  a number of seconds that may be written ``20s`` or ``5m``
``single``    a list of which a single value may stand alone
``expand``    a list of host names in which ``app{1..8}`` stands for eight
``deploys``   an option without which the source knows no deploys
"""

import dataclasses
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from opsbrief.secret import Secret

NOTHING: Mapping[str, Any] = types.MappingProxyType({})
LISTS = (tuple, list, Sequence, frozenset, set)
TABLES = (dict, Mapping)
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    timedelta: "a length of time such as 20s or 5m",
    Path: "a path",
    re.Pattern: "a regular expression",
    Secret: "a reference to a secret",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a class, as the YAML knows it."""

    key: str
    field: "Field[Any]"
    hint: Any  # its annotation

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.field.default is MISSING and self.field.default_factory is MISSING

    @property
    def default(self) -> Any:  # noqa: ANN401 - any type an option may have
        """Return the default; None when there is none."""
        if self.field.default_factory is not MISSING:
            return self.field.default_factory()
        return None if self.field.default is MISSING else self.field.default

    @property
    def help(self) -> str:
        """What it means, in one line."""
        return str(self.field.metadata.get("help", ""))


def options(cls: type) -> Mapping[str, Option]:
    """Return the options of a dataclass by their name in the YAML."""
    return _options(cls)


@cache
def _options(cls: Hashable) -> Mapping[str, Option]:
    hints = typing.get_type_hints(cls)
    return {option.key: option for option in _own(cls, hints)}


def _own(cls: Any, hints: Mapping[str, Any]) -> Iterator[Option]:  # noqa: ANN401 - a dataclass
    for item in dataclasses.fields(cls):
        if item.init and not item.metadata.get("internal"):
            yield Option(item.metadata.get("key", item.name), item, hints[item.name])


def nested(hint: Any) -> type | None:  # noqa: ANN401 - any annotation
    """Return the dataclass an annotation is, or holds beside None or in a list; else None."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    return next((found for arg in get_args(hint) if (found := nested(arg))), None)


def choices(hint: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any annotation
    """Return what a Literal or Enum allows, by the text in the YAML; None for other annotations."""
    if get_origin(hint) is Literal:
        return {str(choice): choice for choice in get_args(hint) if choice != ""}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {str(member.value): member for member in hint}
    return None


def word(hint: Any, meta: Mapping[str, Any] = NOTHING) -> str:  # noqa: ANN401, PLR0911 - any annotation; one line a type
    """Return what an annotation asks for, in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(word(arg, meta) for arg in args if arg is not type(None))
    if origin in LISTS:
        return f"a list of {word(args[0], meta).removeprefix('a ')}s" if not nested(hint) else "a list of mappings"
    if origin in TABLES or nested(hint):
        return "a mapping"
    if (allowed := choices(hint)) is not None:
        return "one of " + ", ".join(allowed)
    if meta.get("duration") and hint is float:
        return _WORDS[timedelta]
    if meta.get("path") and hint is str:
        return _WORDS[Path]
    return _WORDS.get(origin or hint, "a value")


def shown(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any default; one line a type
    """Return a value as YAML would have it."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Enum):
        return shown(value.value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, LISTS) and not isinstance(value, str):
        return [shown(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): shown(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: shown(getattr(value, option.field.name)) for key, option in options(type(value)).items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)


def suggest(text: str, known: Sequence[str], what: str = "known") -> str:
    """Return "did you mean X? known: ..." for a text that is none of ``known``."""
    near = closest(text, known)
    listed = ", ".join(known) if known else "none"
    return (f"did you mean {near!r}? " if near else "") + f"{what}: {listed}"


def closest(text: str, known: Sequence[str]) -> str:
    """Return the known name that was probably meant, or nothing."""
    lower = {name.lower(): name for name in known}
    near = get_close_matches(text.lower(), list(lower), n=1)
    return lower[near[0]] if near else ""
