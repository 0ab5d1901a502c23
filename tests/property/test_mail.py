"""Whatever evidence, names and addresses hold, a mail has the headers we wrote and the words we meant."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.golden import story

from opsbrief.compose import compose
from opsbrief.deliver import message
from opsbrief.errors import ConfigError
from opsbrief.model.brief import Brief, Cell, Column, Line, Paragraph, Scorecard, Section, Table, Verbatim
from opsbrief.render import mail
from opsbrief.settings import mailbox
from opsbrief.text import clean, line

BRIEF = compose(story.evidence(), story.findings())
PLAIN = replace(BRIEF, sections=tuple(section for section in BRIEF.sections if section.name == "verdict"))
WORDS = st.text(max_size=150) | st.text(alphabet="\r\n\0\x0b\x0c\x85\u2028:=?<>@,;\"'&é→=_ -\ud800", max_size=60)
NASTY = (
    "x\r\nBcc: evil@example.com",
    "x\nContent-Type: text/html\n\n<script>alert(1)</script>",
    "=?utf-8?q?x=0D=0ABcc:_evil=40example.com?=",
    "\x00\x01\x0b\x0c\x1c\x85\u2028\u2029",
    "--=_opsbrief.0.0\r\n\r\nnew part",
    "\ud800 \udfff",
    "\u202egnp.exe",
    "<img src=http://evil/x.png>\"'><a href=http://evil>",
    ".\r\nMAIL FROM:<evil@example.com>",
    "a" * 5000,
)
HEADERS = ["Date", "From", "To", "Subject", "Message-ID", "References", "MIME-Version", "Content-Type"]


def parsed(data: bytes) -> EmailMessage:
    found = message_from_bytes(data, policy=policy.default)
    assert not any(part.defects for part in found.walk())
    return found


def of(word: str, other: str) -> Brief:
    """Return a brief as compose makes it: every text has come through the one door."""
    section = Section(
        name="verdict",
        heading=line(word),
        blocks=(
            Paragraph(text=line(word)),
            Scorecard(lines=(Line(label=line(other, 40), text=line(word), detail=line(other)),)),
            Table(columns=(Column(heading=line(other)),), rows=((Cell(text=line(word), code=True),),)),
            Verbatim(lines=tuple(clean(word).split("\n"))),
        ),
    )
    return replace(PLAIN, sections=(section,), subject=word, service=line(other), headline=line(word))


@settings(deadline=None, max_examples=60)
@given(word=WORDS, other=WORDS)
@example(word=NASTY[0], other=NASTY[1])
@example(word=NASTY[2], other=NASTY[3])
@example(word=NASTY[4], other=NASTY[5])
@example(word=NASTY[6], other=NASTY[7])
@example(word=NASTY[8], other=NASTY[9])
@example(word=NASTY[9], other=NASTY[8])
def test_evidence_adds_no_header_and_no_part(word: str, other: str) -> None:
    data = message.build(of(word, other), sender="ops@example.com", to=["dev@example.com"], auto=False).data
    found = parsed(data)
    assert list(found.keys()) == HEADERS
    assert [part.get_content_type() for part in found.walk() if not part.is_multipart()] == [
        "text/plain",
        "text/html",
        "text/html",
    ]
    assert re.sub(r"\s+", " ", found["Subject"]).strip() == line(word, 200).replace("=?", "=\u200b?")
    head, _, rest = data.partition(b"\r\n\r\n")
    assert all(32 <= byte < 127 or byte in b"\r\n\t" for byte in head + rest)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert found.get_boundary() not in (found.get_body(("plain",)) or found).get_content()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(name=WORDS)
@example(name='"Bobby" <tables')
@example(name="Ops, Team")
def test_a_display_name_is_shown_or_refused_but_never_splits(name: str) -> None:
    try:
        data = message.build(PLAIN, sender=f"{name} <ops@example.com>", to=[f"{name}<dev@example.com>"]).data
    except ConfigError:
        return
    found = parsed(data)
    assert list(found.keys()) == HEADERS
    for header, bare in (("From", "ops@example.com"), ("To", "dev@example.com")):
        (address,) = found[header].addresses
        assert address.addr_spec == bare


@given(address=st.text(max_size=40) | st.emails() | st.from_regex(r"[a-z<>@, .\r\n]{1,20}"))
def test_an_address_is_one_address_in_plain_characters(address: str) -> None:
    try:
        _, bare = mailbox(address)
    except ValueError:
        return
    assert re.fullmatch(r"[!-~]+", bare)
    assert bare.count("@") == 1
    assert not set(bare) & set(' ,;:<>()[]"\\')


class Seen(HTMLParser):
    """What a mail program sees in a body."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@settings(deadline=None, max_examples=150)
@given(word=WORDS)
@example(word=NASTY[7])
def test_the_body_says_the_words_and_nothing_becomes_markup(word: str) -> None:
    seen = Seen(mail.render(of(word, "s"), {}))
    assert seen.tags <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p", "span", "pre"),
    }
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("href", "src", "action")}
    told = " ".join("".join(seen.words).replace("\u200b", "").split())
    assert told.count(line(word).replace("\u200b", "")) >= 4
