"""Graphite events as deploys."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsbrief.model.marking import TAG, Marking
from opsbrief.readers.graphite.answer import AnswerError
from opsbrief.text import line

_VERSION = re.compile(r"(?<![\w.])v?\d+\.\d+(?:\.\d+)*(?:[-+_.]?[0-9A-Za-z]+(?:[.-][0-9A-Za-z]+)*)?(?![\w.]*\w)")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}\Z")
_COMMIT = re.compile(r"(?<![\w.-])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}(?![\w.-])")
_KEYS = ("version", "release", "ref", "tag", "revision", "commit", "sha")
_FAILED = re.compile(r"\b(?:failed|failure|aborted)\b", re.IGNORECASE)
_BACK = re.compile(r"\broll(?:ed)?[ -]?back\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One event of the server."""

    at: datetime
    what: str
    data: str
    tags: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """False when its words or tags say that the deploy failed."""
        return not any(_FAILED.search(text) for text in (self.what, *self.tags))

    @property
    def rollback(self) -> bool:
        """Whether it says that it goes back to an earlier version."""
        return any(_BACK.search(text) for text in (self.what, *self.tags))

    def ref(self, pattern: re.Pattern[str] | None = None) -> str:
        """Return the version or commit it names, or "".

        ``pattern`` looks in what, data and tags (its group "ref", else its first group, else the whole
        match). Without one: a key such as "version" in data that is JSON, then a version number, then a commit id.
        """
        texts = (self.what, self.data, *self.tags)
        if pattern:
            found = next((match for text in texts if (match := pattern.search(text))), None)
            return line(_group(found), 200) if found else ""
        keyed = _keyed(self.data)
        if keyed:
            return line(keyed, 200)
        versions = (m.group() for text in texts for m in _VERSION.finditer(text) if not _ADDRESS.match(m.group()))
        commits = (m.group() for text in texts for m in _COMMIT.finditer(text))
        return line(next(versions, "") or next(commits, ""), 200)


def written(marking: Marking, deploy_tags: Sequence[str]) -> dict[str, Any]:
    """Return the body of the POST that writes a mark as an event."""
    own = deploy_tags if marking.kind == "deploy" else (marking.kind,)
    about = (f"service:{marking.service}",) if marking.service else ()
    data = {"ref": marking.ref} if marking.ref else {}
    return {
        "what": marking.text,
        "tags": [*dict.fromkeys((*own, TAG, *about))],
        "when": int(marking.at.timestamp()),  # a fraction of a second would be refused by old ones
        "data": json.dumps(data) if data else "",
    }


def remark(marker: Marker, service: str) -> str:
    """Return "note" or "fix" for an event that ``written`` made of such a mark about this service, else ""."""
    if TAG not in marker.tags:
        return ""
    about = {tag for tag in marker.tags if tag.startswith("service:")}
    if about and service and f"service:{service}" not in about:
        return ""
    return next((kind for kind in ("note", "fix") if kind in marker.tags), "")


def _group(match: re.Match[str]) -> str:
    named = match.groupdict().get("ref")
    if named is not None:
        return named
    return next((group for group in match.groups() if group), match.group())


def _keyed(data: str) -> str:
    if data.lstrip()[:1] != "{":
        return ""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    found = (document.get(key) for key in _KEYS)
    return next((str(value) for value in found if isinstance(value, str | int | float) and value != ""), "")


def markers(document: object) -> Iterator[Marker]:
    """Yield the events of an ``/events/get_data`` answer. Raises AnswerError when it is none."""
    if not isinstance(document, list):
        raise AnswerError(f"not a list of events: {line(repr(document), 120)}")
    for entry in document:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("when"), int | float):
            raise AnswerError(f"an event without a time: {line(repr(entry), 120)}")
        tags = entry.get("tags") or ()
        try:
            at = datetime.fromtimestamp(entry["when"], UTC)
        except (ValueError, OverflowError, OSError):
            raise AnswerError(f"an event at an impossible time: {line(repr(entry), 120)}") from None
        yield Marker(
            at=at,
            what=line(str(entry.get("what") or "")),
            data=str(entry.get("data") or ""),
            # A string of blanks in graphite-web before 1.1.
            tags=tuple(tags.split() if isinstance(tags, str) else map(str, tags)),
        )
