"""Host names written short: ``app{1..8}``, ``db{01..12}.example``, ``{web,api}-{a,b}``."""

import re
from itertools import product

CAP = 10_000

_PART = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand(pattern: str) -> tuple[str, ...]:
    """Return every name a pattern stands for, in the order written. Raises ValueError."""
    texts: list[list[str]] = []
    end = 0
    for match in _PART.finditer(pattern):
        texts += [[pattern[end : match.start()]], _choices(match.group(1))]
        end = match.end()
    texts.append([pattern[end:]])
    if any("{" in text or "}" in text for part in texts for text in part):
        raise ValueError("a brace is not closed; write app{1..8} or {web,api}")
    count = 1
    for part in texts:
        count *= len(part)
    if count > CAP:
        raise ValueError(f"stands for {count:,} hosts; {CAP:,} is the most")
    return tuple("".join(parts) for parts in product(*texts))


def _choices(inner: str) -> list[str]:
    if found := _RANGE.fullmatch(inner.strip()):
        first, last = found.groups()
        low, high = int(first), int(last)
        if high < low:
            raise ValueError(f"the range {{{inner}}} runs backwards")
        if high - low >= CAP:
            raise ValueError(f"the range {{{inner}}} stands for more than {CAP:,} hosts")
        width = len(first) if first.startswith("0") else 0
        return [f"{number:0{width}}" for number in range(low, high + 1)]
    choices = [choice.strip() for choice in inner.split(",")]
    if len(choices) < 2 or not all(choices):
        raise ValueError(f"{{{inner}}} is neither a range such as {{1..8}} nor a choice such as {{web,api}}")
    return choices
