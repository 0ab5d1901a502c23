"""Trees to values: a dataclass is the schema of its own options, and every mistake is found at once."""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin

from opsbrief.config import secrets
from opsbrief.config.hosts import expand
from opsbrief.config.option import LISTS, NOTHING, TABLES, Option, nested, options, shown, suggest, word
from opsbrief.config.scalar import convert, userinfo
from opsbrief.config.tree import Items, Keys, Mark, Node, Table, Text, dotted, kind, plain
from opsbrief.errors import OpsbriefError, Problem
from opsbrief.secret import Secret
from opsbrief.source import Login
from opsbrief.text import line

T = TypeVar("T")

BUILT_IN = "built-in"
_AUTH = "as auth: {user: NAME, password: {env: VARIABLE}}"


class _Wrong:
    """Stands for a value that could not be made; its problem is noted."""


WRONG = _Wrong()


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value: its path, the value as YAML has it (secrets as references), where it comes from."""

    path: Keys
    value: Any
    where: str


class Checker:
    """Builds values and notes every problem and where every effective value comes from."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Keep the environment for the secrets that refer to it."""
        self.problems: list[Problem] = []
        self.settings: list[Setting] = []
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
        given: Mapping[str, Any] = NOTHING,
        fallback: Mapping[str, tuple[Any, str]] = NOTHING,
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
                self.note((*path, key), shown(getattr(default, inner.field.name)), BUILT_IN)
        else:
            self.note(path, shown(default), BUILT_IN)

    def value(self, hint: Any, node: Node, path: Keys, meta: Mapping[str, Any] = NOTHING) -> Any:  # noqa: ANN401 - any annotation
        """Return the value of a node as its annotation wants it, or WRONG."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._union(get_args(hint), node, path, meta)
        if hint is Secret:
            return self._secret(node, path)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._dataclass(hint, node, path)
        if origin in LISTS:
            return self._list(hint, node, path, meta)
        if origin in TABLES:
            return self._mapping(get_args(hint)[1], node, path)
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

    def _dataclass(self, cls: type, node: Node, path: Keys) -> Any:  # noqa: ANN401
        if cls is Login and isinstance(node, Table) and set(node.entries) == {"netrc"}:
            return self._netrc(node, path)
        made = self.build(cls, node, path)
        return WRONG if made is None else made

    def _list(self, hint: Any, node: Node, path: Keys, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401
        item = get_args(hint)[0]
        empty = isinstance(node, Text) and node.empty
        if isinstance(node, Items):
            nodes: Sequence[tuple[Keys, Node]] = [((*path, index), value) for index, value in enumerate(node.items)]
        elif meta.get("single") and not empty:
            nodes = [(path, node)]
        else:
            return self.wrong(node.mark, path, f"must be a list, not {kind(node)}", "write [one, two]")
        if not nodes:
            self.note(path, [], node.mark)
        made = [self.value(item, value, where, meta) for where, value in nodes]
        if any(value is WRONG for value in made):
            return WRONG
        if meta.get("expand"):
            try:
                made = [host for value in made for host in expand(value)]
            except ValueError as error:
                return self.wrong(node.mark, path, str(error))
        origin = get_origin(hint)
        return origin(made) if isinstance(origin, type) and origin is not Sequence else tuple(made)

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
        made = secrets.secret(found, dotted(path), self._env)
        self.secrets.append(made)
        return made

    def _netrc(self, node: Table, path: Keys) -> Any:  # noqa: ANN401
        """Make a login from ``auth: {netrc: HOST}``: both user and password are looked up when needed."""
        made = self._secret(node, path)
        if made is WRONG:
            return WRONG
        _, value = node.entries["netrc"]
        host = value.text if isinstance(value, Text) else ""
        user = Secret(lambda: secrets.netrc(host, dotted(path), self._env)[0], f"{dotted(path)}: user of {host}")
        return Login(user=user, password=made)

    def _scalar(self, hint: Any, node: Node, path: Keys, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if hint in (Any, object):
            self.note(path, plain(node), node.mark)
            return plain(node)
        if not isinstance(node, Text) or node.empty:
            return self.wrong(node.mark, path, f"must be {word(hint, meta)}, not {kind(node)}")
        if bare := userinfo(node.text):
            said = "credentials in a URL end up in logs and briefs"
            return self.wrong(node.mark, path, said, f"write {bare} and give them {_AUTH}")
        try:
            made = convert(hint, node, meta)
        except ValueError as error:
            return self.wrong(node.mark, path, *error.args)
        self.note(path, made if isinstance(made, int | float) else node.text, node.mark)
        return made


def _fits(hint: Any, node: Node) -> bool:  # noqa: ANN401 - any annotation
    """Whether the shape of a node is that of an annotation, for unions."""
    origin = get_origin(hint)
    if isinstance(node, Items):
        return origin in LISTS
    if isinstance(node, Table):
        return origin in TABLES or hint is Secret or nested(hint) is hint
    return hint is not Secret and origin not in (*LISTS, *TABLES) and nested(hint) is not hint
