"""Whatever stands in a file: a configuration or ConfigError, in time, and no literal secret in a message."""

import json
import re
import string
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opsbrief.cli.config import nest
from opsbrief.cli.draft import Answers, Server, compress, quote, quoted, text
from opsbrief.config import load
from opsbrief.config.check import Checker
from opsbrief.config.hosts import expand
from opsbrief.config.tree import BrokenError, File, decode, parse, plain
from opsbrief.errors import ConfigError, Problem

FILE = File("f.yaml")

words = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=6)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)
SYNTAX = st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@` \n\t,?~0."), max_size=80)


UNSAFE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")


def escape(found: "re.Match[str]") -> str:
    return f"\\u{ord(found.group()):04x}"


@given(st.dictionaries(words, values, max_size=5))
def test_what_json_says_the_loader_reads(value: dict[str, object]) -> None:
    # JSON is YAML 1.2: the same document must mean the same (libyaml knows no pairs of \\u escapes).
    found, problems = parse(UNSAFE.sub(escape, json.dumps(value, ensure_ascii=False)), FILE)
    assert not problems
    assert plain(found) == value


def complaints(data: bytes) -> Sequence[Problem]:
    try:
        return parse(decode(data, FILE), FILE)[1]
    except BrokenError as error:
        return [error.problem]


@given(SYNTAX | st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_place(document: str) -> None:
    problems = complaints(document.encode("utf-8", "surrogatepass"))
    assert all(problem.where.startswith("f.yaml") and problem.message for problem in problems)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert all(problem.where and problem.message for problem in complaints(data))


@dataclass(frozen=True, kw_only=True)
class Text:
    text: str = ""


@given(st.text(alphabet=string.ascii_letters + string.digits + "_.:/+-", min_size=1).filter(lambda t: "://" not in t))
def test_a_text_option_is_the_text_that_was_written(written: str) -> None:
    try:
        root, _ = parse(f"text: {written}", FILE)
    except BrokenError:
        return  # "a:" and the like are no plain scalars
    checker = Checker({})
    made = checker.build(Text, root, ())
    if made is not None and made.text:
        assert made.text == written


@given(st.text(max_size=40))
def test_what_init_quotes_reads_back(written: str) -> None:
    found, problems = parse(decode(f"a: {quote(written)}\nb: [{quoted(written)}]".encode(), FILE), FILE)
    assert not problems
    assert getattr(found.entries["a"][1], "text", None) == written
    assert plain(found)["b"] == [written]


# Not timezone: the nearest of 600 names is looked up on the disk each time.
SECTIONS = ("version", "defaults", "sources", "deploys", "services", "redact", "deliver")
KEYS = st.sampled_from(["type", "url", "path", "auth", "password", "hosts", "metrics", "target", "source", "patterns"])
TEXTS = st.sampled_from(["graphite", "git", "whisper", "logfile", "http://x", "app{1..3}", "20s", "before", "12:30"])
trees = st.recursive(
    scalars | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | words, inner, max_size=4),
    max_leaves=15,
)


def refused(path: Path) -> Sequence[Problem]:
    try:
        load([path], {}, path.parent)
    except ConfigError as error:
        return error.problems
    return ()


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(SECTIONS) | words, trees, max_size=5))
def test_any_tree_is_a_configuration_or_a_list_of_problems(tree: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        path.write_text(json.dumps(tree), encoding="utf-8")
        problems = refused(path)
    assert all(problem.where and problem.message for problem in problems)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
PATHS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)
answers = st.builds(
    Answers,
    service=NAMES,
    graphite=st.none() | st.builds(Server, url=st.just("https://g.example"), user=PATHS, variable=st.just("PW")),
    elasticsearch=st.none() | st.builds(Server, url=st.just("https://e"), user=st.just(""), variable=st.just("T")),
    index=st.sampled_from(["", "logs-%Y.%m.%d", "a,b", "*"]),
    repository=PATHS,
    infrastructure=st.lists(PATHS, max_size=2).map(tuple),
    deploy_log=st.just("") | PATHS,
    hosts=st.lists(NAMES, max_size=3).map(tuple),
    query=st.just("") | PATHS,
    targets=st.lists(PATHS, max_size=2).map(tuple),
    dashboard=st.booleans(),
)


@settings(deadline=None, max_examples=40)
@given(answers.filter(lambda made: not made.repository.startswith("~")))
def test_what_init_writes_loads_and_says_the_same_when_shown_and_loaded_again(made: Answers) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        path.write_text(text(made), encoding="utf-8")
        if any("://" in value or value.startswith("~") for value in (*made.infrastructure, made.deploy_log)):
            return
        config = load([path], {}, Path(folder))
        shown = Path(folder) / "shown.yaml"
        shown.write_text(yaml.safe_dump(nest(config.settings), allow_unicode=True, sort_keys=False), encoding="utf-8")
        again = load([shown], {}, Path(folder))
    assert again.services == config.services
    assert again.deploys == config.deploys
    assert again.sources == config.sources
    assert config.service().name == made.service


@given(st.sets(st.from_regex(r"(app|db|web-)[0-9]{0,3}(\.x)?", fullmatch=True), max_size=12))
def test_hosts_written_short_stand_for_the_same_hosts(hosts: set[str]) -> None:
    assert sorted(host for pattern in compress(hosts) for host in expand(pattern)) == sorted(hosts)
