"""The one door in: bytes and foreign strings become text that is safe to keep and to show.

Control characters (but tab and newline), ESC, DEL, C1, bidirectional controls, line and paragraph
separators and lone surrogates become visible escapes, so that nothing in evidence can move a
terminal's cursor, hide a word or split a header.
"""

import re

LINE_CAP = 8192  # characters of one log line or message that are kept

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def decode(data: bytes) -> str:
    """Decode UTF-8; every byte that is none becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clean(text: str | bytes, cap: int = LINE_CAP) -> str:
    r"""Return ``text`` with unsafe characters visible and at most ``cap`` characters of it.

    What is cut is said: "… (+12,345 characters)". Tabs and newlines stay; ``\r\n`` becomes ``\n``.
    """
    if isinstance(text, bytes):
        text = decode(text[: cap * 4 + 4]) if len(text) > cap * 4 + 4 else decode(text)
    if len(text) > cap:
        text = f"{text[:cap]}… (+{len(text) - cap:,} characters)"
    if text.isprintable():  # nearly all are, and have nothing of what is below
        return text
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def line(text: str | bytes, cap: int = 400) -> str:
    """Return ``text`` clean and on one line: every run of white space becomes one blank."""
    return " ".join(clean(text, cap).split())


def middle(text: str, cap: int) -> str:
    """Return ``text`` shortened in the middle: the ends of names tell more than the middle."""
    if len(text) <= cap:
        return text
    head = (cap - 1) // 2
    return f"{text[:head]}…{text[len(text) - (cap - 1 - head) :]}"
