"""The layers a configuration is made of: environment over project file over user file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from opsbrief.config.check import Checker
from opsbrief.config.tree import BrokenError, File, Items, Mark, Node, Table, Text, read
from opsbrief.errors import Problem

NAME = "opsbrief.yaml"
BY_NAME = frozenset({"sources", "services"})  # an entry replaces the one below it whole
#: environment variable -> section, option
VARIABLES = {
    "OPSBRIEF_TIMEZONE": ("timezone", ""),
    "OPSBRIEF_BASELINE": ("defaults", "baseline"),
    "OPSBRIEF_TIMEOUT": ("defaults", "timeout"),
    "OPSBRIEF_OUT": ("defaults", "out"),
}


def user_file(env: Mapping[str, str]) -> Path:
    """Return where the user's own configuration lies."""
    if folder := env.get("XDG_CONFIG_HOME"):
        return Path(folder) / "opsbrief" / "config.yaml"
    # Imported here: it is only needed where XDG_CONFIG_HOME is not set, and --help needs neither.
    from platformdirs import user_config_path  # noqa: PLC0415

    return user_config_path("opsbrief") / "config.yaml"


def find(files: Sequence[Path] | None, env: Mapping[str, str], cwd: Path) -> tuple[list[File], tuple[Path, ...]]:
    """Return the files to read, the strongest first, and where was looked."""
    if files is None and env.get("OPSBRIEF_CONFIG"):
        files = [Path(env["OPSBRIEF_CONFIG"])]
    if files is not None:
        paths = [(str(path), cwd / path.expanduser()) for path in reversed(files)]
        return [File(name, path) for name, path in paths], tuple(path for _, path in paths)
    user = user_file(env)
    searched = [(NAME, cwd / NAME), (_home(user), user)]
    return [File(name, path) for name, path in searched if path.is_file()], tuple(path for _, path in searched)


def _home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def tree(file: File, checker: Checker, *, required: bool) -> Table | None:
    """Return the tree of a file; None when there is none to go on with, its problem noted."""
    try:
        tree, problems = read(file)
    except BrokenError as error:
        checker.problems.append(error.problem)
        return None
    except OSError as error:
        hint = "--config names it" if required else ""
        checker.problems.append(Problem(file.name, "", f"cannot be read: {error.strerror}", hint))
        return None
    checker.problems += problems
    return tree


def environment(env: Mapping[str, str]) -> Table:
    """Return the OPSBRIEF_* variables as one more file, each value marked with its variable."""
    sections: dict[str, tuple[Mark, Node]] = {}
    for variable, (section, option) in VARIABLES.items():
        if not (text := env.get(variable)):
            continue
        mark = Mark(File(variable))
        value: Node = Text(mark, text)
        if option == "baseline":
            value = Items(mark, tuple(Text(mark, part.strip()) for part in text.split(",")))
        if option:
            before = sections.get(section, (mark, Table(mark)))[1]
            entries = dict(before.entries) if isinstance(before, Table) else {}
            value = Table(mark, {**entries, option: (mark, value)})
        sections[section] = (mark, value)
    return Table(Mark(File("environment")), sections)


def overlay(trees: Sequence[Table]) -> Table:
    """Lay trees over each other, the strongest first.

    A source or service is taken whole from one file: mixing a URL from one with the credentials
    of another would send them to the wrong server. Patterns to redact add up.
    """
    merged: dict[str, tuple[Mark, Node]] = {}
    for tree in reversed(trees):
        for key, (mark, upper) in tree.entries.items():
            lower = merged[key][1] if key in merged else None
            merged[key] = (mark, _lay(key, upper, lower))
    ordered = {key: merged[key] for tree in trees for key in tree.entries}
    return Table(next((tree.mark for tree in trees if tree.mark.line), trees[0].mark), ordered)


def _lay(key: str, upper: Node, lower: Node | None) -> Node:
    if not isinstance(upper, Table) or not isinstance(lower, Table) or key not in {*BY_NAME, "defaults", "redact"}:
        return upper
    entries = {**lower.entries, **upper.entries}
    if key == "redact" and "patterns" in upper.entries and "patterns" in lower.entries:
        mark, above = upper.entries["patterns"]
        below = lower.entries["patterns"][1]
        if isinstance(above, Items) and isinstance(below, Items):
            entries["patterns"] = (mark, Items(above.mark, (*below.items, *above.items)))
    return Table(upper.mark, entries)
