"""Log lines to patterns, in three steps that are kept apart.

1. ``mask``: every piece of a line that holds a digit becomes ``<*>``. Vectorised over megabytes of text.
2. Counting: equal masked lines are one *key*. Novelty is decided on keys, before anything lossy.
3. ``settle``: a place of a key that was *seen* to vary (many words, all else equal) becomes ``<*>`` too.
   That is learned from the lines themselves; no similarity threshold swallows a new message.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

ANY = "<*>"

_LEARNED = "\x02"  # a place that varies in words, while it is not the same as a place of digits
_MASK = "\x01"  # one byte in the buffer for a masked piece
_VARIES = 4  # different words in one place, all else equal, that make it a variable
_REQUESTS = 64  # the same for what follows GET or POST: a new endpoint is news, until they prove to be without end
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
_PASSES = 3  # places of one key that can be learned
_LIMIT = 200_000  # different keys that are counted one by one
_CHUNK = 1 << 18  # characters masked at a time
_LENGTH = 64  # words of a key within which places are learned

_INSIDE = bytes(byte not in b" \t\n=,;:()[]{}\"'|<>/?&" for byte in range(256))  # 0 for what separates pieces
_DIGIT = bytes(byte in b"0123456789" for byte in range(256))
_QUERY = re.compile(r"([?&][^=&\s?]+=)[^&\s\"']+")
_RUN = re.compile(f"{_MASK}(?:[ ,/.:;-]{{1,2}}{_MASK})+")


def mask(lines: Sequence[str]) -> list[str]:
    """Return for every line its key; of a line with several lines in it, the first."""
    keys: list[str] = []
    known: dict[str, str] = {}
    for chunk in _chunks(lines):
        for raw in _masked(chunk):
            key = known.get(raw)
            if key is None:
                key = known[raw] = _key(raw)
            keys.append(key)
        if len(known) > _LIMIT:
            known.clear()
    return keys


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of single lines of about a megabyte together."""
    chunk: list[str] = []
    size = 0
    for line in lines:
        first = line.partition("\n")[0] if "\n" in line else line
        chunk.append(first)
        size += len(first)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _masked(lines: Sequence[str]) -> list[str]:
    """Return the lines with one ``_MASK`` in the place of each piece that holds a digit."""
    raw = ("\n" + "\n".join(lines) + "\n").encode("utf-8", "replace")  # so that every piece has both its ends
    inside = np.frombuffer(raw.translate(_INSIDE), dtype=np.bool_)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    digit = np.frombuffer(raw.translate(_DIGIT), dtype=np.bool_)
    runs = np.flatnonzero(digit[1:] > digit[:-1]) + 1
    pieces = np.searchsorted(starts, runs, "right") - 1
    pieces = pieces[np.concatenate(([True], pieces[1:] != pieces[:-1]))] if len(pieces) else pieces
    starts, ends = starts[pieces], ends[pieces]
    bounds = np.empty(2 * len(pieces) + 2, dtype=np.int64)
    bounds[0], bounds[-1] = 0, len(raw)
    bounds[1:-1:2], bounds[2:-1:2] = starts + 1, ends  # all but the first byte of a masked piece goes
    kept = np.arange(2 * len(pieces) + 1) % 2 == 0
    copy = np.frombuffer(raw, dtype=np.uint8).copy()
    copy[starts] = ord(_MASK)
    keep = np.repeat(kept, np.diff(bounds))
    text: str = copy[keep].tobytes().decode("utf-8", "replace")
    return text.split("\n")[1:-1]


def _key(raw: str) -> str:
    """Return the key of a masked line: runs of masks as one, values of a URL's query masked, blanks single."""
    if "?" in raw:
        raw = _QUERY.sub(rf"\1{_MASK}", raw)
    return " ".join(_RUN.sub(_MASK, raw).replace(_MASK, ANY).split())


Words = tuple[str, ...]


def settle(keys: Iterable[str]) -> dict[str, str]:
    """Return for every key its template: the key with the places that were seen to vary as ``<*>``."""
    return {key: _text(words) for key, words in _learn(keys).items()}


def _text(words: Words) -> str:
    return " ".join(ANY if word == _LEARNED else word for word in words)


def _learn(keys: Iterable[str]) -> dict[str, Words]:
    """Return for every key its words with the learned places marked."""
    current: dict[str, Words] = {key: tuple(key.split(" ")) for key in keys}
    for _ in range(_PASSES):
        distinct = sorted(set(current.values()))
        values: dict[tuple[int, Words], set[str]] = defaultdict(set)
        for words in distinct:
            for place, word in enumerate(words[:_LENGTH]):
                values[place, words[:place] + words[place + 1 :]].add(word)
        varies = {gap: len(seen) for gap, seen in values.items() if _variable(*gap, seen)}
        if not varies:
            break
        new = {words: _widened(words, varies) for words in distinct}
        current = {key: new[words] for key, words in current.items()}
    return current


def _variable(place: int, rest: Words, seen: set[str]) -> bool:
    """Whether a place with these words is a variable, given the words around it."""
    if len(seen) < 2 or not any(word not in (ANY, _LEARNED) and any(map(str.isalpha, word)) for word in rest):
        return False
    if place and rest[place - 1].lstrip("\"'[(") in _METHODS:
        return len(seen) >= _REQUESTS
    masked = any(ANY in word for word in seen) or _LEARNED in seen
    return masked or len(seen) >= _VARIES


def _widened(words: Words, varies: Mapping[tuple[int, Words], int]) -> Words:
    """Return the words with the most variable place learned."""
    best, most = words, 0
    for place in range(min(len(words), _LENGTH)):
        size = varies.get((place, words[:place] + words[place + 1 :]), 0)
        if size > most:
            best, most = (*words[:place], _LEARNED, *words[place + 1 :]), size
    return best


class Known:
    """What a baseline has said: answers whether a key is news."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Learn from the keys of the baseline alone."""
        learned = _learn(keys)
        self._keys = frozenset(learned)
        self._shapes: dict[int, list[tuple[Words, tuple[int, ...]]]] = defaultdict(list)
        for words in sorted(set(learned.values())):
            if _LEARNED in words:
                fixed = tuple(place for place, word in enumerate(words) if word != _LEARNED)
                self._shapes[len(words)].append((words, fixed))

    def covers(self, key: str) -> bool:
        """Return whether the baseline has this key, or one that differs only where the baseline itself varied."""
        if key in self._keys:
            return True
        words = key.split(" ")
        return any(all(words[at] == shape[at] for at in fixed) for shape, fixed in self._shapes.get(len(words), ()))


class Miner:
    """Counts the patterns of a stream of lines in flat memory."""

    def __init__(self, limit: int = _LIMIT) -> None:
        """Keep at most about ``limit`` different keys; beyond that, rare ones are folded into their templates."""
        self._counts: Counter[str] = Counter()
        self._limit = limit
        self.lines = 0

    def add(self, lines: Iterable[str]) -> None:
        """Count lines; any iterable, a chunk at a time."""
        for chunk in _chunks(lines):
            self._counts.update(_masked(chunk))
            self.lines += len(chunk)
            if len(self._counts) > self._limit:
                self._fold()

    def _fold(self) -> None:
        folded: Counter[str] = Counter()
        for template, count in self.patterns().items():
            folded[template.replace(ANY, _MASK)] += count
        if len(folded) > self._limit // 2:  # lines without end that share nothing: keep the frequent ones
            rest = folded.most_common()[self._limit // 2 :]
            for key, _ in rest:
                del folded[key]
            folded["(other lines)"] += sum(count for _, count in rest)
        self._counts = folded

    def patterns(self) -> Counter[str]:
        """Return how often each pattern was seen."""
        keys: Counter[str] = Counter()
        for raw, count in self._counts.items():
            keys[_key(raw)] += count
        templates = settle(keys)
        found: Counter[str] = Counter()
        for key, count in keys.items():
            found[templates[key]] += count
        return found
