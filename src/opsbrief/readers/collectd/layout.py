"""The layouts in which write_graphite names metrics, learned from the names that are there.

A name is ``PREFIX HOST POSTFIX . PLUGIN[-INSTANCE] . TYPE[-INSTANCE] [. DATA-SOURCE]`` or one of its variations:
SeparateInstances puts dots for the dashes, AlwaysAppendDS ends every name with its data source,
DropDuplicateFields leaves out a type that is called like its plugin, UseTags says all of it in tags. What stands
before the plugin is the *head*; ``heads`` finds it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsbrief.readers.collectd.identity import Identity
from opsbrief.readers.collectd.known import PLUGINS, TYPES, VALUE

_LONG = 500  # characters
_TWINS = frozenset({"cpu", "load", "memory", "swap"})  # plugins whose type has their name, and an instance or parts


@dataclass(frozen=True, slots=True)
class Layout:
    """How the names behind the head are put together."""

    separate: bool = False  # SeparateInstances
    appended: bool = False  # AlwaysAppendDS
    dropped: bool = False  # DropDuplicateFields
    mixed: bool = False  # names of both kinds stand under one head: two configurations write there

    def __str__(self) -> str:
        """Return it in the words of collectd's own configuration."""
        named = (
            (self.separate, "SeparateInstances"),
            (self.appended, "AlwaysAppendDS"),
            (self.dropped, "DropDuplicateFields"),
        )
        said = ", ".join(option for on, option in named if on) or "as write_graphite writes them by default"
        return f"{said}, mixed" if self.mixed else said


def learn(tails: Iterable[str]) -> Layout:
    """Return the layout of names without their heads, by the plugins that everybody has."""
    dashes = dots = appended = dropped = 0
    for tail in tails:
        levels = tail.split(".")
        plugin, dash, _ = levels[0].partition("-")
        own = PLUGINS.get(plugin)
        if own is None or len(levels) < 2:
            continue
        at = next((place for place, level in enumerate(levels) if place and level.partition("-")[0] in own), 0)
        kind, inner, _ = levels[at].partition("-") if at else (plugin, "", "")
        parts = TYPES[kind].parts if kind in TYPES else VALUE
        behind = levels[at + 1 :]
        dashes += bool(dash or (at and inner))
        dots += bool(not dash and (at > 1 or (at and behind and behind[0] not in parts)))
        appended += parts == VALUE and levels[-1] == "value"
        dropped += not at and plugin in _TWINS
    return Layout(
        separate=dots > dashes, appended=appended > 0, dropped=dropped > 0, mixed=min(dots, dashes) > 0
    )  # fmt: skip


def read(tail: str, layout: Layout) -> Identity | None:
    """Return what a name without its head means, None where its layout does not tell."""
    levels = tail.split(".")
    if len(levels) < 2 or not all(levels):
        return None
    return _dotted(levels, layout) if layout.separate else _dashed(levels, layout)


def _dashed(levels: Sequence[str], layout: Layout) -> Identity | None:
    plugin, _, instance = levels[0].partition("-")
    at = _place(plugin, [level.partition("-")[0] for level in levels])
    if not at:
        if layout.dropped and plugin in TYPES:
            inner, part = _ends(plugin, levels[1:])
            return Identity(plugin, instance, plugin, inner, part)
        if len(levels) > 3:
            return None
        at = 1  # a type of somebody's own
    kind, _, inner = levels[at].partition("-")
    more, part = _ends(kind, levels[at + 1 :])
    return Identity(plugin, ".".join([instance, *levels[1:at]]).strip("."), kind, f"{inner}.{more}".strip("."), part)


def _dotted(levels: Sequence[str], layout: Layout) -> Identity | None:
    plugin = levels[0]
    at = _place(plugin, levels)
    if at:
        inner, part = _ends(levels[at], levels[at + 1 :])
        return Identity(plugin, ".".join(levels[1:at]), levels[at], inner, part)
    if layout.dropped and plugin in TYPES:
        inner, part = _ends(plugin, levels[1:])
        instance, _, inner = inner.rpartition(".")
        return Identity(plugin, instance, plugin, inner, part)
    return None  # where the instance ends and a type nobody knows begins, the name does not tell


def _place(plugin: str, stems: Sequence[str]) -> int:
    """Return the level that the type stands on, 0 when none is known."""
    own = PLUGINS.get(plugin, TYPES)
    return next((place for place, stem in enumerate(stems) if place and stem in own), 0)


def _ends(kind: str, levels: Sequence[str]) -> tuple[str, str]:
    """Return the instance of a type and its data source, of the levels behind it."""
    parts = TYPES[kind].parts if kind in TYPES else VALUE
    if levels and (levels[-1] in parts or (kind not in TYPES and len(levels) == 1)):
        return ".".join(levels[:-1]), levels[-1]
    return ".".join(levels), "value" if parts == VALUE else ""


def tagged(tags: dict[str, str], path: str) -> Identity | None:
    """Return what a name with tags means (UseTags): ``tags`` of it, ``path`` before them."""
    plugin, _, kind = path.partition(".")
    plugin, kind = tags.get("plugin", plugin), tags.get("type", kind.partition(".")[0])
    if not plugin or not kind:
        return None
    parts = TYPES[kind].parts if kind in TYPES else VALUE
    part = tags.get("ds_name") or ("value" if parts == VALUE else "")
    return Identity(plugin, tags.get("plugin_instance", ""), kind, tags.get("type_instance", ""), part)


def guess(name: str) -> Identity | None:
    """Return what a whole name means where a plugin that everybody has is followed by a type of its own.

    For names of which nobody has looked for the head; None for everything that is not surely collectd's.
    """
    if "(" in name or len(name) > _LONG:
        return None
    path, semicolon, _ = name.partition(";")
    levels = path.split(".")
    for at in range(len(levels) - 1):
        stem = levels[at].partition("-")[0]
        if stem not in PLUGINS:
            continue
        separate = stem == levels[at] and not any(level.partition("-")[1] for level in levels[at + 1 :])
        kinds = [level if separate else level.partition("-")[0] for level in levels[at + 1 :]]
        if any(kind in PLUGINS[stem] for kind in kinds):
            if semicolon:
                return tagged(dict(pair.split("=", 1) for pair in name.split(";")[1:] if "=" in pair), path)
            return read(".".join(levels[at:]), Layout(separate=separate))
    return None
