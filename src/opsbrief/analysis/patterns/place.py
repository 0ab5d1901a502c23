"""Where a new message comes from: the added line of the release that says its constant words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from opsbrief.maths.mining import ANY
from opsbrief.model.evidence import Addition, Release

_WORD = re.compile(r"[A-Za-z]{3,}")
_LEAST = 3  # constant words that must be found together
_SHARE = 0.75  # part of the pattern's words that must be there
_LOGGER = re.compile(r"[A-Za-z_$][\w$]*(?:\.[\w$]+)+:?")  # c.e.shop.pool.ConnectionPool: who says it, not what
_PROSE = (".md", ".txt", ".rst", ".adoc", ".lock", ".json", ".html", ".svg")


class Places:
    """The added lines of all releases, indexed by word."""

    def __init__(self, releases: Iterable[Release]) -> None:
        """Index the additions; a message may go on in the next line of the same file."""
        self._lines: list[tuple[Addition, frozenset[str]]] = []
        self._index: dict[str, list[int]] = defaultdict(list)
        before: Addition | None = None
        for release in releases:
            for addition in release.additions:
                words = frozenset(_words(addition.text))
                if before and before.path == addition.path and before.line + 1 == addition.line and self._lines:
                    self._lines[-1] = (before, self._lines[-1][1] | words)
                    for word in words:
                        self._index[word].append(len(self._lines) - 1)
                for word in words:
                    self._index[word].append(len(self._lines))
                self._lines.append((addition, words))
                before = addition

    def of(self, pattern: str) -> tuple[str, str]:
        """Return ("path:line", its text) of the added line that says the pattern, or two empty strings."""
        wanted = _constant(pattern)
        if len(wanted) < _LEAST:
            return "", ""
        hits: Counter[int] = Counter()
        for word in wanted:
            hits.update(set(self._index.get(word, ())))
        need = max(_LEAST, _SHARE * len(wanted))
        good = [number for number, hit in hits.items() if hit >= need]
        if not good:
            return "", ""
        best = min(good, key=lambda number: (*self._rank(number, hits[number], wanted), number))
        addition = self._lines[best][0]
        return f"{addition.path}:{addition.line}", addition.text.strip()

    def _rank(self, number: int, hit: int, wanted: frozenset[str]) -> tuple[bool, int, int]:
        """Code before prose, many words before few, on the line itself before the one after it."""
        addition, words = self._lines[number]
        return (
            addition.path.endswith(_PROSE),
            -hit,
            len(wanted - frozenset(_words(addition.text))) + len(words - wanted),
        )


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _constant(pattern: str) -> frozenset[str]:
    """Return the words of the message itself: variables, the level, the thread and the logger are left out."""
    pieces = [
        piece
        for piece in pattern.split()
        if (ANY not in piece or "=" in piece) and not _LOGGER.fullmatch(piece) and piece[0] + piece[-1] != "[]"
    ]
    words = frozenset(_words(" ".join(pieces).replace(ANY, " ")))
    return words - {"error", "warn", "warning", "info", "debug", "fatal", "trace", "com", "org", "net"}
