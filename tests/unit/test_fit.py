"""The first page stays a page: what gives way, and that nothing else does."""

from opsbrief.compose.fit import PAGE, fitted, height
from opsbrief.model.brief import Cell, Column, Entry, Line, Scorecard, Section, Table, Timeline


def page(lines: int, patterns: int, events: int) -> "tuple[tuple[int, int], list[tuple[int, int]]]":
    """Return what was chosen for so many lines that stay, and what was tried."""
    tried = []

    def sections(rows: int, instants: int) -> tuple[Section, ...]:
        tried.append((rows, instants))
        verdict = Scorecard(lines=tuple(Line(label=f"L{number}", text="x") for number in range(lines)))
        row = (Cell(text="new"), Cell(text="y"))
        table = Table(
            columns=(Column(heading="a"), Column(heading="b")), rows=(row,) * min(rows, patterns), caption="c",
            cut=max(0, patterns - rows),
        )  # fmt: skip
        told = Timeline(
            entries=(Entry(at="15:02", text="z" * 50),) * min(instants, events), cut=max(0, events - instants)
        )
        blocks = {"verdict": verdict, "logs": table, "timeline": told}
        return tuple(Section(name=name, heading=name, blocks=(block,)) for name, block in blocks.items())

    chosen = fitted("title", sections)
    table, told = chosen[1].blocks[0], chosen[2].blocks[0]
    assert isinstance(table, Table)
    assert isinstance(told, Timeline)
    assert len(chosen[0].blocks[0].lines) == lines  # type: ignore[union-attr] # reason: a Scorecard
    return (len(table.rows), len(told.entries)), tried


def test_a_quiet_brief_shows_all_there_is_room_for() -> None:
    shown, tried = page(lines=10, patterns=20, events=20)
    assert shown == (10, 7)
    assert len(tried) == 1


def test_a_full_brief_shows_fewer_patterns_and_instants() -> None:
    (rows, instants), tried = page(lines=28, patterns=20, events=20)
    assert 3 <= rows < 10
    assert 3 <= instants <= 7
    assert len(tried) > 1


def test_the_least_is_shown_though_the_page_is_too_long() -> None:
    shown, _ = page(lines=PAGE + 10, patterns=20, events=20)
    assert shown == (3, 3)


def test_lines_are_counted_as_they_wrap() -> None:
    long = Line(label="Changed", text="word " * 30, detail="more " * 10, refs=("F1", "F2"))
    assert height([Section(name="v", heading="", blocks=(Scorecard(lines=(long,)),))]) == 4
