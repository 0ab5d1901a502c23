"""YAML text to a tree whose every value remembers its file, line and column.

Scalars stay the text that was written: what ``12:30``, ``NO``, ``0777`` or ``1.10`` mean is decided
by the type that is expected at that place, so nothing becomes an octal number or a boolean behind
the author's back. The tree is built from the parser's events without recursion, so neither depth
nor aliases can hurt.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from opsbrief.errors import Problem
from opsbrief.text import line

SIZE_CAP = 1 << 20  # bytes of one file
DEPTH_CAP = 50
NODES_CAP = 50_000  # values of one file after aliases are expanded

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {**dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False)}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONTROL = re.compile("[^\t\n\r\x20-\x7e]")
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_QUOTE_HINT = "text that begins with one of @ ` % * & ! { [ | > or contains ': ' must stand in quotes"

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class File:
    """Where a tree comes from: how people call it, and the folder relative paths are meant from."""

    name: str
    path: Path | None = None  # None: not a file, e.g. an environment variable

    @property
    def folder(self) -> Path:
        """The folder of the file; the current one when there is no file."""
        return self.path.parent if self.path else Path()


@dataclass(frozen=True, slots=True)
class Mark:
    """One place in a file, counted from 1; line 0 is the file as a whole."""

    file: File
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return file:line:column."""
        return f"{self.file.name}:{self.line}:{self.column}" if self.line else self.file.name


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as written; ``plain`` when it stands without quotes."""

    mark: Mark
    text: str
    plain: bool = True

    @property
    def empty(self) -> bool:
        """Whether it is null."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    mark: Mark
    items: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: key to (mark of the key, value)."""

    mark: Mark
    entries: Mapping[str, tuple[Mark, "Node"]] = field(default_factory=dict)


Node = Text | Items | Table


class BrokenError(Exception):
    """The file is no YAML that could be looked at further; carries the one problem."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem."""
        super().__init__(str(problem))
        self.problem = problem


def dotted(path: Keys) -> str:
    """Return ``services.shop.metrics[0].target`` for the path of a value."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def kind(node: Node) -> str:
    """Return what a node is, for a message."""
    if isinstance(node, Text):
        return "nothing" if node.empty else "a text"
    return "a list" if isinstance(node, Items) else "a mapping"


def plain(node: Node) -> Any:  # noqa: ANN401 - any YAML value, by definition
    """Return the value of a node by the YAML 1.2 core schema."""
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    if isinstance(node, Table):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    if node.empty:
        return None
    for convert in (boolean, integer, number):
        if (found := convert(node)) is not None:
            return found
    return node.text


def boolean(node: Text) -> bool | None:
    """Return true or false as YAML 1.2 knows them; None when the scalar is neither."""
    return _BOOLS.get(node.text) if node.plain else None


def integer(node: Text) -> int | None:
    """Return a whole number (decimal, 0o octal, 0x hexadecimal); None when the scalar is none."""
    if not node.plain or not _INT.fullmatch(node.text) or len(node.text) > 40:
        return None
    base = {"0o": 8, "0x": 16}.get(node.text[:2], 10)
    return int(node.text[2:] if base != 10 else node.text, base)


def number(node: Text) -> float | None:
    """Return a finite number; None when the scalar is none."""
    if not node.plain or not _FLOAT.fullmatch(node.text):
        return None
    value = float(node.text)
    return value if abs(value) != float("inf") else None


def read(file: File) -> tuple[Table, list[Problem]]:
    """Read and parse a file. Raises BrokenError, and OSError when it cannot be read."""
    if file.path is None:
        return Table(Mark(file)), []
    with file.path.open("rb") as stream:
        data = stream.read(SIZE_CAP + 1)
    if len(data) > SIZE_CAP:
        raise BrokenError(Problem(file.name, "", f"is larger than {SIZE_CAP >> 20} MiB", "is this a configuration?"))
    return parse(decode(data, file), file)


def decode(data: bytes, file: File) -> str:
    """Decode UTF-8, with or without a byte order mark. Raises BrokenError with the place that is none."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BrokenError(Problem(f"{file.name}:1:1", "", "is UTF-16, not UTF-8", "save it as UTF-8"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        raise BrokenError(
            Problem(
                str(_place(file, before)),
                "",
                f"byte 0x{data[error.start]:02x} is not UTF-8",
                f"save the file as UTF-8, e.g. iconv -f latin1 -t utf-8 {file.name}",
            )
        ) from None
    # The pattern for all of Unicode takes longer to compile than a usual file to read.
    if found := (_CONTROL.search(text) if text.isascii() else re.search(_UNPRINTABLE, text)):
        raise BrokenError(
            Problem(
                str(_place(file, text[: found.start()])),
                "",
                f"the control character U+{ord(found.group()):04X} is not allowed",
                'remove it, or write it as "\\xNN" in double quotes',
            )
        )
    return text


def _place(file: File, before: str) -> Mark:
    return Mark(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def parse(text: str, file: File) -> tuple[Table, list[Problem]]:
    """Return the top-level mapping and the mistakes that left a tree to go on with.

    Raises BrokenError where no tree is left: syntax, depth, alias bombs, a top level that is no mapping.
    """
    builder = _Builder(file)
    try:
        # libyaml's parser where it is there: the same grammar, fifteen times faster.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise BrokenError(_syntax(error, text, file)) from None
    root = builder.root
    if root is None or (isinstance(root, Text) and root.empty):
        return Table(Mark(file, 1, 1)), builder.problems
    if not isinstance(root, Table):
        raise BrokenError(
            Problem(str(root.mark), "", f"the file must be a mapping, not {kind(root)}", "it begins like 'sources:'")
        )
    return root, builder.problems


def _syntax(error: yaml.MarkedYAMLError, text: str, file: File) -> Problem:
    where = error.problem_mark or error.context_mark
    mark = Mark(file, where.line + 1, where.column + 1) if where else Mark(file)
    lines = text.split("\n")
    rest = lines[where.line][where.column :] if where and where.line < len(lines) else ""
    if rest[:1] == "\t":
        return Problem(str(mark), "", "a tab where YAML wants blanks", "indent with blanks")
    said = line(error.problem or "is not YAML")
    if error.context and error.context_mark and error.context_mark.line != (where.line if where else -1):
        said += f", {line(error.context)} that began on line {error.context_mark.line + 1}"
    return Problem(str(mark), "", f"not YAML: {said}", _QUOTE_HINT)


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end has not come yet."""

    mark: Mark
    anchor: str | None
    table: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Mark, Node]] = field(default_factory=dict)
    key: tuple[Mark, str] | None = None
    dropped: bool = False  # the key under way is refused; its value is read and forgotten
    size: int = 1  # values in here, aliases expanded
    depth: int = 1  # levels in here, aliases expanded


class _Builder:
    """Takes events one by one and grows the tree."""

    def __init__(self, file: File) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._open: set[str] = set()
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        start = event.start_mark
        mark = Mark(self._file, start.line + 1, start.column + 1) if start else Mark(self._file)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, mark)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(mark)

    def _document(self, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            raise BrokenError(Problem(str(mark), "", "a second document begins here", "one file is one document"))

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        self._no_tag(event, mark)
        self._add(Text(mark, event.value, not event.style), event.anchor)

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> None:
        name = event.anchor or ""
        if name in self._open:
            raise BrokenError(Problem(str(mark), self._here(), f"*{line(name)} contains itself"))
        if name not in self._anchors:
            raise BrokenError(
                Problem(str(mark), self._here(), f"there is no anchor &{line(name)} for *{line(name)}", _QUOTE_HINT)
            )
        node, size, depth = self._anchors[name]
        if size + sum(frame.size for frame in self._stack) > NODES_CAP or depth + len(self._stack) > DEPTH_CAP:
            raise BrokenError(
                Problem(
                    str(mark),
                    self._here(),
                    f"aliases grow this file beyond {NODES_CAP:,} values or {DEPTH_CAP} levels",
                    "write it out",
                )
            )
        self._add(node, None, size, depth)

    def _start(self, event: yaml.CollectionStartEvent, mark: Mark) -> None:
        self._no_tag(event, mark)
        if len(self._stack) >= DEPTH_CAP:
            raise BrokenError(Problem(str(mark), "", f"nested more than {DEPTH_CAP} levels deep"))
        if self._wants_key():
            raise BrokenError(Problem(str(mark), self._here(), "a key must be a text, not a list or mapping"))
        if event.anchor:
            self._open.add(event.anchor)
        self._stack.append(_Frame(mark, event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            self._open.discard(frame.anchor)
        node = Table(frame.mark, frame.entries) if frame.table else Items(frame.mark, tuple(frame.items))
        self._add(node, frame.anchor, frame.size, frame.depth + 1)

    def _add(self, node: Node, anchor: str | None, size: int = 1, depth: int = 0) -> None:
        if anchor:
            self._anchors[anchor] = (node, size, depth)
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.size += size
        frame.depth = max(frame.depth, depth)
        if not frame.table:
            frame.items.append(node)
        elif frame.key is None:
            self._key(frame, node)
        else:
            mark, key = frame.key
            if not frame.dropped:
                frame.entries[key] = (mark, node)
            frame.key = None

    def _key(self, frame: _Frame, node: Node) -> None:
        """Take the first of a pair. Keys are texts; each stands once."""
        if not isinstance(node, Text):
            raise BrokenError(Problem(str(node.mark), self._here(), "a key must be a text, not a list or mapping"))
        frame.dropped = True
        shown = line(node.text, 80)
        if node.plain and not isinstance(value := plain(node), str):
            word = "nothing" if value is None else "true or false" if isinstance(value, bool) else "a number"
            self._wrong(node.mark, f"the key {shown!r} is {word}, not a text", f'write "{shown}" in quotes')
        elif node.plain and node.text == "<<":
            self._wrong(node.mark, "merge keys ('<<') are not part of YAML 1.2", "write the options out")
        elif node.text in frame.entries:
            first = frame.entries[node.text][0]
            self._wrong(node.mark, f"the key {shown!r} stands here twice", f"first on line {first.line}; remove one")
        else:
            frame.dropped = False
        frame.key = (node.mark, node.text)

    def _wants_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].table and self._stack[-1].key is None

    def _no_tag(self, event: yaml.NodeEvent, mark: Mark) -> None:
        tag = getattr(event, "tag", None)
        if tag and tag not in ("!", "tag:yaml.org,2002:str"):
            self._wrong(mark, f"the tag {line(tag, 80)!r} is not used here", "text that begins with ! must be quoted")

    def _wrong(self, mark: Mark, message: str, hint: str) -> None:
        self.problems.append(Problem(str(mark), self._here(), message, hint))

    def _here(self) -> str:
        return dotted(tuple(self._path()))

    def _path(self) -> Iterator[str | int]:
        for frame in self._stack:
            if not frame.table:
                yield len(frame.items)
            elif frame.key:
                yield line(frame.key[1], 80)
