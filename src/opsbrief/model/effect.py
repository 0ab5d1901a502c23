"""What the first brief said, as far as the effect of a fix is measured against it."""

from dataclasses import dataclass
from datetime import datetime

from opsbrief.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change that the first brief told, and how it was drawn."""

    finding: Finding
    series: tuple[str, ...] = ()  # names of the series that changed
    bottom: float | None = None  # ends of the value axis of its graph
    top: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first brief: its reference values travel in the bundle of the effect, so that this stands alone."""

    bundle: str  # name of its folder
    headline: str
    collected_at: datetime
    end: datetime  # of its window
    told: tuple[Told, ...] = ()
