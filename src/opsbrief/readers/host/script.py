"""Many commands as one script, and its two streams taken apart again.

A marker that nobody could know beforehand stands before each part in both streams; a status has a line of its own
among the errors. Nothing is written on the host, not even a temporary file.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from opsbrief.readers.host.parts import Part

CAP = 24_576  # bytes of one part
ERRORS = 1_500
SECONDS = 5  # for one part

#: Standard output of the part goes around its errors by 3, statuses go to the errors of the script by 4.
_HEAD = """t=; timeout -k 1 1 true 2>/dev/null && t='timeout -k 1 {seconds}'
exec 4>&2
part() {{
  read -r u x </proc/uptime
  printf '\\n{key} %s %s\\n' "$1" "${{u:-0}}"; printf '\\n{key} %s %s\\n' "$1" "${{u:-0}}" >&4
  {{ {{ {{ $t sh -c "$2" 3>&- 4>&-; printf '\\n{key} = %s\\n' $? >&4; }} 2>&1 >&3 |
    head -c {errors} >&4; }} 3>&1 | head -c {cap}; }}
}}
printf '\\n{key} now %s\\n' "$(date +%s)"
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part answered: seconds of the host's uptime when it was asked, status None when that was lost."""

    part: Part
    uptime: float
    status: int | None
    stdout: bytes
    stderr: bytes
    cut: bool = False


def script(parts: Sequence[Part], pause: float, key: str) -> str:
    """Return the script: each part once, those to be asked again once more after ``pause`` seconds."""
    head = _HEAD.format(seconds=SECONDS, key=key, errors=ERRORS, cap=CAP)
    again = [part for part in parts if part.again]
    # What is asked twice comes first and last: the other parts take some of the pause.
    once = [part for part in parts if not part.again]
    rows = [_call(part) for part in again]
    rows += (
        [f"sleep {pause:g} & w=$!", *(_call(part) for part in once), "wait $w"] if pause else [_call(p) for p in once]
    )
    rows += [_call(part) for part in again] if pause else []
    return head + "\n".join(rows) + "\n"


def _call(part: Part) -> str:
    return f"part {part.about} {shlex.quote(part.text)}"


def answers(parts: Sequence[Part], key: str, stdout: bytes, stderr: bytes) -> tuple[list[Answer], float | None]:
    """Return what the parts answered, in the order they were asked, and the host's clock (epoch)."""
    known = {part.about: part for part in parts}
    out, errors = _cut(stdout, key), _cut(stderr, key)
    found, clock = [], None
    errors_of = iter([one for one in errors if one[0] in known])
    for name, value, body in out:
        if name == "now":
            clock = _real(value)
        if name not in known:
            continue
        _, _, said = next(errors_of, ("", "", b""))
        status = re.search(rb"\n" + key.encode() + rb" = (\d+)\n", said)
        found.append(
            Answer(
                part=known[name],
                uptime=_real(value) or 0.0,
                status=int(status[1]) if status else None,
                stdout=body.removeprefix(b"\n"),
                stderr=(said[: status.start()] + said[status.end() :] if status else said).strip(b"\n"),
                cut=len(body) >= CAP,
            )
        )
    return found, clock


def _cut(stream: bytes, key: str) -> list[tuple[str, str, bytes]]:
    """Return name, value and what follows of each marker; statuses stay in what follows."""
    marks = list(re.finditer(rb"(?:^|\n)" + key.encode() + rb" (\w+) ([\d.]+)\n", stream))
    ends = [mark.start() for mark in marks[1:]] + [len(stream)]
    return [(m[1].decode(), m[2].decode(), stream[m.end() : end]) for m, end in zip(marks, ends, strict=False)]


def _real(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
