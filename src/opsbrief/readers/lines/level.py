"""Severities in one vocabulary: TRACE, DEBUG, INFO, WARN, ERROR, FATAL, or "" when a line has none."""

import re

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")

_WORDS = {
    "TRACE": ("TRACE", "FINER", "FINEST", "VERBOSE"),
    "DEBUG": ("DEBUG", "FINE"),
    "INFO": ("INFO", "INFORMATION", "INFORMATIONAL", "NOTICE", "CONFIG"),
    "WARN": ("WARN", "WARNING"),
    "ERROR": ("ERROR", "ERR", "SEVERE", "EXCEPTION"),
    "FATAL": ("FATAL", "CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "DPANIC"),
}
_NORMAL = {word: level for level, words in _WORDS.items() for word in words}
_PROSE = {"CONFIG", "EXCEPTION", "ALERT", "FINE"}  # also words of titles and of constants
_LETTERS = {"T": "TRACE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL"}
_SYSLOG = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")  # RFC 5424, 6.2.1
_TENS = (("TRACE", 15), ("DEBUG", 25), ("INFO", 35), ("WARN", 45), ("ERROR", 55))  # bunyan, pino, Python


def normal(word: str | float | None) -> str:
    """Return the level a word, letter or number stands for.

    Numbers up to 7 are syslog's severities, from 10 on those of bunyan, pino and Python's logging.
    """
    if word is None or isinstance(word, bool):
        return ""
    if isinstance(word, str):
        upper = word.strip().upper()
        if not upper.isdigit():
            return _NORMAL.get(upper) or (_LETTERS.get(upper, "") if len(upper) == 1 else "")
        word = int(upper)
    if word < 10:
        return _SYSLOG[int(word)] if 0 <= word < len(_SYSLOG) else ""
    return next((level for level, below in _TENS if word < below), "FATAL")


def priority(pri: bytes) -> str:
    """Return the level of a syslog priority, the number between < and >."""
    return _SYSLOG[int(pri) & 7]


def _searcher() -> re.Pattern[bytes]:
    # Words in capitals stand alone; in small letters they are prose ("no error found") unless in brackets or after
    # "level=". A line break ends the search. The pattern begins with one set of characters, and what they must be
    # the first letter of is asked behind it: so the search skips to the next of them instead of trying everywhere.
    tails: dict[str, list[str]] = {}
    for word in sorted(_NORMAL.keys() - _PROSE, key=len, reverse=True):
        tails.setdefault(word[0], []).append(word[1:])
    alone = "|".join(f"(?<={first})(?:{'|'.join(rest)})" for first, rest in sorted(tails.items()))
    small = "|".join(word.lower() for word in sorted(_NORMAL, key=len, reverse=True))
    return re.compile(
        (
            rf"[\n\[={''.join(sorted(tails))}](?:(?<=\n)|(?<=\[)(?:\w+:)?({small})\]"
            rf'|(?:(?<=level=)|(?<=lvl=))"?(\w+)|(?<![A-Za-z0-9_][A-Z])(?:{alone})(?![A-Za-z0-9_]))'
        ).encode()
    )


#: Finds the first level; NAMES gives its level by the group that matched, or by all of it when none did.
SEARCH = _searcher()
NAMES = {form.encode(): level for word, level in _NORMAL.items() for form in (word, word.lower(), word.capitalize())}


def find(block: bytes, start: int, end: int) -> str:
    """Return the level that stands in ``block[start:end]``, before its first line break."""
    found = SEARCH.search(block, start, end)
    return NAMES.get(found[found.lastindex or 0], "") if found else ""
