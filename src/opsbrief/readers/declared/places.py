"""Placeholders: ``{from}``, ``{until}`` and ``{host}``.

Times are epoch seconds; ``{from_ms}`` is milliseconds, ``{from_iso}`` ISO 8601 in UTC.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any

from opsbrief.model.window import Span

TIMES = frozenset({"{from}", "{from_ms}", "{from_iso}", "{until}", "{until_ms}", "{until_iso}"})
HOST = "{host}"
_PLACE = re.compile(r"\{(?:(?:from|until)(?:_ms|_iso)?|host)\}")


def places(template: object) -> frozenset[str]:
    """Return the placeholders in a text, or in the texts of a list or mapping."""
    return frozenset(place for text in _texts(template) for place in _PLACE.findall(text))


def values(span: Span, host: str) -> dict[str, str]:
    """Return what each placeholder stands for."""
    found = {HOST: host}
    for name, at in (("from", span.start), ("until", span.end)):
        found[f"{{{name}}}"] = str(int(at.timestamp()))
        found[f"{{{name}_ms}}"] = str(int(at.timestamp() * 1000))
        found[f"{{{name}_iso}}"] = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return found


def fill(text: str, known: Mapping[str, str], quoted: Callable[[str], str] = str) -> str:
    """Return a text with its placeholders filled, each value ``quoted`` as its surroundings need it."""
    return _PLACE.sub(lambda found: quoted(known[found.group()]), text)


def filled(template: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with the placeholders in its texts filled; a time that is the whole text is a number."""
    if isinstance(template, dict):
        return {key: filled(value, known) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, known) for value in template]
    if not isinstance(template, str):
        return template
    if template in TIMES and not template.endswith("_iso}"):
        return int(known[template])
    return fill(template, known)


def _texts(template: object) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from _texts(value)
