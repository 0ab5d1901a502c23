"""What is missing, on standard error: the same list for every command that asks the sources."""

from opsbrief.cli.settings import Settings
from opsbrief.model.evidence import Evidence, Gap


def tell(settings: Settings, evidence: Evidence) -> None:
    """Say every gap, those that differ only in their span in one line, and every warning."""
    spans: dict[tuple[str, str, str, str], list[str]] = {}
    for gap in evidence.gaps:
        spans.setdefault((gap.source, gap.what, gap.detail, gap.hint), []).append(_span(gap))
    for (source, what, detail, hint), named in spans.items():
        where = ", ".join(filter(None, dict.fromkeys(named)))
        span = f" ({where})" if where and "" not in named else ""
        settings.say(f"gap: {source}: {what}{span}: {detail}" + (f" ({hint})" if hint else ""))
    for outcome in evidence.outcomes:
        for warning in outcome.warnings:
            settings.say(f"warning: {outcome.source}: {warning}")


def _span(gap: Gap) -> str:
    """Return the span that the gap itself does not name already."""
    return "" if gap.span in gap.what else gap.span
