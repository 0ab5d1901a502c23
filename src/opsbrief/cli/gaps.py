"""What is missing, on standard error: the same list for every command that asks the sources."""

from opsbrief import phrase
from opsbrief.cli.settings import Settings
from opsbrief.model.evidence import Evidence, Gap

_NAMED = 5  # missing things named in one line; the brief has them all


def tell(settings: Settings, evidence: Evidence) -> None:
    """Say every gap, those of one source with one reason in one line, and every warning."""
    missing: dict[tuple[str, str, str], list[str]] = {}
    for gap in evidence.gaps:
        missing.setdefault((gap.source, gap.detail, gap.hint), []).append(_what(gap))
    for (source, detail, hint), names in missing.items():
        what = phrase.listed([*dict.fromkeys(names)], _NAMED)
        settings.say(f"gap: {source}: {what}: {detail}" + (f" ({hint})" if hint else ""))
    for outcome in evidence.outcomes:
        for warning in outcome.warnings:
            settings.say(f"warning: {outcome.source}: {warning}")


def _what(gap: Gap) -> str:
    """Return what is missing, with the span where it does not name that itself."""
    return gap.what if gap.span in gap.what else f"{gap.what} ({gap.span})"
