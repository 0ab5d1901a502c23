from pathlib import Path

import pytest

from opsbrief.config.tree import (
    DEPTH_CAP,
    BrokenError,
    File,
    Items,
    Node,
    Table,
    Text,
    decode,
    dotted,
    parse,
    plain,
    read,
)

FILE = File("f.yaml")


def tree(text: str) -> Table:
    found, problems = parse(text, FILE)
    assert not problems
    return found


def broken(text: str | bytes) -> str:
    with pytest.raises(BrokenError) as caught:
        parse(decode(text, FILE) if isinstance(text, bytes) else text, FILE)
    return str(caught.value.problem)


def complaints(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, FILE)[1]]


def get(node: Node, *path: str | int) -> Node:
    for part in path:
        if isinstance(node, Table):
            node = node.entries[str(part)][1]
        elif isinstance(node, Items):
            node = node.items[int(part)]
    return node


@pytest.mark.parametrize(
    "written", ["12:30", "NO", "on", "0777", "1.10", "0123456", "1234567", "2026-01-02", "1:02:03", "0x10", "yes", "="]
)
def test_a_scalar_stays_what_was_written(written: str) -> None:
    node = get(tree(f"a: {written}"), "a")
    assert isinstance(node, Text)
    assert node.text == written


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("0777", 777),
        ("0o777", 511),
        ("0x1F", 31),
        ("1.10", 1.1),
        ("1_000", "1_000"),
        ("2026-01-02", "2026-01-02"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("[1, {b: x}]", [1, {"b": "x"}]),
    ],
)
def test_plain_values_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    assert plain(tree(f"a: {written}")) == {"a": value}


def test_every_value_knows_its_place() -> None:
    found = tree("a: 1\nb:\n  - x\n  - {c: y}\n")
    assert str(get(found, "a").mark) == "f.yaml:1:4"
    assert str(get(found, "b", 1, "c").mark) == "f.yaml:4:9"


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert plain(tree("")) == plain(tree("# nothing\n")) == plain(tree("---\n")) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: the key 'a' stands here twice (first on line 1; remove one)"),
        ("a: {b: 1, b: 2}", "f.yaml:1:11: a: the key 'b' stands here twice (first on line 1; remove one)"),
        ("x: [{1: 2}]", "f.yaml:1:6: x[0]: the key '1' is a number, not a text (write \"1\" in quotes)"),
        ("true: 1", "f.yaml:1:1: the key 'true' is true or false, not a text (write \"true\" in quotes)"),
        ("~: 1", "f.yaml:1:1: the key '~' is nothing, not a text (write \"~\" in quotes)"),
        ("a: &x {b: 1}\nc: {<<: *x}", "merge keys ('<<') are not part of YAML 1.2 (write the options out)"),
        ("a: !!python/object:os.system x", "the tag 'tag:yaml.org,2002:python/object:os.system' is not used here"),
        ("a: !vault x", "the tag '!vault' is not used here"),
    ],
)
def test_wrong_keys_and_tags_are_named_and_the_rest_is_read(text: str, said: str) -> None:
    (problem,) = complaints(text)
    assert said in problem


def test_quoted_numbers_and_norwegian_keys_are_texts() -> None:
    assert plain(tree("'1': a\nNO: b\non: c")) == {"1": "a", "NO": "b", "on": "c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\t- b", "f.yaml:2:1: a tab where YAML wants blanks (indent with blanks)"),
        ("a: @timestamp", "f.yaml:1:4: not YAML: found character"),
        ("a: *.log", "must stand in quotes"),
        ("a: *log", "f.yaml:1:4: a: there is no anchor &log for *log"),
        ("a: b: c", "f.yaml:1:5: not YAML: mapping values are not allowed"),
        ("a: 'x\nb: 1", "that began on line 1"),
        ("a: [1, 2", "not YAML"),
        ("---\na: 1\n---\nb: 2", "f.yaml:3:1: a second document begins here"),
        ("- a\n- b", "f.yaml:1:1: the file must be a mapping, not a list"),
        ("just words", "f.yaml:1:1: the file must be a mapping, not a text"),
        ("{[a]: 1}", "a key must be a text, not a list or mapping"),
        ("? {a: 1}\n: 2", "a key must be a text, not a list or mapping"),
        ("a: &x [b]\n*x : 1", "a key must be a text, not a list or mapping"),
        ("a: &x [*x]", "f.yaml:1:8: a[0]: *x contains itself"),
        ("[" * 20_000, f"nested more than {DEPTH_CAP} levels deep"),
        ("\n".join(" " * depth + "a:" for depth in range(3000)), f"nested more than {DEPTH_CAP} levels deep"),
        (b"a: caf\xe9", "f.yaml:1:7: byte 0xe9 is not UTF-8 (save the file as UTF-8"),
        ("ü: ä\nb: é".encode() + b"\xff", "f.yaml:2:5: byte 0xff is not UTF-8"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: is UTF-16, not UTF-8"),
        (b"a: x\x07y", "f.yaml:1:5: the control character U+0007 is not allowed"),
        (b"a: 1\nb: \x00", "f.yaml:2:4: the control character U+0000 is not allowed"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_place(text: str | bytes, said: str) -> None:
    assert said in broken(text)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert plain(parse(decode(b"\xef\xbb\xbfa: 1", FILE), FILE)[0]) == {"a": 1}


def test_aliases_are_values() -> None:
    assert plain(tree("a: &x [1, 2]\nb: *x")) == {"a": [1, 2], "b": [1, 2]}


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases grow this file beyond" in broken("\n".join(lines))


def test_aliases_cannot_grow_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    assert "aliases grow this file" in broken("\n".join(lines))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(BrokenError, match="larger than 1 MiB"):
        read(File("big.yaml", path))


def test_a_path_is_written_as_people_write_it() -> None:
    assert dotted(("services", "shop", "metrics", 0, "target")) == "services.shop.metrics[0].target"
    assert dotted(()) == ""
