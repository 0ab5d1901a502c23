"""The commit in what Puppet calls a configuration version, and the version in what a resource became."""

import re
from base64 import b64decode
from binascii import Error

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Nothing that is a letter or a number may touch it, but the "g" that git describe puts before a commit.
_HEX = re.compile(r"(?:(?<![0-9A-Za-z])|(?<![0-9A-Za-z])g)([0-9a-f]{7,64})(?![0-9A-Za-z])")
_DIGEST = re.compile(r"\{\w{2,12}\}[0-9a-f]{16,128}")
_LONG = re.compile(r"(\{\w{2,12}\}[0-9a-f]{12})[0-9a-f]{4,}")


def commit(stated: str) -> str:
    """Return the commit id in ``pupmaster01-production-ac9785273a10``; "" when there is none.

    A number is none: without a ``config_version`` script Puppet states the second of the compilation, another one
    each run. Only at the full length of a commit id may it be digits alone, and letters alone are a word.
    """
    found = [match[1] for match in _HEX.finditer(_UUID.sub(" ", stated[:1000]))]
    return max((one for one in found if _telling(one)), key=len, default="")


def _telling(text: str) -> bool:
    return len(text) in {40, 64} or not (text.isdigit() or text.isalpha())


def plain(value: str) -> str:
    """Return a value as written, or decoded where it is a digest in base64, as Puppet gives new contents of files."""
    if 24 <= len(value) <= 200:
        try:
            text = b64decode(value, validate=True).decode("ascii")
        except (Error, ValueError):
            return value
        if _DIGEST.fullmatch(text):
            return text
    return value


def short(text: str) -> str:
    """Return a message with its digests cut to what a person compares: ``{sha256}236a5a25d0f1…``."""
    return _LONG.sub(r"\1…", text)
