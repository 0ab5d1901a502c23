"""known_hosts, read line by line: one line that cannot be read must not cost the others.

paramiko's own reader gives up at the first ``@`` line, and so would forget that a key was revoked.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path


class Known(StrEnum):
    """What known_hosts says of a key that a host shows."""

    YES = "known"
    REVOKED = "revoked"
    CHANGED = "changed"  # the host is known by another key
    AUTHORITY = "authority"  # the host is known only by who signs its certificate
    NO = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: marker ("", "@revoked", "@cert-authority"), whom it is about, and a key."""

    marker: str
    hosts: str
    type: str
    key: bytes


def entries(texts: Iterable[str]) -> Iterator[Entry]:
    """Yield what known_hosts files say; lines that say nothing are passed over."""
    for text in texts:
        for row in text.splitlines():
            words = row.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or row.lstrip().startswith("#"):
                continue
            try:
                key = base64.b64decode(words[2], validate=True)
            except (binascii.Error, ValueError):
                continue
            yield Entry(marker, words[0], words[1], key)


def read(paths: Iterable[str]) -> list[Entry]:
    """Read the files that are there."""
    texts = []
    for path in paths:
        try:
            texts.append(Path(path).expanduser().read_text("utf-8", "replace"))
        except OSError:
            continue
    return list(entries(texts))


def verdict(found: Sequence[Entry], names: Sequence[str], key: bytes) -> Known:
    """Return what is known of the host that goes by ``names`` (the first counts before the others) and shows ``key``.

    A second name is the one without its port: a key found there is right, but another one found there says nothing.
    """
    mine = [[entry for entry in found if about(entry.hosts, name)] for name in names]
    every = [entry for group in mine for entry in group]
    if any(entry.marker == "@revoked" and entry.key == key for entry in every):
        return Known.REVOKED
    plain = [[entry for entry in group if not entry.marker] for group in mine]
    if any(entry.key == key for group in plain[: 1 + (not any(plain[:1]))] for entry in group):
        return Known.YES
    if plain and plain[0]:
        return Known.CHANGED
    return Known.AUTHORITY if any(entry.marker == "@cert-authority" for entry in every) else Known.NO


def types(found: Sequence[Entry], names: Sequence[str]) -> list[str]:
    """Return the types of keys by which a host is known, so that it is asked for one of these."""
    return list(dict.fromkeys(e.type for name in names for e in found if not e.marker and about(e.hosts, name)))


def about(hosts: str, name: str) -> bool:
    """Whether the hosts of a line (a comma list with ``*``, ``?`` and ``!``, or a hash) mean this name."""
    if hosts.startswith("|1|"):
        return _hashed(hosts, name)
    hit = False
    for pattern in hosts.lower().split(","):
        # Brackets stand around a name with a port and are no set of characters.
        shape = re.sub(r"([\[\]])", r"[\1]", pattern.removeprefix("!"))
        if fnmatchcase(name.lower(), shape):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit


def _hashed(hosts: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hosts.split("|")[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
