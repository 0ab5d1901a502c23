"""The one door out: credentials leave the evidence before anything is written.

First the configured secrets themselves, in every form they travel in (plain, URL-quoted, base64,
JSON-escaped), then what looks like a credential by its surroundings. The value goes, its
surroundings stay: ``password=[redacted:password]``. Nothing else is touched: hashes, UUIDs, addresses
and hosts are evidence.

Every pattern is bounded and starts at a literal, and a text is only searched when one of the
literals occurs in it, so the cost grows with the length of the text and not faster.
"""

import base64
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, quote_plus

from opsbrief.model.evidence import Evidence, LogRecord, LogSample, Outcome, Series

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

V = TypeVar("V")

_VALUE = r"(?P<v>[^\s\"'&,;<>\\]{4,512})"
#: (rule, pattern); the group ``v`` is what is taken out. Compiled when the first text looks like one of them.
_RULES = (
    (
        "private-key",
        r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?P<v>.{1,8000}?)(?:-----END|\Z)",
    ),
    ("authorization", r"(?i)authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:\w{1,12} )?" + _VALUE),
    ("bearer", r"(?i)\bbearer\s{1,3}(?P<v>[A-Za-z0-9._~+/=-]{12,2000})"),
    (
        "password",
        (
            r"(?i)(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|client[_-]?secret|api[_-]?key|apikey"
            r"|access[_-]?key|access[_-]?token|auth[_-]?token|refresh[_-]?token|private[_-]?token|x-auth-token"
            r"|session[_-]?id|sessionid|jsessionid|bindpw)"
            r"(?:\\?[\"'])?\s{0,3}(?:=>|[:=])\s{0,3}(?:\\?[\"'])?" + _VALUE
        ),
    ),
    ("url-password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,80}:(?P<v>[^\s/@\"']{1,200})@"),
    ("url-token", r"(?i)[?&](?:token|key|sig|signature|access_token)=" + _VALUE),
    ("cookie", r"(?i)\b(?:set-)?cookie[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<v>[^\s\"'][^\n\"']{3,1000})"),
    ("aws-key", r"\b(?P<v>(?:AKIA|ASIA)[A-Z0-9]{16})\b"),
    ("github-token", r"\b(?P<v>gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{20,255})\b"),
    ("gitlab-token", r"\b(?P<v>glpat-[A-Za-z0-9_-]{18,80})"),
    ("slack-token", r"\b(?P<v>xox[abprs]-[A-Za-z0-9-]{10,120})"),
    ("jwt", r"\b(?P<v>eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,2000})"),
    ("mysql-password", r"\bmysql(?:dump|admin)? [^\n]{0,80}?-p(?P<v>[^\s\"']{4,80})"),
    ("shadow-hash", r"(?P<v>\$(?:1|2[aby]|5|6|y)\$[./A-Za-z0-9$=,]{20,200})"),
)
#: A text without any of these cannot match a rule.
_TRIGGER = re.compile(
    r"PRIVATE KEY|://[^\s/]{0,99}@|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|eyJ|mysql|\$[1256y]|\$2[aby]"
    r"|(?i:authorization|bearer|passw|passphrase|pwd|secret|api[_-]?key|access[_-]?key|bindpw|cookie"
    r"|(?:access|auth|refresh|private)[_-]?token|session[_-]?id|[?&](?:token|key|sig|access_token))"
)
#: A text that, in lower case, has none of these does not fit the trigger. Finding plain words is so much cheaper
#: than the pattern that thousands of log lines are looked through in milliseconds.
_WORDS = (
    *("private key", "://", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox"),
    *("eyj", "mysql", "$", "authorization", "bearer", "passw", "passphrase", "pwd", "secret", "bindpw", "cookie"),
    *("api_key", "api-key", "apikey", "access_key", "access-key", "accesskey", "?key", "&key", "?sig", "&sig"),
    *("_token", "-token", "accesstoken", "authtoken", "refreshtoken", "privatetoken", "?token", "&token"),
    *("session_id", "session-id", "sessionid"),
)
_INERT = frozenset({int, float, bool, type(None), datetime})
#: What a pattern takes for the letter i or s beside its two cases.
_ALIKE = str.maketrans({"\u0131": "i", "\u0130": "i", "\u017f": "s", "\u212a": "k"})


class Redactor:
    """Takes credentials out of texts and counts what it took."""

    def __init__(self, secrets: Iterable[str] = (), patterns: Mapping[str, str] | None = None) -> None:
        """Take the configured secret values and the user's own patterns (rule name -> regular expression)."""
        forms = sorted({form for secret in secrets if len(secret) >= 4 for form in _forms(secret)}, key=len)
        # Longest first: a form may hold another one.
        self._exact = re.compile("|".join(re.escape(form) for form in reversed(forms))) if forms else None
        self._forms = tuple(forms)
        self._own = tuple((name, re.compile(pattern)) for name, pattern in (patterns or {}).items())
        self.counts: Counter[str] = Counter()
        self._quiet: set[str] = set()  # texts that have nothing: hosts, units, queries come a thousand times

    def text(self, text: str) -> str:
        """Return ``text`` without credentials."""
        if text in self._quiet:
            return text
        done = self._done(text)
        if done is text and len(text) < 200:
            self._quiet.add(text)
        return done

    def _done(self, text: str) -> str:
        if self._exact is not None:
            text, count = self._exact.subn("[redacted:credential]", text)
            self._count("credential", count)
        for name, pattern in self._own:
            text, count = pattern.subn(f"[redacted:{name}]", text)
            self._count(name, count)
        if any(map(_lowered(text).__contains__, _WORDS)) and _TRIGGER.search(text):
            for name, pattern in _rules():
                text, count = pattern.subn(partial(_blank, rule=name), text)
                self._count(name, count)
        return text

    def _count(self, rule: str, count: int) -> None:
        if count:
            self.counts[rule] += count

    def value(self, value: V) -> V:
        """Return ``value`` with every string in it redacted; values without any are returned as they are."""
        return cast("V", self._value(value))

    def _value(self, value: Any) -> Any:  # noqa: ANN401, PLR0911 - walks values of every type; one return a kind
        if type(value) in _INERT:  # a histogram has thousands
            return value
        if isinstance(value, str):
            return self.text(value) if value else value
        if isinstance(value, tuple):
            done = tuple(self._value(item) for item in value)
            return done if any(new is not old for new, old in zip(done, value, strict=True)) else value
        if isinstance(value, Mapping):
            return {self._value(key): self._value(item) for key, item in value.items()}
        if isinstance(value, LogSample):
            return self._sample(value)
        if is_dataclass(value) and not isinstance(value, type):
            return self._record(value)
        return value

    def _record(self, value: "DataclassInstance") -> "DataclassInstance":
        changed = {}
        for name in _names(type(value)):
            old = getattr(value, name)
            new = self._value(old)
            if new is not old and new != old:
                changed[name] = new
        return replace(value, **changed) if changed else value

    def _sample(self, sample: LogSample) -> LogSample:
        """Redact a sample; its thousands of records only when anything in all of them looks like a credential."""
        rest = cast("LogSample", self._record(replace(sample, records=())))
        return replace(rest, records=tuple(self._records(sample.records)))

    def _records(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """Redact the records that hold a word out of which credentials are told, and no other."""
        named = _named(records)
        counted = self.counts.copy()
        if self._own or any(self.text(text) != text for text in named):
            self.counts = counted  # the walk below counts them, as often as they come
            return [cast("LogRecord", self._record(record)) for record in records]
        found = list(records)
        for place in sorted(self._suspects([record.body for record in records])):
            body = self.text(records[place].body)
            if body != records[place].body:
                found[place] = replace(records[place], body=body)
        return found

    def _suspects(self, texts: Sequence[str]) -> set[int]:
        """Return the places of the texts that hold a configured secret or one of the words."""
        whole = "\n".join(texts)
        lowered = _lowered(whole)
        starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
        found: set[int] = set()
        for words, within in ((self._forms, whole), (_present(lowered), lowered)):
            for word in words:
                at = within.find(word)
                while at >= 0:
                    place = bisect_right(starts, at) - 1
                    found.add(place)
                    at = within.find(word, starts[place + 1])
        return found


def _named(records: Sequence[LogRecord]) -> set[str]:
    """Return every text of the records but their bodies: few, and the same again and again."""
    shared = {id(each): each for record in records for each in (record.attributes, record.resource)}
    pairs = {pair for each in shared.values() for pair in each.items()}
    return {record.severity_text for record in records}.union(*pairs)


def _present(lowered: str) -> list[str]:
    """Return which of the words may be in the lines of a text.

    Lines of one sort differ in their digits, which no word has: looked through without them, each sort is looked
    through once.
    """
    sorts = set(lowered.encode(errors="replace").translate(None, b"0123456789").splitlines())
    short = b"\n".join(sorts).decode()
    return [word for word in _WORDS if word in short]


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(pattern)) for name, pattern in _RULES)


def _lowered(text: str) -> str:
    """Return ``text`` in lower case, as long as it was."""
    return text.lower() if text.isascii() else text.translate(_ALIKE).lower()


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the fields of a record that may hold text."""
    return tuple(field.name for field in fields(kind) if (kind, field.name) != (Series, "values"))


def redact(evidence: Evidence, secrets: Iterable[str] = (), patterns: Mapping[str, str] | None = None) -> Evidence:
    """Return the evidence without credentials, and with the count of what was taken out, by rule."""
    redactor = Redactor(secrets, patterns)
    outcomes: tuple[Outcome, ...] = redactor.value(evidence.outcomes)
    window = redactor.value(evidence.window)
    return replace(evidence, outcomes=outcomes, window=window, redactions=dict(sorted(redactor.counts.items())))


def _blank(match: re.Match[str], rule: str) -> str:
    start, end = match.span("v")
    if match.group("v").startswith("[redacted:"):
        return match.group()
    base = match.start()
    whole = match.group()
    return f"{whole[: start - base]}[redacted:{rule}]{whole[end - base :]}"


def _forms(secret: str) -> set[str]:
    """Return the ways a secret is written on its journey."""
    raw = secret.encode()
    padded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        *padded,
        *(form.rstrip("=") for form in padded),
    }
