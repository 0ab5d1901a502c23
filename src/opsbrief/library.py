"""opsbrief from Python: what the command line does, as functions."""

import os
from collections.abc import Sequence
from pathlib import Path

from opsbrief import pipeline
from opsbrief.config import Config, load
from opsbrief.pipeline import USUAL, Order, Result


def collect(  # noqa: PLR0913 - the options of the command, each by its name
    service: str | None = None,
    *,
    since: str,
    until: str = "now",
    config: Config | Path | str | None = None,
    baseline: Sequence[str] = (),
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    formats: Sequence[str] = USUAL,
    out: Path | str | None = None,
    timeout: float | None = None,
    people: bool = False,
    pack: str = "",
    share: str = "",
) -> Result:
    """Gather the evidence since an instant and write the brief, as ``opsbrief collect`` does.

    ``config`` is a configuration, or the path of one; without it the usual files and the environment count.
    ``timeout`` is in seconds for each source, ``pack`` "tgz" or "zip", ``share`` "internal" or "external". The
    result has the path of the bundle, the brief, the findings, the evidence and its gaps, and ``exit_code`` as
    the command would end (0 or 3).
    Raises OpsbriefError: ConfigError, WindowError, NoDeployError, BundleError; each knows its ``exit_code``.
    """
    if not isinstance(config, Config):
        config = load([Path(config)] if config else None, os.environ)
    order = Order(
        service=service,
        since=since,
        until=until,
        baseline=tuple(baseline),
        only=tuple(only),
        skip=tuple(skip),
        formats=tuple(formats),
        out=Path(out) if out else None,
        timeout=timeout,
        people=people,
        pack=pack,
        share=share,
    )
    return pipeline.collect(config, order)
