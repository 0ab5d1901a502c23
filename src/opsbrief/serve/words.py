"""Query strings as people type them: words, phrases, fields, wildcards, AND, OR, NOT, parentheses.

A word is found anywhere in a text, whatever its case: there is no analyzer here, so more is found
than a cluster would find, never less.
"""

import re
from collections.abc import Callable

from opsbrief.serve.errors import AskedError
from opsbrief.serve.lines import Line

Test = Callable[[Line], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>[()])|(?P<word>[+-]?(?:[\w.@*\\-]+:)?(?:\"(?:\\.|[^\"\\])*\"|(?:\\.|[^\s()\"\\])*))(?P<open>\()?)"
)
_DEPTH = 50


def fitting(text: str) -> Test:
    """Return what tells whether a line fits a query string. Raises AskedError when it cannot be read."""
    if text.strip() in {"", "*", "*:*"}:
        return lambda _line: True
    found = _Reader(text).read()
    whole = text.strip()
    # The very question that the lines were collected with needs no second opinion.
    return lambda line: whole in line.queries or found(line)


def contains(value: str, wanted: str) -> bool:
    """Whether ``wanted`` (wildcards allowed) stands somewhere in ``value``; one look along the text."""
    value, at = value.lower(), 0
    for part in wanted.lower().replace("?", "*").split("*"):
        found = value.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


class _Reader:
    """A recursive reader of one query string; words beside each other mean either, as in Elasticsearch."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if not found or found.end() == at:
                raise AskedError(f"Failed to parse query [{text[:200]}]", kind="query_shard_exception")
            self._tokens += [part for part in (found["mark"] or found["word"], found["open"]) if part]
            at = found.end()
        self._at = 0

    def read(self) -> Test:
        found = self._any(0)
        if self._at < len(self._tokens):
            raise AskedError(f"Failed to parse query [{self._text[:200]}]", kind="query_shard_exception")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _any(self, depth: int, field: str = "") -> Test:
        if depth > _DEPTH:
            raise AskedError("the query is nested too deep", kind="query_shard_exception")
        must: list[Test] = []
        may = [self._all(depth, field, must)]
        while self._peek() not in {"", ")"}:
            if self._peek() in {"OR", "||"}:
                self._at += 1
            may.append(self._all(depth, field, must))
        if must and len(must) == len(may):
            return lambda line: all(one(line) for one in must)
        return lambda line: all(one(line) for one in must) and (bool(must) or any(one(line) for one in may))

    def _all(self, depth: int, field: str, must: list[Test]) -> Test:
        required = self._peek()[:1] in {"+", "-"}
        found = [self._one(depth, field)]
        while self._peek() in {"AND", "&&"}:
            self._at += 1
            found.append(self._one(depth, field))
        each: Test = found[0] if len(found) == 1 else lambda line: all(one(line) for one in found)
        if required:
            must.append(each)
        return each

    def _one(self, depth: int, field: str) -> Test:
        part = self._peek()
        self._at += 1
        if part in {"NOT", "!"}:
            inner = self._one(depth + 1, field)
            return lambda line: not inner(line)
        if part == "(":
            return self._group(depth, field)
        if part in {"", ")", "AND", "OR", "&&", "||"} or depth > _DEPTH:
            raise AskedError(f"Failed to parse query [{self._text[:200]}]", kind="query_shard_exception")
        sign = part[:1] if part[:1] in {"+", "-"} and len(part) > 1 else ""
        name, colon, rest = part[len(sign) :].partition(":")
        if part[len(sign) :].startswith('"') or not colon:
            name, rest = field, part[len(sign) :]
        found = self._group(depth, name) if not rest and self._opens() else _term(name, rest)
        return (lambda line: not found(line)) if sign == "-" else found

    def _opens(self) -> bool:
        if self._peek() == "(":
            self._at += 1
            return True
        return False

    def _group(self, depth: int, field: str) -> Test:
        found = self._any(depth + 1, field)
        if self._peek() != ")":
            raise AskedError(f"Failed to parse query [{self._text[:200]}]", kind="query_shard_exception")
        self._at += 1
        return found


def _term(field: str, word: str) -> Test:
    if word.startswith('"'):
        word = word[1:-1]
    word = re.sub(r"\\(.)", r"\1", word)
    if field == "_exists_":
        return lambda line: bool(line.get(word))
    if field and field != "*":
        return lambda line: (word == "*" == word and bool(line.get(field))) or contains(line.get(field), word)
    return lambda line: any(contains(value, word) for value in line.fields.values())
