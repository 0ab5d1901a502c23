import re

import pytest
from markdown_it import MarkdownIt
from tests.golden import story

from opsbrief.compose import compose
from opsbrief.render import markdown


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("a | b", "a &#124; b"),
        ("<b>&amp;", "&#60;b&#62;&#38;amp;"),
        ("@all #12", "&#64;&#8203;all &#35;&#8203;12"),
        ("http://x www.x", "http:&#8203;//x www.&#8203;x"),
        ("tcp_connections", "tcp_connections"),
        ("_x_", "&#95;x&#95;"),
        ("1. one", "&#49;. one"),
        ("2.14.0 (x)", "2.14.0 (x)"),
        ("- x", "&#45; x"),
        ("--since deploy", "--since deploy"),
        ("~ 2 h ~~x~~", "~ 2 h &#126;&#126;x&#126;&#126;"),
        ("a\nb\tc", "a b c"),
    ],
)
def test_words_are_encoded_only_where_they_could_mean_something(word: str, written: str) -> None:
    assert markdown.inline(word) == written


def test_code_is_a_span_where_it_can_be() -> None:
    assert markdown.code("GET /a?b=* 200") == "`GET /a?b=* 200`"
    assert markdown.code("a | b") == "a &#124; b"
    assert markdown.code("a `b`") == "a &#96;b&#96;"
    assert markdown.code("") == ""


def test_a_fence_is_longer_than_any_run_in_it() -> None:
    assert markdown.fence("x ```` y").startswith("`````text\n")
    assert markdown.fence("x").startswith("```text\n")


def test_pictures_are_referred_to_by_relative_path_and_say_the_finding() -> None:
    brief = compose(story.evidence(), story.findings())
    source = markdown.render(brief, {"key": "graphs/key.png"})
    assert "![connections: 41.2 → 197 conn on 8 of 8 hosts" in source
    assert "](graphs/key.png)" in source
    assert source.count("![") == 1, "a graph without a picture is shown as text"
    assert "█" in source


def test_every_table_of_the_story_is_read_as_one() -> None:
    source = markdown.render(compose(story.evidence(), story.findings()), {})
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(source)
    tables = sum(token.type == "table_open" for token in tokens)
    assert tables == len(re.findall(r"^\| --", source, re.MULTILINE))
    assert not [token for token in tokens if token.type == "heading_open" and token.tag == "h1"][1:]
