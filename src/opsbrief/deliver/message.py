"""A brief as one mail: text for every reader, HTML with its pictures, and the whole page attached.

    multipart/mixed
      multipart/alternative
        text/plain                 the first page, and later pages as far as they help
        multipart/related
          text/html                the same, in one column
          image/png ...            the graphs of the body, by Content-ID
      text/html (attachment)       the whole brief in one file, readable offline

Pure: the same brief and addresses give the same bytes. Dates, ids and boundaries come from the
brief. What does not fit into ``BODY`` or the limit is left out in the order in which a reader misses
it least, and the mail says so.
"""

import functools
import hashlib
import io
import textwrap
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

from opsbrief import text as door
from opsbrief.deliver import abridge
from opsbrief.deliver.letter import Identity, Letter
from opsbrief.errors import ConfigError, DeliveryError, Problem
from opsbrief.model.brief import Brief
from opsbrief.render import html, mail, svg
from opsbrief.render import text as plain
from opsbrief.settings import mailbox

LIMIT = 2_000_000  # bytes of the message; many relays take 10 MB, but nobody wants to wait for it on a phone
BODY = 80_000  # bytes of the HTML body: Gmail cuts at 102 KB and hides the rest, Outlook gets slow
SCALE = 1.5  # pixels of a picture for each it is shown with
WIDEST = 900  # pixels of a picture
_POLICY = SMTP.clone(max_line_length=78)
_DRAFT = "opsbrief.invalid"  # stands for the domain in the ids of a draft, which nobody has sent yet
_ATTACHED = {"page": "The whole brief is attached as {name}.html: one file, readable offline.",
             "zip": "The whole brief is attached, packed: {name}.zip."}  # fmt: skip


def identity(brief: Brief, sender: str = "") -> Identity:
    """Return where the mail of ``brief`` belongs: the same for the same bundle, wherever and whenever it is sent.

    An incident is a service and the instant that its window starts at, so briefs collected again stay in its thread.
    """
    domain = mailbox(sender)[1].rpartition("@")[2] if sender else _DRAFT
    if len(domain) > 48:  # a longer id would be folded by some and then match no more
        domain = _DRAFT
    start = f"{brief.start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    incident = _hash("incident", brief.service, brief.start.isoformat())
    bundle = _hash(
        "brief", brief.service, brief.start.isoformat(), brief.end.isoformat(), brief.collected_at.isoformat()
    )
    return Identity(f"<{start}.{incident}@{domain}>", f"<{start}.{bundle}@{domain}>", _subject(brief))


def build(
    brief: Brief,
    *,
    sender: str = "",
    to: Sequence[str] = (),
    reply_to: Brief | None = None,
    auto: bool = False,
    limit: int = LIMIT,
    forbidden: Sequence[str] = (),
) -> Letter:
    """Return the mail of ``brief``; without a sender, a draft that a mail program opens for sending.

    ``reply_to`` is the brief whose mail it answers, in its thread and under its subject. ``auto`` marks
    what no person sent: no out-of-office notes, please. ``forbidden`` are secrets that must not be in it.
    Raises DeliveryError when it cannot be made as small as ``limit`` bytes, ConfigError for a wrong address.
    """
    from_, recipients = [_address(one) for one in (sender,) if one], [_address(one) for one in to]
    own, answered = identity(brief, sender), identity(reply_to, sender) if reply_to else None
    if answered:
        own = Identity(
            answered.incident, own.message.replace("@", f".{_hash(answered.message)[:8]}@"), answered.subject
        )
    pages = _Pages(brief, _hash(own.message))
    for plan in pages.plans():
        message = EmailMessage(_POLICY)
        for name, value in _headers(brief, own, from_, recipients, answered):
            message[name] = value
        if auto:
            for name, value in _automatic(brief, own):
                message[name] = value
        left_out = pages.fill(message, plan, forbidden)
        data = message.as_bytes()
        if len(data) <= limit:
            break
    else:
        raise DeliveryError(
            f"the mail cannot be made smaller than {len(data):,} bytes, and {limit:,} are allowed",
            "send the files of the bundle some other way",
        )
    return Letter(
        identity=own,
        sender=from_[0].addr_spec if from_ else "",
        recipients=tuple(dict.fromkeys(address.addr_spec for address in recipients)),
        data=data,
        left_out=left_out,
    )


def _headers(
    brief: Brief, own: Identity, from_: Sequence[Address], to: Sequence[Address], answered: Identity | None
) -> Iterator[tuple[str, object]]:
    yield "Date", brief.collected_at.astimezone(UTC)
    if from_:
        yield "From", from_
    if to:
        yield "To", to
    yield "Subject", f"Re: {own.subject}" if answered else own.subject
    yield "Message-ID", own.message
    if answered:
        yield "In-Reply-To", answered.message
    # Whoever only has the later mails still sees them together: they share the incident.
    yield "References", f"{own.incident} {answered.message}" if answered else own.incident
    if not from_:
        yield "X-Unsent", "1"  # mail programs open such a file for editing


def _automatic(brief: Brief, own: Identity) -> Iterator[tuple[str, str]]:
    domain = own.message.rstrip(">").rpartition("@")[2]
    yield "Auto-Submitted", "auto-generated"  # RFC 3834
    yield "X-Auto-Response-Suppress", "All"  # the same for Exchange
    yield "List-Id", f"<{abridge.slug(brief.service)}.opsbrief.{domain}>"  # RFC 2919: people filter by it


def _subject(brief: Brief) -> str:
    return _plain(brief.subject, 200)


def _plain(words: str, cap: int) -> str:
    """Return words for a header: on one line, and never taken for an encoded word, which could hold anything."""
    return door.line(words, cap).replace("=?", "=\u200b?")


def _address(given: str) -> Address:
    try:
        name, bare = mailbox(given)
        return Address(_plain(name, 100), addr_spec=bare)
    except ValueError as error:
        raise ConfigError(Problem("mail", "", str(error))) from None


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:20]


class _Pages:
    """The parts of one mail at every size they may be wanted in, each made once."""

    def __init__(self, brief: Brief, seed: str) -> None:
        self._brief = brief
        self._seed = seed
        self._name = f"opsbrief-{abridge.slug(brief.service)}-{brief.collected_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        self._pictures: dict[str, bytes] = {}

    def plans(self) -> Iterator[tuple[abridge.Depth, str]]:
        """Yield how deep the body goes and what is attached, the fullest first."""
        deepest = next((depth for depth in abridge.DEPTHS if self._fits(depth)), abridge.DEPTHS[-1])
        depths = abridge.DEPTHS[abridge.DEPTHS.index(deepest) :]
        yield from ((deepest, attached) for attached in ("page", "zip"))
        yield from ((depth, "") for depth in depths)

    def fill(self, message: EmailMessage, plan: tuple[abridge.Depth, str], forbidden: Sequence[str]) -> tuple[str, ...]:
        """Write text, HTML, pictures and attachment into ``message``; return what is nowhere in it."""
        depth, attached = plan
        shown, left_out = self._abridged(depth)
        if not attached:
            left_out = (*left_out, "the page with the whole brief")
        notes = self._notes(attached, left_out)
        body, words = self._html(shown, notes), self._text(shown, notes)
        _gate((body, words, self._page if attached else ""), forbidden)
        message.set_content(words, cte="quoted-printable")
        message.add_alternative(body, subtype="html", cte="quoted-printable")
        related = next(part for part in message.iter_parts() if part.get_content_subtype() == "html")
        for figure in shown.figures():
            related.add_related(
                self._picture(figure.name), "image", "png", cid=f"<{figure.name}.{self._seed}>",
                disposition="inline", filename=f"{figure.name}.png",
            )  # fmt: skip
        if attached == "page":
            message.add_attachment(
                self._page.encode(), "text", "html", filename=f"{self._name}.html", params={"charset": "utf-8"}
            )
        elif attached:
            message.add_attachment(self._packed, "application", "zip", filename=f"{self._name}.zip")
        else:
            message.make_mixed()
        for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
            part.set_boundary(f"=_opsbrief.{number}.{self._seed}")  # "=_" never occurs in what is quoted or base64
        return () if attached else left_out

    def _fits(self, depth: abridge.Depth) -> bool:
        shown, left_out = self._abridged(depth)
        notes = self._notes("page", left_out)
        return max(len(self._html(shown, notes).encode()), len(self._text(shown, notes).encode())) <= BODY

    @functools.cache  # noqa: B019 - lives as long as the mail is being built
    def _abridged(self, depth: abridge.Depth) -> tuple[Brief, tuple[str, ...]]:
        return abridge.to(self._brief, depth)

    def _notes(self, attached: str, left_out: Sequence[str]) -> tuple[str, ...]:
        """Return what stands at the end of the mail: where the rest is, or that it is not here."""
        rest = "; ".join(left_out)
        if not attached:
            return (f"Left out, because the mail would have become too large: {rest}.",)
        where = _ATTACHED[attached].format(name=self._name)
        return (where, f"Only there: {rest}.") if rest else (where,)

    def _html(self, shown: Brief, notes: Sequence[str]) -> str:
        return mail.render(shown, {figure.name: f"{figure.name}.{self._seed}" for figure in shown.figures()}, notes)

    def _text(self, shown: Brief, notes: Sequence[str]) -> str:
        return "\n".join((plain.render(shown), *("\n".join(textwrap.wrap(note, 78)) for note in notes), ""))

    def _picture(self, name: str) -> bytes:
        if name not in self._pictures:
            from opsbrief.render import png  # noqa: PLC0415 - loads matplotlib; a mail without graphs needs none

            figure = next(figure for figure in self._brief.figures() if figure.name == name)
            chart = figure.narrow or figure.chart
            self._pictures[name] = png.draw(chart, min(SCALE, WIDEST / chart.width))
        return self._pictures[name]

    @functools.cached_property
    def _page(self) -> str:
        drawings = {figure.name: svg.draw(figure.chart, figure.name, figure.alt) for figure in self._brief.figures()}
        return html.render(self._brief, drawings, svg.CSS)

    @functools.cached_property
    def _packed(self) -> bytes:
        out = io.BytesIO()
        about = zipfile.ZipInfo(f"{self._name}.html", self._brief.collected_at.astimezone(UTC).timetuple()[:6])
        about.compress_type = zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(about, self._page)
        return out.getvalue()


def _gate(parts: Sequence[str], forbidden: Sequence[str]) -> None:
    needles = {form for secret in forbidden if len(secret) >= 4 for form in (secret, escape(secret))}
    if any(needle in part for needle in needles for part in parts):
        raise DeliveryError(
            "the mail would hold a configured secret; nothing was sent",
            "collect again, so that it is taken out; if it is a common word, choose a better one",
        )
