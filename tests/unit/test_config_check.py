import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from opsbrief.config.check import Checker
from opsbrief.config.hosts import expand
from opsbrief.config.option import options, suggest, word
from opsbrief.config.tree import File, parse
from opsbrief.secret import Secret
from opsbrief.source import Login, Trust


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Toy:
    text: str = ""
    whole: int = 0
    real: float = 0.0
    truth: bool = False
    maybe: int | None = None
    seconds: float = field(default=1.0, metadata={"duration": True})
    length: timedelta = timedelta(0)
    word: Literal["up", "down", ""] = ""
    colour: Colour = Colour.RED
    texts: tuple[str, ...] = ()
    single: tuple[str, ...] = field(default=(), metadata={"single": True})
    hosts: tuple[str, ...] = field(default=(), metadata={"single": True, "expand": True})
    either: str | tuple[str, ...] = ""
    table: Mapping[str, int] = field(default_factory=dict)
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    path: str = field(default="", metadata={"path": True})
    place: Path = Path()
    pattern: re.Pattern[str] | None = None
    regex: str = field(default="", metadata={"regex": True})
    secret: Secret | None = None
    auth: Login = field(default_factory=Login)
    tls: Trust = field(default_factory=Trust)
    anything: object = None
    sender: str = field(default="", metadata={"key": "from"})
    hidden: int = field(default=7, metadata={"internal": True})

    def __post_init__(self) -> None:
        """Refuse one number, as a source may."""
        if self.whole == 13:
            raise ValueError("whole must not be 13")


def build(text: str) -> tuple[Toy | None, Checker]:
    root, problems = parse(text, File("f.yaml", Path("/etc/opsbrief/f.yaml")))
    assert not problems
    checker = Checker({"HOME": "/home/me"})
    return checker.build(Toy, root, ("toy",)), checker


def value(text: str) -> Any:
    made, checker = build(text)
    assert not checker.problems
    return getattr(made, text.partition(":")[0])


def complaints(text: str) -> list[str]:
    made, checker = build(text)
    assert made is None
    return [str(problem) for problem in checker.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text: 12:30", "12:30"),
        ("text: NO", "NO"),
        ("text: 0777", "0777"),
        ("text: 1.10", "1.10"),
        ("text: 0123456", "0123456"),
        ("text: 2026-01-02", "2026-01-02"),
        ("text: true", "true"),
        ("text: ''", ""),
        ("text: ssh://git@example/repo", "ssh://git@example/repo"),
        ("whole: 0777", 777),
        ("whole: -3", -3),
        ("real: 1.10", 1.1),
        ("real: 4", 4.0),
        ("truth: true", True),
        ("maybe: ~", None),
        ("maybe: 3", 3),
        ("seconds: 20s", 20.0),
        ("seconds: 2.5", 2.5),
        ("seconds: 5m", 300.0),
        ("length: 1h30m", timedelta(minutes=90)),
        ("word: up", "up"),
        ("colour: blue", Colour.BLUE),
        ("texts: [a, 1, no]", ("a", "1", "no")),
        ("texts: []", ()),
        ("single: a", ("a",)),
        ("hosts: app{1..3}", ("app1", "app2", "app3")),
        ("hosts: [a, 'b{1,2}']", ("a", "b1", "b2")),
        ("either: a", "a"),
        ("either: [a, b]", ("a", "b")),
        ("table: {a: 1, b: 2}", {"a": 1, "b": 2}),
        ("inner: {size: 1}", Inner(size=1)),
        ("inners: [{size: 1}, {size: 2, note: x}]", (Inner(size=1), Inner(size=2, note="x"))),
        ("path: a/*.log", "/etc/opsbrief/a/*.log"),
        ("path: /var/x", "/var/x"),
        ("place: x", Path("/etc/opsbrief/x")),
        ("regex: 'a+'", "a+"),
        ("tls: {ca_file: ca.pem}", Trust(ca_file="/etc/opsbrief/ca.pem")),
        ("anything: {a: [1, no]}", {"a": [1, "no"]}),
        ("auth:", Login()),
    ],
)
def test_a_value_is_what_its_type_says(text: str, expected: object) -> None:
    assert value(text) == expected


def test_a_home_is_expanded() -> None:
    assert value("path: ~/x") == str(Path("~/x").expanduser())


def test_a_pattern_is_compiled() -> None:
    assert value(r"pattern: '\bC\d+\b'").search("to C123")


def test_a_key_may_be_a_python_word() -> None:
    made, _ = build("from: me@example")
    assert made is not None
    assert made.sender == "me@example"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("txet: a", "f.yaml:1:1: toy: unknown option 'txet' (did you mean 'text'? options: text, whole, "),
        ("hidden: 1", "unknown option 'hidden'"),
        ("whole: 1.5", "f.yaml:1:8: toy.whole: must be a whole number, not '1.5'"),
        ("whole: '5'", "must be a whole number, not '5' (write it without quotes)"),
        ("whole: yes", "must be a whole number, not 'yes'"),
        ("whole:", "must be a whole number, not nothing"),
        ("whole: [1]", "must be a whole number, not a list"),
        ("whole: 13", "f.yaml:1:1: toy: whole must not be 13"),
        ("real: .inf", "must be a number, not '.inf'"),
        ("truth: yes", "must be true or false, not 'yes' (write true)"),
        ("truth: 'true'", "(write it without quotes)"),
        ("seconds: soon", "'soon' is not a length of time"),
        ("seconds: 0", "must be longer than nothing"),
        ("length: 90", "90 has no unit (write 90s, 90m or 90h)"),
        ("word: upp", "must be one of up, down, not 'upp' (did you mean 'up'?)"),
        ("word: ''", "must be one of up, down, not ''"),
        ("colour: rde", "must be one of red, blue, not 'rde' (did you mean 'red'?)"),
        ("texts: a.b", "must be a list, not a text (write [one, two])"),
        ("texts: [a, [b]]", "f.yaml:1:12: toy.texts[1]: must be a text, not a list"),
        ("single:", "must be a list, not nothing"),
        ("hosts: app{3..1}", "the range {3..1} runs backwards"),
        ("either: {a: b}", "must be a text, not a mapping"),
        ("table: [1]", "must be a mapping, not a list"),
        ("table: {a: x}", "toy.table.a: must be a whole number, not 'x'"),
        ("inner: {note: x}", "f.yaml:1:8: toy.inner: 'size' is missing"),
        ("inner: [1]", "toy.inner: must be a mapping, not a list (options: size, note)"),
        ("pattern: '('", "is no regular expression"),
        ("regex: '['", "is no regular expression"),
        ("text: http://me:pw@host/x", "(write http://host/x and give them as auth: {user: NAME, password: "),
        ("text: https://token@host", "credentials in a URL"),
        ("text: postgres://me:pw@host", "credentials in a URL"),
    ],
)
def test_a_mistake_is_said_with_place_path_and_advice(text: str, said: str) -> None:
    (problem,) = complaints(text)
    assert said in problem
    assert "pw@" not in problem


def test_all_mistakes_are_found_at_once() -> None:
    found = complaints("whole: x\nreal: y\ninner: {sise: 1}\ntexts: 1\nnope: 1")
    assert len(found) == 6
    assert [problem.split(":")[1] for problem in found] == ["1", "2", "3", "3", "4", "5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret: hunter2", "a secret never stands here itself, only where to find it (write {env: NAME}, {file: "),
        ("secret: ${TOKEN}", "(write {env: TOKEN})"),
        ("secret: $TOKEN", "(write {env: TOKEN})"),
        ("secret: {envv: X}", "a reference to a secret is wanted, not a mapping with envv"),
        ("secret: {env: X, file: Y}", "a reference to a secret is wanted"),
        ("secret: {env: a-b}", "toy.secret.env: is not the name of an environment variable"),
        ("secret: {env: [X]}", "must be a text, not a list"),
        ("secret: {command: pass show es}", "must be a list of texts, not a text (e.g. [pass, show, es]; no shell"),
        ("secret: {command: []}", "must be a list of texts"),
        ("secret: {keyring: [one]}", "wants two texts, not 1 (write [SERVICE, USER])"),
        ("secret: [x]", "a reference to a secret is wanted, not a list"),
        ("auth: {password: hunter2}", "toy.auth.password: a secret never stands here itself"),
        ("auth: hunter2", "must be a mapping, not a text"),
        ("auth: {headers: {X-Key: hunter2}}", "toy.auth.headers.X-Key: a secret never stands here itself"),
    ],
)
def test_a_literal_secret_is_refused_and_not_repeated(text: str, said: str) -> None:
    (problem,) = complaints(text)
    assert said in problem
    assert "hunter2" not in problem


def test_settings_say_where_each_value_comes_from() -> None:
    _, checker = build("whole: 3\nauth: {password: {env: PW}}")
    rows = {setting.path[1:]: (setting.value, setting.where) for setting in checker.settings}
    assert rows["whole",] == (3, "f.yaml:1:8")
    assert rows["auth", "password"] == ({"env": "PW"}, "f.yaml:2:18")
    assert rows["text",] == ("", "built-in")
    assert rows["length",] == ("0s", "built-in")
    assert rows["colour",] == ("red", "built-in")


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("app", ("app",)),
        ("app{1..3}", ("app1", "app2", "app3")),
        ("db{08..11}.x", ("db08.x", "db09.x", "db10.x", "db11.x")),
        ("{web, api}-{1..2}", ("web-1", "web-2", "api-1", "api-2")),
    ],
)
def test_host_patterns_stand_for_hosts(pattern: str, hosts: tuple[str, ...]) -> None:
    assert expand(pattern) == hosts


@pytest.mark.parametrize(
    "pattern", ["a{1..", "a}", "a{}", "a{x}", "a{1..99999999}", "{1..999}{1..999}", "a{{1..2}}", "a{3..1}"]
)
def test_a_wrong_host_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"brace|range|choice|hosts"):
        expand(pattern)


def test_words_for_types() -> None:
    names = {key: word(option.hint, option.field.metadata) for key, option in options(Toy).items()}
    assert names["seconds"] == "a length of time such as 20s or 5m"
    assert names["texts"] == "a list of texts"
    assert names["inners"] == "a list of mappings"
    assert names["maybe"] == "a whole number"
    assert names["either"] == "a text or a list of texts"
    assert names["path"] == names["place"] == "a path"
    assert names["secret"] == "a reference to a secret"


def test_a_suggestion_forgives_case() -> None:
    assert suggest("Graphit", ["graphite", "git"]) == "did you mean 'graphite'? known: graphite, git"
    assert suggest("zzz", ["a", "b"]) == "known: a, b"
