from io import StringIO

from rich.console import Console
from tests.golden import story

from opsbrief.compose import compose
from opsbrief.render import terminal


def shown(width: int = 80, *, colours: bool = False) -> str:
    screen = StringIO()
    console = Console(file=screen, width=width, force_terminal=colours, color_system="standard" if colours else None)
    terminal.render(compose(story.evidence(), story.findings()), console)
    return screen.getvalue()


def test_the_first_page_fits_80_columns() -> None:
    lines = shown().split("\n")
    assert max(len(line) for line in lines) <= 80
    assert lines[0].startswith("shop · connections rising since release 2.14.0")


def test_verdicts_differ_by_sign_and_not_only_by_colour() -> None:
    page = shown()
    assert "■ connections" in page
    assert "● infrastructure" in page
    assert "○ haproxy" in page


def test_colours_only_where_there_are_colours() -> None:
    assert "\x1b" not in shown()
    assert "\x1b[" in shown(colours=True)


def test_the_pages_that_follow_are_named() -> None:
    assert "Also in brief.html" in shown()
    assert "Receipts" in shown()
    assert "Digest" not in shown()


def test_narrow_screens_lose_no_word_of_a_verdict() -> None:
    words = " ".join(shown(40).split())
    for word in ("41.2", "197", "infrastructure", "placebo", "refused"):
        assert word in words
