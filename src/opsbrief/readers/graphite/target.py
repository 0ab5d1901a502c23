"""Graphite targets: is the syntax right, what do they ask for, which names do they match.

graphite-web answers a target it cannot parse with status 200 and no series (it uses the part it
understands), so a slip of the pen would look like "no data". Therefore targets are read here first.
The grammar is the one of graphite-web 1.1: function calls with positional and named arguments, paths
with globs, pipes, ``template(...)``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SYMBOLS = r"(){},.'\"\\|"
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"[^"\n]*"|'[^'\n]*')
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=\s*[,)]))
      | (?P<path>(?:\\.|[^\s(){},.'"\\|]|\{[^\s(){}'"|]*\}|\.)+)
      | (?P<mark>[(),|])
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WILD = re.compile(r"[*?\[{]")
_SPECIAL = re.compile(r"[*?\[{}\\]")  # without any of these a path is a plain name, of which there are hundreds
_DEPTH = 50  # nesting; nobody writes more, and the parser recurses


class TargetError(ValueError):
    """A target with a mistake in it; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target that could be read."""

    text: str
    paths: tuple[str, ...]  # the metric paths and globs in it
    functions: tuple[str, ...]  # the functions it calls, outermost first

    @property
    def plain(self) -> bool:
        """Whether it is a path or glob alone, without any function."""
        return not self.functions

    @property
    def wild(self) -> bool:
        """Whether it may match several series."""
        return any(_WILD.search(path) for path in self.paths)


def parse(text: str) -> Target:
    """Read one target. Raises TargetError."""
    return _Reader(text).read()


class _Reader:
    """A recursive reader over the tokens of one target."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._paths: list[str] = []
        self._functions: list[str] = []

    def read(self) -> Target:
        if not self._tokens:
            raise TargetError("it is empty")
        self._expression(0)
        if self._at < len(self._tokens):
            raise self._wrong()
        return Target(self._text, tuple(self._paths), tuple(self._functions))

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _wrong(self) -> TargetError:
        if self._at >= len(self._tokens):
            return TargetError("it ends too early: a parenthesis is not closed")
        _kind, text, column = self._tokens[self._at]
        return TargetError(f"{text!r} is not expected at column {column + 1}")

    def _expression(self, depth: int) -> None:
        if depth > _DEPTH:
            raise TargetError(f"it is nested deeper than {_DEPTH} levels")
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != "path":
            raise self._wrong()
        name = self._peek()
        self._at += 1
        if self._peek() == "(":
            self._call(name, depth)
        else:
            self._path(name)
        while self._peek() == "|":
            self._at += 1
            name = self._peek()
            self._at += 1
            if self._peek() != "(":
                raise self._wrong()
            self._call(name, depth)

    def _call(self, name: str, depth: int) -> None:
        if not _NAME.match(name):
            raise TargetError(f"{name!r} is no name of a function")
        self._functions.append(name)
        self._at += 1
        if self._peek() == ")":
            self._at += 1
            return
        while True:
            self._argument(depth)
            mark = self._peek()
            if mark not in {",", ")"}:
                raise self._wrong()
            self._at += 1
            if mark == ")":
                return

    def _argument(self, depth: int) -> None:
        if self._at >= len(self._tokens):
            raise self._wrong()
        kind, text, _column = self._tokens[self._at]
        name, equals, value = text.partition("=")
        literal = kind != "path" or text.lower() in {"true", "false", "none", "inf"}
        if (literal and kind != "mark") or (equals and _NAME.match(name) and self._named(value)):
            self._at += 1
        else:
            self._expression(depth + 1)

    def _named(self, value: str) -> bool:
        """Whether a token "name=value" is a whole argument; "name=" takes the string after it along."""
        if value:
            return True
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ("", "", 0)
        if following[0] in {"string", "number"}:
            self._at += 1
            return True
        return False

    def _path(self, path: str) -> None:
        if path.count("[") != path.count("]"):
            raise TargetError(f"a bracket is not closed in {path!r}")
        if _SPECIAL.search(path):
            matcher(path)  # refuses a class such as [z-a]
        self._paths.append(path)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            what = {"{": "a brace is not closed", "}": "a brace is closed that was not opened"}.get(
                text[at], "a quote is not closed" if text[at] in "\"'" else f"{text[at]!r} cannot stand there"
            )
            raise TargetError(f"{what} (column {at + 1})")
        if match.lastgroup != "space":
            yield str(match.lastgroup), match.group(), at
        elif at == 0 or match.end() == len(text):
            raise TargetError("there is white space around it")
        at = match.end()


def glob(pattern: str) -> re.Pattern[str]:
    r"""Return the regular expression for one level of a path (no dots inside).

    ``*``, ``?``, ``[...]``, ``[!...]`` and ``{a,b}`` as graphite-web reads them; a backslash takes the
    meaning away from the character after it.
    """
    out = []
    at, braces = 0, 0
    while at < len(pattern):
        char = pattern[at]
        close = pattern.find("]", at + 2) if char == "[" else -1
        if char == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        elif close > 0:
            inner = pattern[at + 1 : close].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            out.append(f"[^.{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
            at = close
        else:
            braces += {"{": 1, "}": -1}.get(char, 0)
            special = {"*": "[^.]*", "?": "[^.]", "{": "(?:", "}": ")", ",": "|" if braces else ","}
            out.append(special.get(char, re.escape(char)))
        at += 1
    try:
        return re.compile("".join(out) + r"\Z")
    except re.error as error:
        raise TargetError(f"the pattern {pattern!r} cannot be used: {error}") from None


def levels(path: str) -> list[str]:
    """Return the levels of a path; dots inside braces or after a backslash do not part levels."""
    return re.findall(r"(?:\\.|\{[^{}]*\}|[^.])+", path)


def matcher(path: str) -> re.Pattern[str]:
    """Return the regular expression that whole metric names matching ``path`` fulfil."""
    parts = levels(path)
    out = []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            out.append(".+" if last else r"(?:[^.]+\.)*")
        else:
            level = glob(part).pattern.removesuffix(r"\Z") if _SPECIAL.search(part) else re.escape(part)
            out.append(level + ("" if last else r"\."))
    return re.compile("".join(out) + r"\Z")


def spread(text: str, hosts: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (host, ways to write the target) for each host that ``{host}`` in ``text`` stands for.

    collectd turns the dots of a host's name into underscores; other shippers keep them as levels.
    A text without ``{host}`` is yielded once, for no host.
    """
    if "{host}" not in text:
        yield "", (text,)
        return
    for host in hosts:
        forms = dict.fromkeys((host.replace(".", "_"), host))
        yield host, tuple(text.replace("{host}", form) for form in forms)


def host_of(name: str, hosts: Sequence[str]) -> str:
    """Return which of ``hosts`` stands in a metric's name as whole levels, or "" when none does."""
    tags = tags_of(name)
    framed = f".{name.partition(';')[0]}."
    for host in hosts:
        if tags.get("host") == host or f".{host}." in framed or f".{host.replace('.', '_')}." in framed:
            return host
    return tags.get("host", "")


def tags_of(name: str) -> dict[str, str]:
    """Return the tags in a name such as ``disk.used;host=app1;rack=a``."""
    return dict(pair.split("=", 1) for pair in name.split(";")[1:] if "=" in pair)
