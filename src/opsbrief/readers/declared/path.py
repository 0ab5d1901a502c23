"""Paths into JSON such as ``$.data[*].name``: names, positions, and all of them. Nothing is computed or run."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST = 200_000  # values that one path may find

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s*]+) | (?P<all>\.\*|\[\*\]) | \[(?P<place>-?\d{1,9})\]
      | \[(?P<double>"(?:[^"\\]|\\.)*")\] | \['(?P<single>[^']*)'\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Path:
    """A path that could be read: a name, a position, or None for all of them, a step."""

    text: str
    steps: tuple[str | int | None, ...]

    def pick(self, document: object) -> list[Any]:
        """Return every value it leads to, in the document's order, at most MOST and one more."""
        found = [document]
        for step in self.steps:
            found = [inner for value in found for inner in _go(value, step)][: MOST + 1]
        return found

    def first(self, document: object) -> Any:  # noqa: ANN401 - any JSON value
        """Return the first value it leads to; None when there is none."""
        found = self.pick(document)
        return found[0] if found else None


def parse(text: str) -> Path:
    """Read a path; ``$`` and the first dot may be left off. Raises ValueError that says where it goes wrong."""
    rest = text.strip().removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[str | int | None] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if not step:
            raise ValueError(f"the path {text!r} cannot be read from {rest[at : at + 20]!r} on")
        steps.append(_step(step))
        at = step.end()
    return Path(text, tuple(steps))


def _step(found: re.Match[str]) -> str | int | None:
    if found["all"]:
        return None
    if found["place"]:
        return int(found["place"])
    if found["double"]:
        return str(json.loads(found["double"]))
    return found["single"] if found["single"] is not None else found["name"]


def _go(value: object, step: str | int | None) -> Iterator[object]:
    if step is None:
        yield from value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    elif isinstance(step, int):
        if isinstance(value, list) and -len(value) <= step < len(value):
            yield value[step]
    elif isinstance(value, dict) and step in value:
        yield value[step]
