"""What ``metrics``, ``logs`` and ``changes`` have in common: ask only the sources of one kind of evidence."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opsbrief import pipeline
from opsbrief.cli import gaps, options
from opsbrief.cli.progress import progress
from opsbrief.cli.settings import Settings
from opsbrief.errors import ConfigError, Problem
from opsbrief.resolve import explain

if TYPE_CHECKING:
    from opsbrief.model.evidence import Evidence
    from opsbrief.model.finding import Finding


def ask(settings: Settings, kind: str, given: dict[str, Any]) -> tuple["Evidence", tuple["Finding", ...]]:
    """Collect and analyse from the active sources that give ``kind``; say the window and the gaps on stderr."""
    from opsbrief.analysis import analyse  # noqa: PLC0415 - numpy is not for --help

    config = settings.load()
    order = options.order(**given)
    active = config.active(config.service(order.service), order.only, order.skip)
    names = tuple(source.name for _, source in active if kind in source.given)
    if not names:
        raise ConfigError(
            Problem("", "sources", f"no active source gives {kind}", "'opsbrief sources' lists the types")
        )
    with progress(settings) as listen:
        evidence, _ = pipeline.gather(
            config,
            replace(order, only=names),
            listen=listen,
            tell=lambda window: settings.say("\n".join(explain(window))),
        )
    gaps.tell(settings, evidence)
    return evidence, analyse(evidence)
