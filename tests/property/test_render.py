"""Hostile words everywhere: whatever evidence says stays text in every form of the brief."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from tests.golden import story

from opsbrief.compose import compose
from opsbrief.errors import GapKind
from opsbrief.model.brief import Brief, Cell, Column, Line, Paragraph, Scorecard, Section, Table, Verbatim
from opsbrief.model.evidence import Change, Evidence, Gap, LogSample, Outcome, Release, Run, Series
from opsbrief.model.finding import Finding
from opsbrief.render import data, html, markdown, svg, terminal, text
from opsbrief.text import clean, line

NASTY = (
    "<script>alert(1)</script>",
    "\" onload='alert(1)' x=\"",
    "</pre></style></svg><img src=//evil.example/x.png>",
    "| a | b |",
    "`` ` ``` ~~~",
    "```\n# heading\n```",
    "[x](javascript:alert(1)) ![y](https://evil.example/p.png)",
    "@everyone #123 GH-1 user/repo#1 https://evil.example www.evil.example a@b.example",
    "$\\frac{1}{0}$ $$x$$",
    "[/api/v1] [bold]x[/bold] [link=https://evil.example]x[/link]",
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\x00\x7f",
    "\u202egnp.exe\u2066\u200f",
    "&lt;b&gt; &#0; &amp;amp; %s {0} {{7*7}} ${x}",
    "-- \n---\n===\n***\n+ x\n1. y\n> z\n    code",
    "line\r\nwith\rreturns\tand tabs\u2028and separators",
    "ключ 監視 🔥 é\u0301 \ufeff \ud800",
    "x" * 50_000,
    "",
)
WORDS = st.one_of(st.sampled_from(NASTY), st.text(max_size=60), st.text("`|\\*_[]()<>&$~#@!:/-+=.\n w1", max_size=40))

TAGS = frozenset(
    re.findall(
        r"\w+",
        """html head meta title style body header main footer section details summary div p h1 h2 h3 dl dt dd span a
        table caption thead tbody tr th td ol li b pre code figure figcaption time
        svg rect path g text desc line tspan polygon polyline circle clippath defs""",
    )
)
VOID = frozenset(("meta",))


class Page(HTMLParser):
    """Collects what a browser would see: tags, attributes, text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def hostile(word: str, other: str) -> tuple[Evidence, list[Finding]]:
    """Put ``word`` and ``other`` wherever foreign words may stand."""

    def soiled(outcome: Outcome) -> Outcome:
        items = []
        for item in outcome.items:
            origin = replace(item.origin, source=line(word), query=clean(other), url=clean(word))
            match item:
                case Series():
                    changed = replace(item, name=line(other) + item.name, host=line(word) + item.host, unit=line(other))
                case LogSample():
                    changed = replace(item, query=line(word))
                case Change():
                    changed = replace(item, summary=clean(word), ref=line(other), author=line(word))
                case Release():
                    changed = replace(item, base=line(word), head=line(other))
                case Run():
                    changed = replace(item, host=line(word), version=line(other), stated=line(word))
                case _:
                    changed = replace(item, host=line(word), service=line(other))
            items.append(replace(changed, origin=origin))
        return replace(outcome, source=line(word) or "s", type=line(other), items=tuple(items))

    evidence = story.evidence()
    gap = Gap(source=line(word), what=line(other), kind=GapKind.BUG, detail=clean(word), hint=clean(other), span=word)
    outcomes = (*map(soiled, evidence.outcomes), Outcome(source=line(word), type="x", gaps=(gap,)))
    window = replace(
        evidence.window,
        anchor=replace(evidence.window.anchor, ref=line(word), note=line(other), source=line(other)),
        receipt=replace(evidence.window.receipt, since=word, reason=other, warnings=(word,))
        if evidence.window.receipt
        else None,
    )
    scope = replace(evidence.scope, service=line(word), hosts=(word, other))
    facts = {"level": word, "example": other, "code_at": word, "code_text": other, "rate_after": 1.0}
    findings = [
        replace(
            finding,
            subject=line(word) or finding.subject,
            headline=clean(other),
            detail=clean(word),
            hosts=(word, other),
            unit=line(word),
            facts={**finding.facts, **facts} if finding.code == "log-pattern" else finding.facts,
        )
        for finding in story.findings()
    ]
    changed = replace(
        evidence, outcomes=outcomes, window=window, scope=scope, version="0.1.0", redactions={line(word): 3}
    )
    return changed, findings


def allowed(tag: str, attrs: dict[str, str | None]) -> None:
    """Fail unless a browser could do nothing but show this element."""
    assert tag in TAGS, tag
    for name, value in attrs.items():
        assert not name.startswith("on"), name
        assert name not in ("src", "srcset", "action", "formaction", "background", "xlink:href"), name
        if name == "href":
            assert re.fullmatch(r"#[EF]\d+", value or ""), value
        if name == "style":
            assert "url" not in (value or "")
        if name == "http-equiv":
            assert value == "Content-Security-Policy"


def quiet(output: str) -> None:
    """Fail on any character that moves a cursor, hides a word or reorders text."""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200e\u200f]", output)


@settings(max_examples=30, deadline=None)
@given(word=WORDS, other=WORDS)
@example(word=NASTY[0], other=NASTY[1])
@example(word=NASTY[2], other=NASTY[6])
@example(word=NASTY[10], other=NASTY[11])
@example(word=NASTY[14], other=NASTY[16])
def test_hostile_evidence_is_shown_safely_in_every_form(word: str, other: str) -> None:
    evidence, findings = hostile(word, other)
    brief = compose(evidence, findings, people=True)
    drawings = {figure.name: svg.draw(figure.chart, figure.name) for figure in brief.figures()}
    page = html.render(brief, drawings, svg.CSS)
    seen = Page(page)
    assert not seen.open
    for tag, attrs in seen.tags:
        allowed(tag, attrs)
    source = markdown.render(brief, {figure.name: f"graphs/{figure.name}.png" for figure in brief.figures()})
    inert(source)
    plain = text.render(brief)
    screen = StringIO()
    terminal.render(brief, Console(file=screen, width=80, force_terminal=False))
    document = data.findings(evidence, findings, brief).decode()
    json.loads(document)
    for output in (page, source, plain, screen.getvalue(), brief.subject, brief.pager):
        quiet(output)
    assert len(brief.subject) <= 120
    assert len(brief.pager) <= 160
    assert "\n" not in brief.subject + brief.pager + brief.headline
    assert len(page) < 2_000_000


def inert(source: str) -> None:
    """Fail if Markdown finds anything but our own markup: pictures of ours, tables, lists, folds, fences."""
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(source):
        if token.type == "html_block":
            assert not re.sub(
                r"</?(details|summary|b)>|<sub>\[[EF0-9, ]+\]</sub>|[\w ,:&;.-]", "", token.content
            ).strip()
        for child in token.children or ():
            assert child.type not in ("link_open", "s_open"), child
            if child.type == "image":
                assert re.fullmatch(r"graphs/(key|metric-\d\d)\.png", str(child.attrs["src"]))
            if child.type == "html_inline":
                assert child.content in ("<sub>", "</sub>"), child.content


def told(tokens: list) -> list[str]:
    """Return the text of each inline token, zero-width breaks taken out."""
    return [
        "".join("\n" if c.type.endswith("break") else c.content for c in token.children).replace("\u200b", "")
        for token in tokens
        if token.type == "inline"
    ]


@settings(deadline=None)
@given(word=WORDS)
@example(word="a|b`c`|d")
@example(word="1. x")
@example(word="- x")
@example(word="-")
@example(word="![a](b)")
@example(word="*a* **b** _c_ ~~d~~ __e__ f_g_h")
def test_a_paragraph_and_a_cell_of_markdown_say_exactly_the_word(word: str) -> None:
    word = line(word, 2000)
    source = f"{markdown.inline(word)}\n\n| h | i | j |\n| --- | --- | --- |\n| a | {markdown.inline(word)} | b |\n"
    source += f"| a | {markdown.code(word)} | b |\n"
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(source)
    cells = told(tokens)
    expected = [word] if word else []
    assert cells == [*expected, "h", "i", "j", "a", word, "b", "a", word, "b"]


@settings(deadline=None)
@given(words=st.lists(WORDS, max_size=5))
@example(words=["```", "````", "~~~"])
def test_a_fence_holds_any_lines(words: list[str]) -> None:
    content = clean("\n".join(words))
    source = f"before\n\n{markdown.fence(content)}\n\nafter\n"
    fences = [token for token in MarkdownIt("gfm-like", {"linkify": False}).parse(source) if token.type == "fence"]
    assert [token.content for token in fences] == [f"{content}\n"] if content else len(fences) == 1


def one(*blocks: object) -> Brief:
    section = Section(name="x", heading="", blocks=blocks)  # type: ignore[arg-type] # reason: any block
    return replace(compose(story.evidence(), ()), sections=(section,), headline="h", service="s")


@settings(deadline=None)
@given(word=WORDS)
def test_html_says_exactly_the_word(word: str) -> None:
    word = clean(word, 3000)
    blocks = (
        Paragraph(text=word),
        Scorecard(lines=(Line(label="l", text=word),)),
        Table(columns=(Column(heading=word or "h"),), rows=((Cell(text=word, code=True),),)),
        Verbatim(lines=tuple(word.split("\n"))),
    )
    page = Page(html.render(one(*blocks), {}))
    assert "".join(page.text).count(word or "s") >= 5 - (word == "")


@settings(deadline=None)
@given(word=WORDS, width=st.integers(40, 120))
def test_tables_of_text_stay_within_the_page(word: str, width: int) -> None:
    word = line(word, 500)
    table = Table(
        columns=(Column(heading="What"), Column(heading="Pattern"), Column(heading="Rate", align="right")),
        rows=((Cell(text="new"), Cell(text=word, refs=("F12",)), Cell(text="0 → 14.1")),) * 2,
        caption="c",
    )
    for folded in (False, True):
        brief = one(table)
        brief = replace(brief, sections=(replace(brief.sections[0], folded=folded),))
        assert max(len(row) for row in text.render(brief, width).split("\n")) <= width


@settings(deadline=None)
@given(word=WORDS)
def test_a_terminal_shows_markup_as_text(word: str) -> None:
    word = line(word, 60)
    screen = StringIO()
    terminal.render(one(Paragraph(text=word)), Console(file=screen, width=200, force_terminal=False))
    assert " ".join(word.split()) in " ".join(screen.getvalue().split())
