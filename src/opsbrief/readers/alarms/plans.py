"""Planned downtimes that are deploys: who schedules one for each release has a deploy log in the monitoring."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import Deploy, TimeKind
from opsbrief.text import line

#: The option of a source that finds the version.
REF = {"help": "regex on the comment; its group ref is the version; default: a number such as 2.14.0", "regex": True}
_SAME = timedelta(minutes=10)  # between the downtimes of one deploy on several hosts
_REF = r"\bv?(?P<ref>\d+(?:\.\d+)+(?:[-+][0-9A-Za-z.-]+)?)\b"  # 2.14.0, v1.2-rc1
_BACK = re.compile(r"\broll(?:ed|ing)?[ -]?back\b|^\W*revert\b", re.IGNORECASE)


class Plan(NamedTuple):
    """A downtime that began. ``author`` decides only whether it is a deploy; it is a person and is not kept."""

    at: datetime
    host: str
    service: str
    comment: str
    author: str


class Rule:
    """Which downtimes are deploys, and what of the comment is the version."""

    def __init__(self, source: str, patterns: str | Sequence[str], ref: str) -> None:
        """Take the options of a source. Raises SourceError when they cannot be meant."""
        self._source = source
        self._patterns = [one.lower() for one in ([patterns] if isinstance(patterns, str) else patterns) if one]
        if not self._patterns:
            raise SourceError(
                GapKind.REJECTED, f"{source} does not say which downtime is a deploy", 'set deploys: "deploy*"'
            )
        try:
            self._ref = re.compile(ref or _REF)
        except re.error as error:
            raise SourceError(GapKind.REJECTED, f"deploy_ref is no regular expression: {error}") from None

    def deploys(self, plans: Iterable[Plan], since: datetime, until: datetime) -> Iterator[Deploy]:
        """Yield the deploys in [since, until]; downtimes of several hosts with one comment are one, the earliest."""
        last: dict[str, datetime] = {}
        for plan in sorted(plans):
            if not self._means(plan):
                continue
            begun = last.get(plan.comment)
            last[plan.comment] = plan.at
            if since <= plan.at <= until and (begun is None or plan.at - begun > _SAME):
                yield Deploy(
                    at=plan.at, ref=self._version(plan.comment), note=f"downtime: {line(plan.comment, 200)}",
                    source=self._source, time_kind=TimeKind.DEPLOY_START, rollback=bool(_BACK.search(plan.comment)),
                )  # fmt: skip

    def _means(self, plan: Plan) -> bool:
        words = [word.lower() for word in (plan.comment, plan.author, plan.service) if word]
        return any(fnmatchcase(word, pattern) for word in words for pattern in self._patterns)

    def _version(self, comment: str) -> str:
        found = self._ref.search(comment[:2000])
        if not found:
            return ""
        return line((found["ref"] if "ref" in self._ref.groupindex else found[found.re.groups and 1]) or "", 100)
