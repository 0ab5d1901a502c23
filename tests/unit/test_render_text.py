from dataclasses import replace

import pytest
from tests.golden import story

from opsbrief.compose import compose
from opsbrief.model.brief import Brief, Cell, Column, Entry, Line, Scorecard, Section, Table, Timeline, Verbatim
from opsbrief.render import text


def page(*blocks: object, folded: bool = False, heading: str = "News") -> list[str]:
    section = Section(name="x", heading=heading, blocks=blocks, folded=folded)  # type: ignore[arg-type] # any block
    brief: Brief = replace(compose(story.evidence(), ()), sections=(section,), headline="h", service="s")
    return text.render(brief, 40).split("\n")[1:]


def table(*rows: tuple[str, str], cut: int = 0) -> Table:
    cells = tuple((Cell(text=left, refs=("F1",)), Cell(text=right)) for left, right in rows)
    return Table(columns=(Column(heading="Pattern"), Column(heading="Rate", align="right")), rows=cells, cut=cut)


def test_labels_are_aligned_and_not_repeated() -> None:
    lines = (
        Line(label="Changed", text="one two three four five six seven", refs=("F1",)),
        Line(label="Changed", text="more", detail="really"),
        Line(label="Ruled out", text="all"),
    )
    assert page(Scorecard(lines=lines)) == [
        "",
        "CHANGED       one two three four five",
        "              six seven [F1]",
        "              more – really",
        "RULED OUT     all",
        "",
    ]


def test_a_row_of_the_first_page_is_one_line_and_keeps_its_id() -> None:
    assert page(table(("x" * 90, "0 → 14.1"), ("short", "1"))) == [
        "",
        "NEWS",
        f"{'x' * 24}… [F1]  0 → 14.1",
        f"{'short [F1]':<30}         1",
        "",
    ]


def test_cells_of_later_pages_wrap_under_their_headings() -> None:
    lines = page(table((("word " * 10).strip(), "1"), cut=1234), folded=True)
    assert lines[:4] == ["", "", "─" * 40, "NEWS"]
    assert lines[5].split() == ["Pattern", "Rate"]
    assert [line.rstrip() for line in lines[6:9]] == [
        "word word word word word word word     1",
        "word word word [F1]",
        "… and 1,234 more",
    ]


def test_a_timeline_flows_on_the_first_page_and_stands_on_later_ones() -> None:
    entries = (Entry(at="Thu 16:20", text="last commit"), Entry(at="15:02", text="deploy 2.14.0", refs=("F2",)))
    assert page(Timeline(entries=entries, cut=3), heading="Timeline") == [
        "",
        "TIMELINE      Thu 16:20 last commit ·",
        "              15:02 deploy 2.14.0 [F2] ·",
        "              … and 3 more",
        "",
    ]
    assert page(Timeline(entries=entries), folded=True)[5:] == [
        "Thu 16:20  last commit",
        "15:02      deploy 2.14.0 [F2]",
        "",
    ]


def test_lines_as_written_are_indented_and_never_wrapped() -> None:
    assert page(Verbatim(lines=("x" * 60, ""), caption="c"), folded=True)[5:] == ["c", f"    {'x' * 60}", "", ""]


@pytest.mark.parametrize("width", [50, 78, 120])
def test_the_story_stays_within_the_page(width: int) -> None:
    written = text.render(compose(story.evidence(), story.findings()), width).split("\n")
    code = "    "  # log lines keep their length
    spark = "  "
    assert all(len(line) <= width for line in written if not line.startswith((code, spark)))
