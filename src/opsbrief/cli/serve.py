"""``opsbrief serve``: a bundle for the tools that people already have."""

from pathlib import Path

import click

from opsbrief import bundle
from opsbrief.cli import options
from opsbrief.cli.settings import Settings
from opsbrief.errors import BundleError


@click.command(
    epilog="""\b
Examples:
  opsbrief serve opsbrief-shop-20261120T164000Z
  opsbrief serve incident.tgz --port 8090

Answers on this machine alone, as Graphite (/render, /metrics, /events) and as Elasticsearch (each source of
logs is an index) at one address, which is printed: for Grafana, Kibana's Dev Tools, a notebook, or opsbrief
itself. Nothing can be changed. Of functions Graphite answers those that were asked for when the bundle was
collected. Ctrl-C ends it, with code 0."""
)
@options.bundle
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.pass_obj
def command(settings: Settings, path: Path, port: int) -> None:
    """Answer as Graphite and Elasticsearch from a bundle, on this machine."""
    from opsbrief.serve import answerer  # noqa: PLC0415 - after --help
    from opsbrief.serve.lines import samples  # noqa: PLC0415 - same
    from opsbrief.transport.loopback import HOST, Server  # noqa: PLC0415 - same

    evidence = bundle.read(path)
    try:
        server = Server(answerer(evidence), port)
    except OSError as error:
        raise BundleError(f"nothing can be served at {HOST}:{port}: {error.strerror}", "try without --port") from error
    window = evidence.window
    settings.say(f"Graphite and Elasticsearch; the incident is {window.start:%Y-%m-%d %H:%M} to {window.end:%H:%M} UTC")
    settings.say(f"indices of log lines: {', '.join(samples(evidence)) or 'none'}; Ctrl-C ends this")
    click.echo(server.url)
    try:
        server.run()
    except KeyboardInterrupt:
        settings.say("ended")
