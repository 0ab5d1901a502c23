import io
import re
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image
from tests.golden import story

from opsbrief import deliver
from opsbrief.compose import compose
from opsbrief.deliver import abridge, message, sendmail, smtp
from opsbrief.deliver.letter import Letter, OversizeError
from opsbrief.errors import ConfigError, DeliveryError, GapKind, SourceError
from opsbrief.model.brief import Brief, Paragraph, Section, Verbatim
from opsbrief.render import html, mail, svg, text
from opsbrief.secret import Secret
from opsbrief.settings import Mail, mailbox

OPS, DEV = "Ops Team <ops@example.com>", "dev@example.com"
PASSWORD = "s3cret-of-the-relay"


@pytest.fixture(scope="module")
def brief() -> Brief:
    return compose(story.evidence(), story.findings())


@pytest.fixture(scope="module")
def letter(brief: Brief) -> Letter:
    return message.build(brief, sender=OPS, to=[DEV])


def parsed(letter: Letter) -> EmailMessage:
    found = message_from_bytes(letter.data, policy=policy.default)
    assert not any(part.defects for part in found.walk())
    return found


def words(letter: Letter) -> str:
    return str(parsed(letter).get_body(("plain",)).get_content()).replace("\r\n", "\n")  # type: ignore[union-attr] # reason: every mail has one


def body(letter: Letter) -> str:
    return str(parsed(letter).get_body(("html",)).get_content())  # type: ignore[union-attr] # reason: every mail has one


def pictures(letter: Letter) -> list[EmailMessage]:
    return [part for part in parsed(letter).walk() if part.get_content_maintype() == "image"]


def attachments(letter: Letter) -> list[EmailMessage]:
    return list(parsed(letter).iter_attachments())


def test_headers(brief: Brief, letter: Letter) -> None:
    found = parsed(letter)
    assert found["From"] == OPS
    assert found["To"] == DEV
    assert found["Subject"] == brief.subject
    assert found["Date"].datetime == brief.collected_at.replace(microsecond=0)
    assert found["Message-ID"] == letter.identity.message
    assert found["References"] == letter.identity.incident
    assert re.fullmatch(r"<20\d{6}T\d{6}Z\.[0-9a-f]{20}@example\.com>", found["Message-ID"])
    assert (letter.sender, letter.recipients) == ("ops@example.com", (DEV,))
    for name in ("In-Reply-To", "Auto-Submitted", "List-Id", "X-Auto-Response-Suppress", "X-Unsent", "Bcc"):
        assert name not in found


def test_what_cron_sends_says_so(brief: Brief) -> None:
    found = parsed(message.build(brief, sender=OPS, to=[DEV], auto=True))
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["X-Auto-Response-Suppress"] == "All"
    assert found["List-Id"] == f"<{brief.service}.opsbrief.example.com>"


def test_without_a_sender_it_is_a_draft(brief: Brief) -> None:
    found = parsed(message.build(brief))
    assert found["X-Unsent"] == "1"
    assert "From" not in found
    assert "To" not in found


def test_the_same_brief_gives_the_same_bytes(brief: Brief, letter: Letter) -> None:
    again = compose(story.evidence(), story.findings())
    assert message.build(again, sender=OPS, to=[DEV]) == letter
    assert message.build(brief, sender=OPS, to=["qa@example.com"]).identity == letter.identity


def test_briefs_of_one_incident_share_a_thread_and_no_message_id(brief: Brief) -> None:
    later = replace(brief, end=brief.end.replace(hour=23), collected_at=brief.collected_at.replace(hour=23))
    other = replace(brief, start=brief.start.replace(hour=1))
    first, second, third = (message.identity(one, OPS) for one in (brief, later, other))
    assert first.incident == second.incident != third.incident
    assert len({first.message, second.message, third.message}) == 3


def test_the_text_part_is_the_first_page_whole(brief: Brief, letter: Letter) -> None:
    first = replace(brief, sections=tuple(section for section in brief.sections if not section.folded))
    assert words(letter).startswith(text.render(first).rstrip("\n"))
    assert "\n".join(f"  {row}" for row in next(brief.figures()).text) in words(letter)
    assert f"{attachments(letter)[0].get_filename()}: one file" in words(letter)


def test_the_html_body_is_what_mail_programs_show(letter: Letter) -> None:
    source = body(letter)
    assert len(source.encode()) <= message.BODY
    tags = set(re.findall(r"<([a-z0-9]+)", source))
    assert tags <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p", "span", "img"),
        *("pre", "br"),
    }
    assert not re.search(r"var\(|@media|url\(|https?://|position:|display:(flex|grid)", source)
    assert 'width="640"' in source


def test_every_picture_is_in_the_mail_small_and_says_its_finding(brief: Brief, letter: Letter) -> None:
    shown = re.findall(r'<img src="cid:([^"]+)" width="(\d+)" alt="([^"]+)"', body(letter))
    parts = {part["Content-ID"].strip("<>"): part for part in pictures(letter)}
    assert [cid for cid, _, _ in shown] == list(parts)
    assert shown
    key = next(brief.figures())
    assert shown[0][2] == key.alt
    for cid, width, _alt in shown:
        image = Image.open(io.BytesIO(parts[cid].get_content()))
        assert int(width) <= 600 < image.width + 300 <= 1200
        assert image.mode == "P"
        assert len(image.getcolors() or range(1000)) <= 64
        assert parts[cid].get_content_disposition() == "inline"


def test_the_whole_page_is_attached(brief: Brief, letter: Letter) -> None:
    (part,) = attachments(letter)
    drawings = {figure.name: svg.draw(figure.chart, figure.name, figure.alt) for figure in brief.figures()}
    assert part.get_content() == html.render(brief, drawings, svg.CSS)
    assert part.get_content_charset() == "utf-8"
    assert re.fullmatch(r"opsbrief-[a-z0-9-]+-20\d{6}T\d{6}Z\.html", part.get_filename() or "")


def grown(brief: Brief, size: int, name: str = "method") -> Brief:
    """Return the brief with a later page of ``size`` bytes that hardly packs."""
    noise = tuple(f"{value * 2654435761 % 2**64:064b}{value}" for value in range(size // 70))
    page = Section(name=name, heading="Grown", blocks=(Verbatim(lines=noise),), folded=True)
    return replace(brief, sections=(*brief.sections, page))


def test_a_page_too_large_to_attach_is_packed(brief: Brief) -> None:
    found = message.build(grown(brief, 2_500_000), sender=OPS, to=[DEV])
    (part,) = attachments(found)
    assert len(found.data) <= message.LIMIT
    assert f"packed: {part.get_filename()}" in words(found).replace("\n", " ")
    with zipfile.ZipFile(io.BytesIO(part.get_content())) as archive:
        (name,) = archive.namelist()
        assert archive.read(name).decode().endswith("</html>\n")
    assert found.left_out == ()


@pytest.mark.parametrize("limit", [400_000, 200_000, 120_000, 60_000, 12_000])
def test_it_becomes_as_small_as_asked_for_and_says_what_it_lacks(brief: Brief, limit: int) -> None:
    found = message.build(grown(brief, 3_000_000), sender=OPS, to=[DEV], limit=limit)
    assert len(found.data) <= limit
    assert attachments(found) == []
    assert found.left_out[-1] == "the page with the whole brief"
    assert "Left out, because the mail would have become too large" in " ".join(words(found).split())
    assert brief.headline in " ".join(words(found).split())
    assert len(pictures(found)) == len(re.findall("<img ", body(found)))


def test_it_cannot_become_arbitrarily_small(brief: Brief) -> None:
    with pytest.raises(DeliveryError, match="cannot be made smaller than"):
        message.build(brief, sender=OPS, to=[DEV], limit=1000)


def test_a_long_later_page_stays_in_the_attachment(brief: Brief) -> None:
    lines = tuple(f"{'x' * 500} {number}" for number in range(300))
    page = Section(name="patterns", heading="Very long", blocks=(Verbatim(lines=lines),), folded=True)
    found = message.build(replace(brief, sections=(*brief.sections, page)), sender=OPS, to=[DEV])
    assert max(len(body(found).encode()), len(words(found).encode())) <= message.BODY
    assert "“Very long”" in words(found)
    assert f"{'x' * 500} 299" in str(attachments(found)[0].get_content())


def test_a_long_table_is_cut_and_says_so(brief: Brief) -> None:
    small, left = abridge.to(brief, abridge.Depth((), 0, 2))
    rows = {
        section.name: block.rows for section in small.sections for block in section.blocks if hasattr(block, "rows")
    }
    assert {len(found) for found in rows.values()} == {2}
    assert "more</p>" in mail.render(small, {})
    assert "“Method and settings”" in left


def test_a_figure_without_its_picture_is_text(brief: Brief) -> None:
    assert "▁" in mail.render(brief, {})


def test_addresses_found_in_evidence_do_not_become_links(brief: Brief) -> None:
    page = Section(name="x", heading="", blocks=(Paragraph(text="see http://evil.example WWW.evil.example a@evil"),))
    source = mail.render(replace(brief, sections=(page,)), {})
    assert "http:&#8203;//evil" in source
    assert "WWW&#8203;.evil" in source
    assert "a@&#8203;evil" in source


def test_a_configured_secret_never_leaves(brief: Brief) -> None:
    page = Section(name="x", heading="", blocks=(Paragraph(text="password is <hunter-2>"),))
    with pytest.raises(DeliveryError, match="would hold a configured secret"):
        message.build(replace(brief, sections=(page,)), sender=OPS, to=[DEV], forbidden=["<hunter-2>"])


def test_the_password_of_the_relay_is_never_in_the_mail_and_a_missing_one_is_said(brief: Brief) -> None:
    def missing() -> str:
        raise SourceError(GapKind.UNAUTHORIZED, "the environment has no RELAY_PASSWORD", "export it")

    page = Section(name="x", heading="", blocks=(Paragraph(text=f"said {PASSWORD}"),))
    for password, reason in ((Secret(PASSWORD), "would hold a configured secret"), (Secret(missing), "RELAY_PASSWORD")):
        configured = Mail(smtp="127.0.0.1", port=1, user="u", password=password, sender="ops@example.com", to=(DEV,))
        with pytest.raises(DeliveryError, match=reason):
            deliver.send(replace(brief, sections=(page,)), configured)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "a@b@c",
        "a b@c",
        "a@b\r\nBcc: x@y",
        "a@b, c@d",
        "<a@b",
        "a@b>",
        "ä@example.com",
        "a@-b",
        "a..b@c",
        "@b",
    ],
)
def test_what_is_no_address_is_refused(brief: Brief, address: str) -> None:
    with pytest.raises(ConfigError, match="is no mail address"):
        message.build(brief, sender=OPS, to=[address])


@pytest.mark.parametrize(
    ("given", "name", "bare"),
    [
        ("a@b", "", "a@b"),
        (" first.last+tag@mail.example.com ", "", "first.last+tag@mail.example.com"),
        ("Ops <a@b>", "Ops", "a@b"),
        ('"Müller, Ü." <a@b>', "Müller, Ü.", "a@b"),
        ("<a@b>", "", "a@b"),
    ],
)
def test_what_is_an_address(given: str, name: str, bare: str) -> None:
    assert mailbox(given) == (name, bare)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"user": "u"}, "user and password belong together"),
        ({"user": "u", "password": Secret("p"), "tls": "none"}, "only sent over TLS"),
        ({"to": ("nobody",)}, "is no mail address"),
        ({"sendmail": ("x",)}, "either smtp or sendmail"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Mail(**{"smtp": "h", "sender": "a@b", **options})  # type: ignore[arg-type] # reason: any option


# --- relays that no real server is like -----------------------------------------------------------

Script = Callable[[socket.socket], None]


@contextmanager
def relay(script: Script) -> Iterator[int]:
    """Listen on a port and give every caller to ``script``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            try:
                while True:
                    caller, _ = server.accept()
                    with caller:
                        script(caller)
            except OSError:
                return  # the test is over

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def talk(*answers: bytes) -> Script:
    """Return a relay that gives one answer for its greeting and each line it hears, then hangs up."""

    def script(caller: socket.socket) -> None:
        heard = caller.makefile("rb")
        for number, answer in enumerate(answers):
            if number:
                heard.readline()
            caller.sendall(answer)

    return script


def told(letter: Letter, script: Script, **options: object) -> DeliveryError:
    with relay(script) as port:
        given = {"smtp": "127.0.0.1", "port": port, "tls": "none", "timeout": 5.0, "sender": "ops@example.com"}
        with pytest.raises(DeliveryError) as caught:
            smtp.send(Mail(**{**given, **options}), letter, pauses=(0.05, 0.05))  # type: ignore[arg-type] # reason: any option
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_a_relay_that_drips_is_left_when_the_time_is_over(letter: Letter) -> None:
    def drip(caller: socket.socket) -> None:
        for _ in range(200):
            caller.sendall(b"2")
            time.sleep(0.05)

    began = time.monotonic()
    error = told(letter, drip, timeout=0.5)
    assert "was not done within 0.5 s" in error.message
    assert "nothing was sent" in error.hint
    assert time.monotonic() - began < 4


def test_a_relay_that_never_speaks(letter: Letter) -> None:
    error = told(letter, lambda caller: time.sleep(1.5), timeout=0.5)  # noqa: ARG005 - a script has its caller
    assert re.search(r"does not answer in time|was not done within", error.message)


def test_a_relay_whose_starttls_was_stripped_hears_no_password(letter: Letter) -> None:
    heard: list[bytes] = []

    def script(caller: socket.socket) -> None:
        caller.sendall(b"220 hello\r\n")
        for line in caller.makefile("rb"):
            heard.append(line)
            caller.sendall(b"250-x\r\n250 AUTH PLAIN LOGIN\r\n" if line.startswith(b"EHLO") else b"221 bye\r\n")

    error = told(letter, script, tls="starttls", user="ops", password=Secret(PASSWORD))
    assert "offers no STARTTLS" in error.message
    assert not [line for line in heard if line.startswith((b"AUTH", b"MAIL"))]


def test_a_relay_that_is_busy_is_asked_again_and_then_reported(letter: Letter) -> None:
    error = told(letter, talk(b"421 too many connections\r\n"))
    assert "421 too many connections (asked again, still so)" in error.message


def test_words_of_a_relay_cannot_move_the_terminal(letter: Letter) -> None:
    error = told(letter, talk(b"554 \x1b[2J\x07go away\r\n"))
    assert "554 \\x1b[2J\\x07go away" in error.message


def test_a_relay_that_gives_up_at_the_second_recipient_took_the_mail_for_none(brief: Brief) -> None:
    two = message.build(brief, sender=OPS, to=[DEV, "qa@example.com"])
    error = told(two, talk(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"421 shutting down\r\n"))
    assert "for nobody" in error.message
    assert error.message.count("421 shutting down") == 2


def test_a_relay_that_hangs_up_before_the_mail_has_not_got_it(letter: Letter) -> None:
    error = told(letter, talk(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n"))
    assert "cannot be told" not in error.hint


def test_a_relay_that_hangs_up_after_the_mail_leaves_it_open(letter: Letter) -> None:
    error = told(letter, talk(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 go\r\n"))
    assert "cannot be told" in error.hint


def test_a_size_that_was_announced_is_not_even_tried(letter: Letter) -> None:
    error = told(letter, talk(b"220 x\r\n", b"250-x\r\n250 SIZE 1000\r\n", b"221 bye\r\n"))
    assert isinstance(error, OversizeError)
    assert error.limit == 1000
    assert f"the mail has {len(letter.data):,} bytes" in error.message


def test_a_size_nothing_fits_in_is_reported(brief: Brief) -> None:
    with relay(talk(b"220 x\r\n", b"250-x\r\n250 SIZE 1000\r\n", b"221 bye\r\n")) as port:
        configured = Mail(smtp="127.0.0.1", port=port, tls="none", sender="ops@example.com", to=(DEV,))
        with pytest.raises(DeliveryError, match="cannot be made smaller"):
            deliver.send(brief, configured)


def test_a_name_that_does_not_exist(letter: Letter) -> None:
    for name in ("relay.invalid", "a..b"):
        with pytest.raises(DeliveryError, match=f"the name of {name}:25 cannot be resolved"):
            smtp.send(Mail(smtp=name, tls="none", sender="a@b", timeout=10), letter)


def test_a_ca_file_that_is_none(letter: Letter, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("missing.pem", "ca.pem"):
        with pytest.raises(DeliveryError, match="cannot be read"):
            smtp.send(Mail(smtp="h", sender="a@b", ca_file=str(tmp_path / name)), letter)


# --- sendmail --------------------------------------------------------------------------------------


def through(letter: Letter, command: Sequence[str], timeout: float = 10) -> deliver.Receipt:
    return sendmail.send(Mail(sendmail=tuple(command), sender="ops@example.com", timeout=timeout), letter)


def test_sendmail_gets_the_message_with_the_lines_of_this_system(letter: Letter, tmp_path: Path) -> None:
    receipt = through(letter, ["tee", str(tmp_path / "mail")])
    assert (tmp_path / "mail").read_bytes() == letter.data.replace(b"\r\n", b"\n")
    assert receipt.accepted == (DEV,)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/nonexistent/sendmail", "-t"], "cannot run /nonexistent/sendmail"),
        (python("import sys; sys.exit('no \\x1b queue')"), "status 1"),
        (python("import sys; sys.exit(75)"), r"status 75 \(it could not take the message for now\)"),
    ],
)
def test_a_sendmail_that_fails_is_reported(letter: Letter, command: list[str], reason: str) -> None:
    with pytest.raises(DeliveryError, match=reason) as caught:
        through(letter, command)
    assert "\x1b" not in str(caught.value)


def test_a_sendmail_that_hangs_is_ended(letter: Letter) -> None:
    with pytest.raises(DeliveryError, match=r"not finished within 0\.5 s"):
        through(letter, ["sleep", "60"], timeout=0.5)


def test_what_sendmail_leaves_in_the_background_goes_on(letter: Letter, tmp_path: Path) -> None:
    late = tmp_path / "late"
    through(letter, ["sh", "-c", f"(sleep 0.3; touch {late}) >/dev/null 2>&1 &"])
    for _ in range(100):
        if late.exists():
            break
        time.sleep(0.05)
    assert late.exists()
