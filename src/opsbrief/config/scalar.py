"""One written text to one value of the type that is expected there."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_origin

from opsbrief.config.option import choices, closest
from opsbrief.config.tree import Mark, Text, boolean, integer, number
from opsbrief.errors import WindowError
from opsbrief.model.scope import weekdays
from opsbrief.settings import baselines
from opsbrief.text import line
from opsbrief.timespec import duration

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s]*)@", re.ASCII)
_URL = re.compile(r"https?://[^/?#\s@]+([/?#]\S*)?", re.IGNORECASE)
_MEANT = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def convert(hint: Any, node: Text, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any annotation
    """Return a scalar as its annotation wants it. Raises ValueError(message) or ValueError(message, hint)."""
    if (allowed := choices(hint)) is not None:
        return _choice(allowed, node)
    if hint is float and meta.get("duration"):
        return _length(node)
    if hint is str and (special := next((_TEXTS[name] for name in _TEXTS if meta.get(name)), None)):
        return special(node)
    if found := _CONVERT.get(get_origin(hint) or hint):
        return found(node)
    raise ValueError(f"has a type that cannot be configured: {hint!r}", "a defect of the type of source")


def userinfo(text: str) -> str:
    """Return a URL without its credentials when it has some, else nothing; the user of ssh:// is none."""
    found = _USERINFO.match(text)
    if not found:
        return ""
    scheme, info = found.groups()
    if scheme.lower() in ("http", "https", "smtp", "smtps") or ":" in info:
        return line(f"{scheme}://{text[found.end() :]}", 120)
    return ""


def _quoted(node: Text) -> str:
    return repr(line(node.text, 60))


def _choice(allowed: Mapping[str, Any], node: Text) -> Any:  # noqa: ANN401 - any literal
    if node.text in allowed:
        return allowed[node.text]
    near = closest(node.text, tuple(allowed))
    raise ValueError(
        f"must be one of {', '.join(allowed)}, not {_quoted(node)}", f"did you mean {near!r}?" if near else ""
    )


def _bool(node: Text) -> bool:
    if (truth := boolean(node)) is None:
        meant = _MEANT.get(node.text.lower())
        raise ValueError(f"must be true or false, not {_quoted(node)}", f"write {meant}" if meant else _unquote(node))
    return truth


def _int(node: Text) -> int:
    if (whole := integer(node)) is None:
        raise ValueError(f"must be a whole number, not {_quoted(node)}", _unquote(node))
    return whole


def _float(node: Text) -> float:
    if (real := number(node)) is None:
        raise ValueError(f"must be a number, not {_quoted(node)}", _unquote(node))
    return real


def _unquote(node: Text) -> str:
    bare = Text(node.mark, node.text)
    helps = not node.plain and any(read(bare) is not None for read in (boolean, integer, number))
    return "write it without quotes" if helps else ""


def _length(node: Text) -> float:
    """Return seconds; a bare number is seconds already."""
    seconds = number(node)
    return _seconds(node) if seconds is None else _positive(seconds, node)


def _timedelta(node: Text) -> timedelta:
    if number(node) is not None:
        raise ValueError(f"{node.text} has no unit", f"write {node.text}s, {node.text}m or {node.text}h")
    return timedelta(seconds=_seconds(node))


def _seconds(node: Text) -> float:
    try:
        return _positive(duration(node.text).total_seconds(), node)
    except WindowError as error:
        raise ValueError(error.message, error.hint) from None


def _positive(seconds: float, node: Text) -> float:
    if not 0 < seconds < math.inf:
        raise ValueError(f"must be longer than nothing, not {_quoted(node)}")
    return seconds


def _baseline(node: Text) -> str:
    try:
        baselines((node.text,))
    except WindowError as error:
        raise ValueError(error.message, error.hint) from None
    return node.text


def _days(node: Text) -> str:
    weekdays(node.text)
    return node.text


def _url(node: Text) -> str:
    if node.text and not _URL.fullmatch(node.text):
        raise ValueError(f"is not an http(s) URL: {_quoted(node)}", "it looks like https://host:port/path")
    return node.text


def _path(node: Text) -> str:
    """Return a path as the program needs it; globs and everything else in it stay as they are."""
    text = node.text
    if text.startswith("~"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError:
            raise ValueError(f"there is no home folder for {_quoted(node)}") from None
    return text if text.startswith("/") or not text else str(_folder(node.mark) / text)


def _folder(mark: Mark) -> Path:
    return mark.file.folder


def _pattern(node: Text) -> "re.Pattern[str]":
    try:
        return re.compile(node.text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression: {error}") from None


#: what metadata says of a text -> how it is read
_TEXTS: Mapping[str, Callable[[Text], str]] = {
    "path": _path,
    "url": _url,
    "regex": lambda node: _pattern(node).pattern,
    "baseline": _baseline,
    "days": _days,
}
_CONVERT: Mapping[Any, Callable[[Text], Any]] = {
    str: lambda node: node.text,
    Path: lambda node: Path(_path(node)),
    bool: _bool,
    int: _int,
    float: _float,
    timedelta: _timedelta,
    re.Pattern: _pattern,
}
