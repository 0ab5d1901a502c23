"""``opsbrief check``: whether every source is reachable, authorised, and really returns data."""

import json
from dataclasses import asdict

import click

from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.errors import ConfigError


@click.command(
    epilog="""\b
Examples:
  opsbrief check
  opsbrief check shop --only graphite
  opsbrief check --json
\b
Exit codes: 0 every source answers with data, 2 the configuration is wrong, 3 something is missing."""
)
@options.service
@options.sources
@options.as_json
@click.pass_obj
def command(
    settings: Settings,
    *,
    service: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
) -> int:
    """Ask every configured source for live data."""
    # Imported here: --help needs none of them.
    from opsbrief.cli import probe  # noqa: PLC0415 - see above
    from opsbrief.cli.progress import progress  # noqa: PLC0415 - same

    only, skip = (tuple(name for text in texts for name in text.split(",") if name) for texts in (only, skip))
    try:
        config = settings.load()
        if service is None and len(config.services) > 1:
            services = list(config.services.values())
        else:
            services = [config.service(service)]
        questions = probe.check(config, services, only, skip)
    except ConfigError as error:
        if as_json:
            problems = [asdict(problem) for problem in error.problems]
            click.echo(json.dumps({"format": "opsbrief.check/1", "exit": 2, "problems": problems}, indent=1))
            return 2
        raise
    if not as_json:
        for path in config.files:
            settings.say(f"configuration: {path}")
    with progress(settings) as listen:
        found = probe.ask(questions, probe.recent(), timeout=timeout, listen=listen)
    code = 0 if all(one.fine for one in found) else 3
    if as_json:
        rows = [asdict(one) | {"fine": one.fine} for one in found]
        document = {"format": "opsbrief.check/1", "exit": code, "problems": [], "sources": rows}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        for line in probe.lines(found, services=len(services) > 1):
            click.echo(line)
    return code
