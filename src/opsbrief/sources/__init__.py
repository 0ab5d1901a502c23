"""One module per system, found by listing this folder; the module's name is the ``type`` in the YAML.

Third parties add theirs through the entry-point group ``opsbrief.sources``.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from opsbrief.errors import OpsbriefError
from opsbrief.source import Source

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "opsbrief.sources"


def kinds() -> tuple[str, ...]:
    """Return the types of source there are, sorted, without importing them."""
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(own | {point.name for point in _foreign()}))


def known(kind: str) -> bool:
    """Whether there is a type of source of that name; plug-ins are only looked for when it is none of our own."""
    return any(module.name == kind for module in pkgutil.iter_modules(__path__)) or kind in kinds()


@cache
def load(kind: str) -> type[Source]:
    """Return the class of a type of source. Raises OpsbriefError when there is none."""
    if any(module.name == kind for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{kind}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Source) and value.__module__ == module.__name__:
                return value
    for point in _foreign():
        if point.name != kind:
            continue
        found = point.load()
        if isinstance(found, type) and issubclass(found, Source):
            return found
    raise OpsbriefError(f"there is no source of type {kind!r}", f"known: {', '.join(kinds())}")


def _foreign() -> "Iterable[EntryPoint]":
    # Imported here: it costs more than reading the configuration, and who uses only our own types needs it not.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return entry_points(group=GROUP)
