"""What is watched, made from the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from opsbrief import pipeline
from opsbrief.collect import Listener
from opsbrief.errors import WindowError
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.source import Source

if TYPE_CHECKING:
    from opsbrief.config import Config

EVERY = 30.0  # seconds between ticks

Sourced = Sequence[tuple[str, Source]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is watched: the resolved window (its end moves with the clock), who is asked, and the fix if it is known."""

    window: Window
    scope: Scope
    sources: Sourced
    logs: Sourced = ()
    every: float = EVERY
    fix: Anchor | None = None
    ticks: int | None = None  # in a row, for the rule of settling; None: as usual


def plan(
    config: "Config",
    order: pipeline.Order,
    *,
    now: datetime,
    every: float = EVERY,
    fix: str = "",
    listen: Listener | None = None,
) -> Plan:
    """Resolve ``order.since``, and ``fix`` where it is given. Raises WindowError and what ``pipeline.window`` raises.

    The wide net (metrics with ``rank``) is left out: it is for one look, not for one every half minute.
    """
    window = pipeline.window(config, order, now=now, listen=listen)
    service = config.service(order.service)
    scope = service.scope.narrow()
    timeout = order.timeout
    sources = [
        (kind, replace(source, scope=scope, timeout=timeout or source.timeout))
        for kind, source in pipeline.active(config, order)  # a look at a host is for one moment
    ]
    found = pipeline.window(config, replace(order, since=fix), now=now, listen=listen).anchor if fix else None
    if found and found.at <= window.start:
        raise WindowError(
            f"--fix {fix} is {found.at:%Y-%m-%d %H:%M:%S} UTC, which is not after the start of the window "
            f"({window.start:%Y-%m-%d %H:%M:%S} UTC)",
            "give the time at which the fix went out; without --fix a newer deploy is taken for it",
        )
    return Plan(
        window=window,
        scope=scope,
        sources=sources,
        logs=config.deploy_logs(service),
        every=every,
        fix=found,
    )
