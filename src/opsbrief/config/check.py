"""Trees to values: a dataclass is the schema of its own options, and every mistake is found at once.

What a field's metadata may say:

``help``      one line for ``opsbrief sources`` and the JSON Schema
``key``       the name in the YAML where the field's own is a Python word (``from``)
``internal``  not an option
``path``      a text that is a path: ``~`` and paths relative to the file's folder are resolved
``duration``  a number of seconds that may be written ``20s`` or ``5m``
``single``    a list of which a single value may stand alone
``expand``    a list of host names in which ``app{1..8}`` stands for eight
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from opsbrief.errors import OpsbriefError, Problem, WindowError
from opsbrief.secret import Secret
from opsbrief.source import Login
from opsbrief.text import line
from opsbrief.timespec import duration

from opsbrief.config import secrets
from opsbrief.config.hosts import expand
from opsbrief.config.tree import Items, Keys, Mark, Node, Table, Text, boolean, dotted, integer, kind, number, plain

T = TypeVar("T")

BUILT_IN = "built-in"
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s]*)@", re.ASCII)
_NONE: Mapping[str, Any] = types.MappingProxyType({})


class _Wrong:
    """Stands for a value that could not be made; its problem is noted."""


WRONG = _Wrong()


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value: its path, the value as YAML has it (secrets as references), where it comes from."""

    path: Keys
    value: Any
    where: str


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
    return {
        key: Option(key, item, hints[item.name])
        for item in dataclasses.fields(cls)
        if item.init and not item.metadata.get("internal")
        for key in [item.metadata.get("key", item.name)]
    }


def suggest(word: str, known: Sequence[str], what: str = "known") -> str:
    """Return "did you mean X? known: ..." for a word that is none of ``known``."""
    lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    shown = ", ".join(known) if known else "none"
    return (f"did you mean {lower[near[0]]!r}? " if near else "") + f"{what}: {shown}"


class Checker:
    """Builds values and notes every problem and where every effective value comes from."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Keep the environment for the secrets that refer to it."""
        self.problems: list[Problem] = []
        self.settings: list[Setting] = []
        self.references: list[tuple[Mark, secrets.Reference]] = []
        self.secrets: list[Secret] = []
        self._env = env

    def wrong(self, mark: Mark, path: Keys, message: str, hint: str = "") -> _Wrong:
        """Note a problem; return what stands for the value."""
        self.problems.append(Problem(str(mark), dotted(path), message, hint))
        return WRONG

    def note(self, path: Keys, value: Any, where: object) -> None:  # noqa: ANN401 - any YAML value
        """Note an effective value."""
        self.settings.append(Setting(path, value, str(where)))

    def build(
        self,
        cls: type[T],
        node: Node,
        path: Keys,
        *,
        given: Mapping[str, Any] = _NONE,
        fallback: Mapping[str, tuple[Any, str]] = _NONE,
        also: Sequence[str] = (),
    ) -> T | None:
        """Make a ``cls`` from a mapping; None when something in it is wrong.

        ``given`` sets fields that are no options, ``fallback`` replaces defaults and says where from,
        ``also`` names keys that belong to somebody else.
        """
        before = len(self.problems)
        values = self.fields(cls, node, path, also=also)
        if values is None:
            return None
        for key, option in options(cls).items():
            name = option.field.name
            if name in values or (isinstance(node, Table) and key in node.entries):
                continue
            if name in fallback:
                values[name], where = fallback[name]
                self.note((*path, key), values[name], where)
            elif option.required:
                self.wrong(node.mark, path, f"{key!r} is missing", option.help)
            else:
                self._defaults(option, (*path, key))
        if len(self.problems) > before:
            return None
        try:
            return cls(**values, **given)
        except (ValueError, OpsbriefError) as error:
            self.wrong(node.mark, path, line(str(error)))
            return None

    def fields(self, cls: type, node: Node, path: Keys, also: Sequence[str] = ()) -> dict[str, Any] | None:
        """Check the options that a mapping gives; return field name to value."""
        if isinstance(node, Text) and node.empty:
            node = Table(node.mark)
        if not isinstance(node, Table):
            known = ", ".join(options(cls))
            self.wrong(node.mark, path, f"must be a mapping, not {kind(node)}", f"options: {known}")
            return None
        own = options(cls)
        values = {}
        for key, (mark, value) in node.entries.items():
            if key in also:
                continue
            if not (option := own.get(key)):
                names = [*also, *own]
                self.wrong(mark, path, f"unknown option {line(key, 80)!r}", suggest(key, names, "options"))
                continue
            made = self.value(option.hint, value, (*path, key), option.field.metadata)
            if made is not WRONG:
                values[option.field.name] = made
        return values

    def _defaults(self, option: Option, path: Keys) -> None:
        default = option.default
        if dataclasses.is_dataclass(default):
            for key, inner in options(type(default)).items():
                self.note((*path, key), _shown(getattr(default, inner.field.name)), BUILT_IN)
        else:
            self.note(path, _shown(default), BUILT_IN)

    def value(self, hint: Any, node: Node, path: Keys, meta: Mapping[str, Any] = _NONE) -> Any:  # noqa: ANN401, PLR0911 - one line a type
        """Return the value of a node as its annotation wants it, or WRONG."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._union(get_args(hint), node, path, meta)
        if hint is Login and isinstance(node, Table) and set(node.entries) == {"netrc"}:
            return self._netrc(node, path)
        if hint is Secret:
            return self._secret(node, path)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            made = self.build(hint, node, path)
            return WRONG if made is None else made
        if origin in (tuple, list, Sequence, frozenset, set) or hint in (tuple, list):
            return self._list(hint, node, path, meta)
        if origin in (dict, Mapping):
            return self._mapping(get_args(hint)[1], node, path)
        if hint in (Any, object):
            self.note(path, plain(node), node.mark)
            return plain(node)
        if not isinstance(node, Text) or node.empty:
            return self.wrong(node.mark, path, f"must be {word(hint, meta)}, not {kind(node)}")
        return self._scalar(hint, node, path, meta)

    def _union(self, kinds: tuple[Any, ...], node: Node, path: Keys, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if isinstance(node, Text) and node.empty and type(None) in kinds:
            self.note(path, None, node.mark)
            return None
        wanted = [hint for hint in kinds if hint is not type(None)]
        fitting = [hint for hint in wanted if _fits(hint, node)] or wanted
        if len(fitting) == 1:
            return self.value(fitting[0], node, path, meta)
        before = len(self.problems), len(self.settings)
        for hint in fitting:  # the first that takes it; else what the first has to say
            made = self.value(hint, node, path, meta)
            if made is not WRONG:
                return made
            del self.problems[before[0] :], self.settings[before[1] :]
        return self.value(fitting[0], node, path, meta)

    def _list(self, hint: Any, node: Node, path: Keys, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401
        item = (get_args(hint) or (str,))[0]
        empty = isinstance(node, Text) and node.empty
        if meta.get("single") and not isinstance(node, Items) and not empty:
            nodes: Sequence[tuple[Keys, Node]] = [(path, node)]
        elif isinstance(node, Items):
            nodes = [((*path, index), value) for index, value in enumerate(node.items)]
        else:
            return self.wrong(node.mark, path, f"must be a list, not {kind(node)}", "write [one, two]")
        if not nodes:
            self.note(path, [], node.mark)
        made = [(value, self.value(item, value, where, meta)) for where, value in nodes]
        if any(value is WRONG for _, value in made):
            return WRONG
        values = [value for _, value in made]
        if meta.get("expand"):
            try:
                values = [host for value in values for host in expand(value)]
            except ValueError as error:
                return self.wrong(node.mark, path, str(error))
        return (get_origin(hint) or hint)(values) if get_origin(hint) is not Sequence else tuple(values)

    def _mapping(self, hint: Any, node: Node, path: Keys) -> Any:  # noqa: ANN401
        if not isinstance(node, Table):
            return self.wrong(node.mark, path, f"must be a mapping, not {kind(node)}", "write {NAME: VALUE}")
        if not node.entries:
            self.note(path, {}, node.mark)
        made = {key: self.value(hint, value, (*path, key)) for key, (_, value) in node.entries.items()}
        return WRONG if WRONG in made.values() else made

    def _secret(self, node: Node, path: Keys) -> Any:  # noqa: ANN401
        found = secrets.reference(node, dotted(path))
        if isinstance(found, Problem):
            self.problems.append(found)
            return WRONG
        self.note(path, found.plain, node.mark)
        self.references.append((node.mark, found))
        made = secrets.secret(found, dotted(path), self._env)
        self.secrets.append(made)
        return made

    def _netrc(self, node: Table, path: Keys) -> Any:  # noqa: ANN401
        """Make a login from ``auth: {netrc: HOST}``: both user and password are looked up when needed."""
        made = self._secret(node, path)
        if made is WRONG:
            return WRONG
        (host,) = self.references[-1][1].args
        user = Secret(lambda: secrets.netrc(host, dotted(path), self._env)[0], f"{dotted(path)}: user of {host}")
        return Login(user=user, password=made)

    def _scalar(self, hint: Any, node: Text, path: Keys, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if found := _userinfo(node.text):
            return self.wrong(
                node.mark,
                path,
                "credentials in a URL end up in logs and briefs",
                f"write {found} and give them {_AUTH}",
            )
        try:
            made = convert(hint, node, meta)
        except ValueError as error:
            return self.wrong(node.mark, path, str(error.args[0]), *error.args[1:])
        self.note(path, made if isinstance(made, int | float) else node.text, node.mark)
        return made


_AUTH = "as auth: {user: NAME, password: {env: VARIABLE}}"


def _userinfo(text: str) -> str:
    """Return the URL without its credentials when it has some; a bare user of ssh:// is none."""
    found = _USERINFO.match(text)
    if not found:
        return ""
    scheme, info = found.groups()
    if scheme.lower() in ("http", "https", "smtp", "smtps") or ":" in info:
        return line(f"{scheme}://{text[found.end() :]}", 120)
    return ""


def convert(hint: Any, node: Text, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401, C901, PLR0911, PLR0912 - one branch a type
    """Return a scalar as its annotation wants it. Raises ValueError(message, hint)."""
    text = node.text
    shown = repr(line(text, 60))
    if hint is str:
        return _path(text, node.mark) if meta.get("path") else text
    if hint is Path:
        return Path(_path(text, node.mark))
    if hint is bool:
        if (truth := boolean(node)) is None:
            meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower())
            raise ValueError(f"must be true or false, not {shown}", f"write {meant}" if meant else "")
        return truth
    if hint is int:
        if (whole := integer(node)) is None:
            raise ValueError(f"must be a whole number, not {shown}", _unquote(node, integer))
        return whole
    if hint is timedelta or (hint is float and meta.get("duration")):
        return _length(hint, node)
    if hint is float:
        if (real := number(node)) is None:
            raise ValueError(f"must be a number, not {shown}", _unquote(node, number))
        return real
    if get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in get_args(hint) if choice != ""}
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {shown}", _near(text, list(choices)))
        return choices[text]
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = {str(member.value): member for member in hint}
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}, not {shown}", _near(text, list(names)))
        return names[text]
    if hint is re.Pattern or get_origin(hint) is re.Pattern:
        try:
            return re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
    raise ValueError(f"has a type that cannot be configured: {hint!r}", "a defect of the source")


def _near(text: str, known: Sequence[str]) -> str:
    near = get_close_matches(text.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _unquote(node: Text, read: Any) -> str:  # noqa: ANN401 - integer or number
    return "" if node.plain or read(Text(node.mark, node.text)) is None else "write it without quotes"


def _length(hint: Any, node: Text) -> Any:  # noqa: ANN401 - timedelta or float
    seconds = number(node)
    if seconds is None:
        try:
            seconds = duration(node.text).total_seconds()
        except WindowError as error:
            raise ValueError(error.message, error.hint) from None
    elif hint is timedelta:
        raise ValueError(f"{node.text} has no unit", f"write {node.text}s, {node.text}m or {node.text}h")
    if not 0 < seconds < math.inf:
        raise ValueError(f"must be longer than nothing, not {node.text!r}")
    return timedelta(seconds=seconds) if hint is timedelta else seconds


def _path(text: str, mark: Mark) -> str:
    """Return a path as the program needs it; globs and everything else in it stay as they are."""
    if text.startswith("~"):
        return str(Path(text).expanduser())
    if text.startswith("/") or not text or mark.file.path is None:
        return text
    return str(mark.file.folder / text)


def _fits(hint: Any, node: Node) -> bool:  # noqa: ANN401 - any annotation
    """Whether the shape of a node is that of an annotation, for unions."""
    origin = get_origin(hint)
    if isinstance(node, Items):
        return origin in (tuple, list, Sequence) or hint in (tuple, list)
    if isinstance(node, Table):
        return origin in (dict, Mapping) or dataclasses.is_dataclass(hint) or hint is Secret
    return origin not in (tuple, list, Sequence, dict, Mapping) and not dataclasses.is_dataclass(hint)


def _shown(value: Any) -> Any:  # noqa: ANN401 - any default
    """Return a default as YAML would have it."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, tuple | list | set | frozenset):
        return [_shown(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _shown(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _shown(getattr(value, option.field.name)) for key, option in options(type(value)).items()}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def word(hint: Any, meta: Mapping[str, Any] = _NONE) -> str:  # noqa: ANN401, PLR0911 - one line a type
    """Return what an annotation asks for, in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(word(arg, meta) for arg in args if arg is not type(None))
    if origin in (tuple, list, Sequence, frozenset, set):
        return f"a list of {word(args[0]).removeprefix('a ')}s" if args else "a list"
    if origin in (dict, Mapping):
        return "a mapping"
    if origin is Literal:
        return "one of " + ", ".join(str(arg) for arg in args if arg != "")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(str(member.value) for member in hint)
    if hint is timedelta or meta.get("duration"):
        return "a length of time such as 20s or 5m"
    if meta.get("path") or hint is Path:
        return "a path"
    if origin is re.Pattern or hint is re.Pattern:
        return "a regular expression"
    if dataclasses.is_dataclass(hint):
        return "a mapping"
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint, "a reference to a secret" if hint is Secret else "a value")
