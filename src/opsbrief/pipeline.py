"""The walk on one page: configuration to window to evidence to findings to brief to files.

Everything after ``bundle`` is pure: ``again`` makes the same brief from a bundle, offline, next year.
"""

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from opsbrief import bundle
from opsbrief.collect import Listener
from opsbrief.collect import collect as ask_sources
from opsbrief.errors import ConfigError, GapKind, Problem
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import Gap, Outcome, Reading
from opsbrief.redact import redact
from opsbrief.resolve import Ask, fixed, resolve
from opsbrief.source import Look

if TYPE_CHECKING:
    from opsbrief.config import Config
    from opsbrief.deliver import Letter, Receipt
    from opsbrief.model.brief import Brief
    from opsbrief.model.chart import Chart
    from opsbrief.model.effect import First
    from opsbrief.model.evidence import Evidence
    from opsbrief.model.finding import Finding
    from opsbrief.model.scope import Scope
    from opsbrief.model.window import Window
    from opsbrief.settings import Mail
    from opsbrief.source import Source

TIMEOUT = 30.0  # seconds a deploy log may take when nobody says otherwise
FORMATS = ("html", "md", "txt", "json", "eml")
USUAL = ("html", "md", "txt")
_DRAWN = ("md",)  # formats that refer to PNG files
_LOADS_PNG = (*_DRAWN, "eml")

Each = Callable[[Callable[["Chart"], bytes], Sequence["Chart"]], Iterable[bytes]]  # map, or an executor's


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for on the command line; empty fields mean the configuration's defaults."""

    service: str | None = None
    since: str
    until: str = "now"
    baseline: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    formats: tuple[str, ...] = USUAL
    out: Path | None = None
    timeout: float | None = None
    people: bool = False
    host: str = ""  # the one to look at; empty: as configured, else the analysis chooses
    pack: str = ""  # one of bundle.PACKS: the bundle as one file
    share: str = ""  # "external" masks names, "internal" does not; empty: as configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished run."""

    bundle: Path
    evidence: "Evidence"
    findings: tuple["Finding", ...]
    brief: "Brief"
    artifacts: tuple[Artifact, ...]
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 when every source answered whole, 3 when the brief has gaps."""
        return 3 if self.evidence.gaps or not self.evidence.outcomes else 0


def window(config: "Config", order: Order, *, now: datetime | None = None, listen: Listener | None = None) -> "Window":
    """Resolve ``order.since`` and ``order.until``, asking the deploy logs where that is needed."""
    service = config.service(order.service)
    ask = Ask(
        since=order.since,
        until=order.until,
        baseline=order.baseline or config.defaults.baseline,
        zone=config.timezone,
        timeout=order.timeout or config.defaults.timeout or TIMEOUT,
    )
    now = now or datetime.now(UTC)
    return resolve(ask, config.deploy_logs(service), now=now, listen=listen, alarms=config.alarm_logs(service))


def gather(
    config: "Config",
    order: Order,
    *,
    now: datetime | None = None,
    listen: Listener | None = None,
    tell: Callable[["Window"], None] | None = None,
    look: bool = False,
) -> tuple["Evidence", bool]:
    """Resolve the window, ask the sources, redact; return the evidence and whether Ctrl-C cut it short."""
    found = window(config, order, now=now, listen=listen)
    if tell:
        tell(found)
    return answers(config, order, found, listen=listen, look=look)


def active(config: "Config", order: Order, *, look: bool = False) -> list[tuple[str, "Source"]]:
    """Return the (type, source) pairs that an order asks, with ``look`` also those that look at a host.

    Raises ConfigError when a host is named and nothing that is asked looks at hosts.
    """
    found = []
    for kind, source in config.active(config.service(order.service), order.only, order.skip):
        if not isinstance(source, Look):
            found.append((kind, source))
        elif look:
            found.append((kind, source.at(order.host or source.host)))
    if order.host and not any(isinstance(source, Look) for _, source in found):
        hint = "add to sources: look: {type: ssh}"
        raise ConfigError(Problem("--host", "", "no source that is asked looks at a host", hint))
    return found


def answers(
    config: "Config",
    order: Order,
    found: "Window",
    *,
    scope: "Scope | None" = None,
    listen: Listener | None = None,
    look: bool = False,
) -> tuple["Evidence", bool]:
    """Ask the sources about a window that is known already, redact; return as ``gather`` does.

    ``scope`` takes the place of the service's own: what a brief was asked about before. With ``look``, hosts
    are looked at too: the one that is named side by side with the other sources, else, after these, the one that
    the analysis chooses.
    """
    scope = scope or config.service(order.service).scope
    sources = [(kind, replace(source, scope=scope)) for kind, source in active(config, order, look=look)]
    if order.timeout:
        sources = [(kind, replace(source, timeout=order.timeout)) for kind, source in sources]
    waiting = [(kind, source) for kind, source in sources if isinstance(source, Look) and not source.host]
    evidence, interrupted = ask_sources([one for one in sources if one not in waiting], found, scope, listen=listen)
    if waiting and not interrupted:
        evidence, interrupted = _look(evidence, waiting, listen)
    return cleansed(config, evidence, order.share), interrupted


def _look(
    evidence: "Evidence", sources: "Sequence[tuple[str, Source]]", listen: Listener | None
) -> tuple["Evidence", bool]:
    """Let the analysis of what is there choose the host, look at it, and return both together."""
    from opsbrief.analysis import analyse, shift  # noqa: PLC0415 - see again
    from opsbrief.analysis.hosts import choose  # noqa: PLC0415 - same

    # Which host deviates, the shifts tell; the other questions are asked once, of all the evidence.
    choice = next(choose(evidence, analyse(evidence, (shift.find,))), None)
    if choice is None or not choice.subject:
        outcomes = tuple(_unseen(kind, source.name, choice) for kind, source in sources)
        return replace(evidence, outcomes=(*evidence.outcomes, *outcomes)), False
    chosen = [(kind, source.at(choice.subject)) for kind, source in sources if isinstance(source, Look)]
    count = sum(len(outcome.items) for outcome in evidence.outcomes)
    seen, interrupted = ask_sources(chosen, evidence.window, evidence.scope, listen=listen, count=count)
    together = replace(evidence, outcomes=(*evidence.outcomes, *seen.outcomes), collected_at=seen.collected_at)
    return together, interrupted


def _unseen(kind: str, name: str, choice: "Finding | None") -> "Outcome":
    """Return the outcome of a look that there was no host for; that none deviates is no gap."""
    if choice is None:
        return Outcome(source=name, type=kind, warnings=("no host was looked at: none is known to deviate",))
    gap = Gap(
        source=name, what="a look at a host", kind=GapKind.UNREACHABLE, detail=choice.headline,
        hint="name one: --host HOST",
    )  # fmt: skip
    return Outcome(source=name, type=kind, gaps=(gap,))


def cleansed(config: "Config", evidence: "Evidence", share: str = "") -> "Evidence":
    """Return the evidence without credentials and, for ``share`` "external", with pseudonyms for names.

    Without ``share`` the configuration's counts.
    """
    patterns = {pattern.name: pattern.regex.pattern for pattern in config.redact.patterns}
    found = redact(evidence, config.secrets(), patterns)
    if (share or config.redact.share) != "external":
        return found
    from opsbrief.mask import mask  # noqa: PLC0415 - only for outside

    return mask(found)[0]


def collect(
    config: "Config",
    order: Order,
    *,
    now: datetime | None = None,
    listen: Listener | None = None,
    tell: Callable[["Window"], None] | None = None,
) -> Result:
    """Do the main job: everything from the question to a bundle on disk."""
    known(order.formats)
    # What comes after the sources takes a tenth of a second to import, matplotlib half a second: let it load while
    # the network is waited for.
    later = ["opsbrief.analysis", "opsbrief.compose", "opsbrief.render.data"]
    later += ["opsbrief.render.html", "opsbrief.render.svg"] * ("html" in order.formats)
    later += ["opsbrief.render.png"] * bool(set(order.formats) & set(_LOADS_PNG))
    threading.Thread(target=lambda: [importlib.import_module(name) for name in later], daemon=True).start()
    evidence, interrupted = gather(config, order, now=now, listen=listen, tell=tell, look=True)
    findings, brief, artifacts = again(evidence, order.formats, people=order.people)
    parent = order.out or Path(config.defaults.out)
    path = bundle.write(
        parent,
        bundle.name(evidence.scope.service, evidence.collected_at),
        bundle.files(evidence, artifacts),
        config.secrets(),
        form=order.pack,
    )
    return Result(
        bundle=path, evidence=evidence, findings=findings, brief=brief, artifacts=artifacts, interrupted=interrupted
    )


def effect(
    config: "Config",
    first: Path,
    order: Order,
    *,
    now: datetime | None = None,
    listen: Listener | None = None,
    tell: Callable[["Window"], None] | None = None,
) -> Result:
    """Collect anew from before the first brief's start until now, and measure what the fix did: a second bundle.

    ``order.since`` is the fix. The scope is the first bundle's, whatever the configuration says by now; of
    a bundle that is itself about an effect, the brief that it was measured against is taken again.
    """
    known(order.formats)
    told = bundle.read(first)
    order = replace(order, service=told.scope.service or None)
    ask = Ask(since=order.since, until=order.until, timeout=order.timeout or config.defaults.timeout or TIMEOUT)
    logs = config.deploy_logs(config.service(order.service))
    found = fixed(told.window, ask, logs, now=now or datetime.now(UTC), listen=listen)
    if tell:
        tell(found)
    # The same host again, where the first brief looked at one: its numbers are to be compared.
    host = order.host or next((reading.host for reading in told.items(Reading) if reading.about), "")
    looks = bool(host) and any(isinstance(source, Look) for _, source in active(config, order, look=True))
    order = replace(order, host=host if looks else "")
    collected, interrupted = answers(config, order, found, scope=told.scope, listen=listen, look=looks)
    evidence = replace(collected, first=told.first or _first(told, first.resolve().name))
    findings, brief, artifacts = again(evidence, order.formats, people=order.people)
    path = bundle.write(
        order.out or Path(config.defaults.out),
        bundle.name(evidence.scope.service, evidence.collected_at, "effect"),
        bundle.files(evidence, artifacts),
        config.secrets(),
        form=order.pack,
    )
    return Result(
        bundle=path, evidence=evidence, findings=findings, brief=brief, artifacts=artifacts, interrupted=interrupted
    )


def _first(evidence: "Evidence", name: str) -> "First":
    from opsbrief.analysis import analyse  # noqa: PLC0415 - see again
    from opsbrief.compose import compose  # noqa: PLC0415 - same
    from opsbrief.compose.effect import remember  # noqa: PLC0415 - same

    findings = analyse(evidence)
    return remember(evidence, findings, compose(evidence, findings), name)


def again(
    evidence: "Evidence", formats: Sequence[str], *, people: bool = False
) -> tuple[tuple["Finding", ...], "Brief", tuple[Artifact, ...]]:
    """Analyse, compose and render evidence: pure, the same bytes each time."""
    from opsbrief.analysis import analyse  # noqa: PLC0415 - numpy is not for --help
    from opsbrief.compose import compose  # noqa: PLC0415 - same

    findings = analyse(evidence)
    brief = compose(evidence, findings, people=people)
    return findings, brief, tuple(_render(evidence, findings, brief, formats))


def sendable(config: "Config", to: Sequence[str] = ()) -> "Mail":
    """Return how mail is sent. Raises ConfigError when that is not configured or nobody is to get it."""
    from opsbrief.settings import mailbox  # noqa: PLC0415 - only where mail is sent

    where = ", ".join(str(path) for path in config.files or config.searched)
    if config.deliver.mail is None:
        hint = "deliver.mail needs: smtp (the relay) or sendmail, and from; 'opsbrief config schema' has all of it"
        raise ConfigError(Problem(where, "deliver.mail", "no mail is configured", hint))
    if not (to or config.deliver.mail.to):
        hint = "name an address on the command line, or set it here"
        raise ConfigError(Problem(where, "deliver.mail.to", "nobody is named to send the mail to", hint))
    for address in to:
        try:
            mailbox(address)
        except ValueError as error:
            hint = "--send takes the word behind it for an address, so give the service before it"
            raise ConfigError(Problem("", "", str(error), hint)) from None
    return config.deliver.mail


def letter(config: "Config", brief: "Brief", to: Sequence[str] = (), *, reply_to: "Brief | None" = None) -> "Letter":
    """Return the mail that ``send`` would send; where no mail is configured, a draft without addresses."""
    from opsbrief.deliver import message  # noqa: PLC0415 - only where mail is written

    mail = config.deliver.mail
    return message.build(
        brief, sender=mail.sender if mail else "", to=to or (mail.to if mail else ()), reply_to=reply_to
    )


def send(
    config: "Config",
    brief: "Brief",
    to: Sequence[str] = (),
    *,
    reply_to: "Brief | None" = None,
    auto: bool = False,
    tell: Callable[[str], None] | None = None,
) -> "Receipt":
    """Send a brief as configured; ``reply_to`` is the brief whose mail it answers.

    Raises ConfigError as ``sendable`` does, DeliveryError when nobody took it.
    """
    mail = sendable(config, to)
    from opsbrief import deliver  # noqa: PLC0415 - only where mail is sent

    return deliver.send(brief, mail, to, reply_to=reply_to, auto=auto, forbidden=config.secrets(), tell=tell)


def known(formats: Sequence[str]) -> None:
    """Refuse a format that there is not. Raises ConfigError."""
    wrong = [name for name in formats if name not in FORMATS]
    if wrong:
        raise ConfigError(Problem("--format", "", f"there is no format {wrong[0]!r}", f"known: {', '.join(FORMATS)}"))


def _render(
    evidence: "Evidence", findings: Sequence["Finding"], brief: "Brief", formats: Sequence[str]
) -> Iterator[Artifact]:
    from opsbrief.render import data  # noqa: PLC0415 - each renderer is loaded when it is wanted

    yield Artifact("findings.json", "application/json", data.findings(evidence, findings, brief))
    yield from forms(brief, formats)


def forms(brief: "Brief", formats: Sequence[str], each: Each = map) -> Iterator[Artifact]:
    """Yield the files of a brief in each of ``formats``, the pictures before the text that refers to them.

    ``each`` maps a function over the graphs, perhaps in other processes.
    """
    images: dict[str, str] = {}
    if set(formats) & set(_DRAWN):
        for artifact, figure in _images(brief, each):
            images[figure] = artifact.name
            yield artifact
    for name in formats:
        if name in _WRITERS:
            file, media_type, write = _WRITERS[name]
            yield Artifact(file, media_type, write(brief, images).encode())
    if "eml" in formats:
        from opsbrief.deliver import message  # noqa: PLC0415 - same

        yield Artifact("brief.eml", "message/rfc822", message.build(brief).data)


def _images(brief: "Brief", each: Each) -> Iterator[tuple[Artifact, str]]:
    figures = list(brief.figures())
    for figure, picture in zip(figures, each(_picture, [figure.chart for figure in figures]), strict=True):
        yield Artifact(f"graphs/{figure.name}.png", "image/png", picture), figure.name


def _picture(chart: "Chart") -> bytes:
    from opsbrief.render import png  # noqa: PLC0415 - the only one that loads matplotlib

    return png.draw(chart)


def _html(brief: "Brief", _images: Mapping[str, str]) -> str:
    from opsbrief.render import html, svg  # noqa: PLC0415 - see _render

    drawings = {figure.name: svg.draw(figure.chart, figure.name, figure.alt) for figure in brief.figures()}
    return html.render(brief, drawings, svg.CSS)


def _markdown(brief: "Brief", images: Mapping[str, str]) -> str:
    from opsbrief.render import markdown  # noqa: PLC0415 - see _render

    return markdown.render(brief, images)


def _text(brief: "Brief", _images: Mapping[str, str]) -> str:
    from opsbrief.render import text  # noqa: PLC0415 - see _render

    return text.render(brief)


_WRITERS: dict[str, tuple[str, str, Callable[["Brief", Mapping[str, str]], str]]] = {
    "html": ("brief.html", "text/html", _html),
    "md": ("brief.md", "text/markdown", _markdown),
    "txt": ("brief.txt", "text/plain", _text),
}
