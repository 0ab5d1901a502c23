"""Secrets by reference: {env: X}, {file: F}, {command: [..]}, {netrc: host}, {keyring: [service, user]}.

A reference is checked when the configuration is read and fetched when the secret is first needed,
so showing a configuration neither reveals nor runs anything. What cannot be fetched is a
SourceError: the source that needs it becomes a gap, and the others still give a brief.
"""

import re
import shlex
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from opsbrief.config.tree import File, Items, Node, Table, Text, kind
from opsbrief.errors import GapKind, Problem, SourceError
from opsbrief.secret import Secret
from opsbrief.text import clean, line
from opsbrief.transport.deadline import Deadline

COMMAND_SECONDS = 10.0
_CAP = 64 << 10
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_LISTS = {"command": "e.g. [pass, show, es]; no shell is used", "keyring": "write [SERVICE, USER]"}
WAYS = ("env", "file", "command", "netrc", "keyring")
_VALUED = frozenset({"machine", "login", "user", "password", "account"})
HOW = "{env: NAME}, {file: PATH}, {command: [PROGRAM, ARG]}, {netrc: HOST} or {keyring: [SERVICE, USER]}"


@dataclass(frozen=True, slots=True)
class Reference:
    """One way to a secret as written: ``env`` with ``("ES_PASSWORD",)``."""

    way: str
    args: tuple[str, ...]
    file: File

    def __str__(self) -> str:
        """Return it as in the configuration."""
        inner = self.args[0] if self.way in ("env", "file", "netrc") else f"[{', '.join(self.args)}]"
        return f"{{{self.way}: {inner}}}"

    @property
    def plain(self) -> dict[str, str | list[str]]:
        """Return it as YAML would load it."""
        return {self.way: self.args[0] if self.way in ("env", "file", "netrc") else list(self.args)}


def reference(node: Node, path: str) -> Reference | Problem:
    """Read a reference; a literal is refused without being repeated."""
    if isinstance(node, Text):
        found = _VARIABLE.fullmatch(node.text)
        hint = f"write {{env: {found.group(1)}}}" if found else f"write {HOW}"
        said = (
            "is empty; a secret is wanted" if node.empty else "a secret never stands here itself, only where to find it"
        )
        return Problem(str(node.mark), path, said, hint)
    if not isinstance(node, Table) or len(node.entries) != 1 or next(iter(node.entries)) not in WAYS:
        said = kind(node) if not isinstance(node, Table) else f"a mapping with {_keys(node)}"
        return Problem(str(node.mark), path, f"a reference to a secret is wanted, not {said}", f"write {HOW}")
    way, (_, value) = next(iter(node.entries.items()))
    args = _args(value)
    if wrong := _wrong(way, value, args):
        return Problem(str(value.mark), f"{path}.{way}", *wrong)
    return Reference(way, args, node.mark.file)


def _wrong(way: str, value: Node, args: tuple[str, ...]) -> tuple[str, str] | None:
    """Return message and hint when what stands after ``env:``, ``command:`` ... cannot be right."""
    wants_list = way in ("command", "keyring")
    if isinstance(value, Items) != wants_list or not args or not args[0]:
        hint = _LISTS.get(way, f"write {HOW}")
        return f"must be {'a list of texts' if wants_list else 'a text'}, not {kind(value)}", hint
    if way == "keyring" and len(args) != 2:
        return f"wants two texts, not {len(args)}", _LISTS[way]
    if way == "env" and not _NAME.fullmatch(args[0]):
        return "is not the name of an environment variable", "letters, digits and _ only"
    return None


def _keys(node: Table) -> str:
    return ", ".join(line(key, 40) for key in node.entries) or "nothing in it"


def _args(value: Node) -> tuple[str, ...]:
    nodes = value.items if isinstance(value, Items) else (value,)
    texts = tuple(item.text for item in nodes if isinstance(item, Text) and not item.empty)
    return texts if len(texts) == len(nodes) else ()


def secret(found: Reference, path: str, env: Mapping[str, str], seconds: float = COMMAND_SECONDS) -> Secret:
    """Return the secret behind a reference; nothing is fetched yet. ``seconds``: how long a command may take."""
    fetch: Callable[[], str]
    if found.way == "env":
        fetch = lambda: _env(found.args[0], path, env)  # noqa: E731 - five one-line ways, side by side
    elif found.way == "file":
        fetch = lambda: _file(_resolve(found.args[0], found.file), path)  # noqa: E731 - same
    elif found.way == "command":
        fetch = lambda: _command(found, path, env, seconds)  # noqa: E731 - same
    elif found.way == "netrc":
        fetch = lambda: netrc(found.args[0], path, env)[1]  # noqa: E731 - same
    else:
        fetch = lambda: _keyring(found.args[0], found.args[1], path)  # noqa: E731 - same
    return Secret(fetch, f"{path}: {found}")


def _resolve(text: str, file: File) -> Path:
    return file.folder / Path(text).expanduser()


def _env(name: str, path: str, env: Mapping[str, str]) -> str:
    if not (value := env.get(name)):
        said = "is empty" if name in env else "is not set"
        raise SourceError(GapKind.UNAUTHORIZED, f"{path}: the environment variable {name} {said}", f"export {name}=…")
    return value


def _private(path: Path, key: str) -> str:
    """Read a file that only its owner can read."""
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise SourceError(
                    GapKind.UNAUTHORIZED,
                    f"{key}: others can read {path} (mode {mode:04o})",
                    f"chmod 600 {shlex.quote(str(path))}, and change the secret",
                )
            data = stream.read(_CAP + 1)
    except OSError as error:
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: cannot read {path}: {error.strerror}") from None
    if len(data) > _CAP:
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: {path} is too large for a secret")
    return _text(data, f"{key}: {path}")


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SourceError(GapKind.UNAUTHORIZED, f"{what} is not UTF-8 text") from None


def _file(path: Path, key: str) -> str:
    if not (value := _private(path, key).rstrip("\r\n")):
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: {path} is empty")
    return value


def _command(found: Reference, key: str, env: Mapping[str, str], seconds: float) -> str:
    # Imported here: most configurations have no command, and subprocess is a third of an interpreter.
    from opsbrief.transport.process import run  # noqa: PLC0415

    deadline = Deadline(seconds)
    # A program that says nothing would be waited for; only expire() breaks such a wait.
    timer = threading.Timer(seconds, deadline.expire)
    timer.daemon = True
    timer.start()
    name = line(found.args[0], 80)
    try:
        done = run(found.args, deadline, env=env, cwd=str(found.file.folder), cap=_CAP)
    except SourceError as error:
        said = f"{name} did not end within {seconds:g} s" if error.kind is GapKind.TIMEOUT else error.message
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: {said}", "it is run without a terminal") from None
    finally:
        timer.cancel()
    if done.status:
        raise SourceError(
            GapKind.UNAUTHORIZED,
            f"{key}: {name} ended with status {done.status}",
            "run it by hand to see why; it is run without a shell and without a terminal",
        )
    if not (value := _text(done.stdout, f"{key}: what {name} printed").rstrip("\r\n")):
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: {name} printed nothing")
    return value


def _keyring(service: str, user: str, key: str) -> str:
    try:
        keyring = import_module("keyring")  # an extra that is usually not installed
        refused = import_module("keyring.errors").KeyringError
    except ImportError:
        raise SourceError(
            GapKind.UNAUTHORIZED, f"{key}: the package keyring is not installed", "pip install 'opsbrief[keyring]'"
        ) from None
    try:
        value = keyring.get_password(service, user)
    except refused as error:
        raise SourceError(GapKind.UNAUTHORIZED, f"{key}: the keyring refused: {clean(str(error), 200)}") from None
    if not value:
        raise SourceError(
            GapKind.UNAUTHORIZED,
            f"{key}: the keyring has no password of {user!r} for {service!r}",
            f"keyring set {shlex.quote(service)} {shlex.quote(user)}",
        )
    return str(value)


def netrc(host: str, key: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Return (user, password) of a host from $NETRC or ~/.netrc. Raises SourceError."""
    path = Path(env.get("NETRC") or Path(env.get("HOME") or "~") / ".netrc").expanduser()
    entries = parse_netrc(_private(path, key))
    for name in (host, ""):
        if found := entries.get(name):
            if not found[1]:
                raise SourceError(GapKind.UNAUTHORIZED, f"{key}: {path} has no password for {host}")
            return found
    raise SourceError(
        GapKind.UNAUTHORIZED, f"{key}: {path} has no machine {host}", f"add: machine {host} login USER password …"
    )


def parse_netrc(text: str) -> dict[str, tuple[str, str]]:
    """Return host to (user, password); the entry ``default`` has the name "".

    The first entry of a host holds, as in curl and ftp; macros (``macdef``) are skipped.
    """
    entries: dict[str, tuple[str, str]] = {}
    tokens = _tokens(text)
    host: str | None = None
    fresh = False
    for word in tokens:
        if word in ("machine", "default"):
            host = next(tokens, "") if word == "machine" else ""
            fresh = host not in entries
            entries.setdefault(host, ("", ""))
        elif word in _VALUED:
            value = next(tokens, "")
            if host is not None and fresh and word != "account":
                user, password = entries[host]
                entries[host] = (user, value) if word == "password" else (value, password)
    return entries


def _tokens(text: str) -> Iterator[str]:
    """Yield words; a ``#`` begins a comment, but not where a value is due: passwords may begin with one."""
    macro = False
    word = ""
    for raw in text.splitlines():
        if macro:
            macro = bool(raw.strip())  # a macro ends with an empty line
            continue
        rest = raw.strip()
        while rest and (word in _VALUED or not rest.startswith("#")):
            valued = word not in _VALUED
            word, rest = _token(rest)
            if valued and word == "macdef":
                macro = True
                break
            yield word
            word = word if valued else ""


def _token(text: str) -> tuple[str, str]:
    """Split the first word off; a word in double quotes may hold blanks and backslash escapes."""
    if not text.startswith('"'):
        word = text.split(maxsplit=1)[0]
        return word, text[len(word) :].lstrip()
    value, index = "", 1
    while index < len(text) and text[index] != '"':
        index += text[index] == "\\"
        value += text[index : index + 1]
        index += 1
    return value, text[index + 1 :].lstrip()
