"""``opsbrief init``: a few questions, real requests, and a configuration that works."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import click

from opsbrief.cli.settings import Settings
from opsbrief.errors import ConfigError, Problem, SourceError

if TYPE_CHECKING:
    from opsbrief.cli.draft import Answers, Server
    from opsbrief.cli.probe import Found
    from opsbrief.config import Config

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.command(
    epilog="""\b
Examples:
  opsbrief init
  opsbrief init --yes --service shop --graphite https://graphite.example --elasticsearch https://es.example:9200 \\
    --elasticsearch-user opsbrief --elasticsearch-password-env ES_PASSWORD --git ~/src/shop
  opsbrief init --yes --service shop --whisper /var/lib/graphite/whisper --logs '/var/log/shop/*.log'"""
)
@click.option("--service", metavar="NAME", help="What the brief is about.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Its hosts: app{1..8}. May be given twice.")
@click.option("--graphite", metavar="URL", help="Graphite server.")
@click.option("--graphite-user", metavar="USER", help="User to log in as.")
@click.option("--graphite-password-env", metavar="VAR", help="Environment variable with its password (or token).")
@click.option("--whisper", metavar="DIR", help="Folder of whisper files, instead of a Graphite server.")
@click.option("--target", "targets", multiple=True, metavar="PATTERN", help="Metric to look at. May be given twice.")
@click.option("--elasticsearch", "--opensearch", metavar="URL", help="Elasticsearch or OpenSearch server.")
@click.option("--elasticsearch-user", metavar="USER", help="User to log in as.")
@click.option("--elasticsearch-password-env", metavar="VAR", help="Environment variable with its password.")
@click.option("--index", metavar="INDEX", help="Index, alias or data stream; wildcards are allowed.")
@click.option("--query", metavar="QUERY", help="Query of the service's log lines, e.g. service:shop.")
@click.option("--logs", metavar="GLOB", help="Log files, instead of Elasticsearch.")
@click.option("--git", "repository", metavar="PATH", help="Repository of the application.")
@click.option("--infrastructure", multiple=True, metavar="PATH", help="Repository of the infrastructure.")
@click.option("--deploy-log", metavar="FILE", help="File that records deploys.")
@click.option("--ca-file", metavar="FILE", help="CA certificates of the servers.")
@click.option("--timezone", metavar="ZONE", help="Time zone for what people read, e.g. Europe/Berlin.")
@click.option("-o", "--output", default="opsbrief.yaml", show_default=True, metavar="FILE", help="File to write.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take the options, leave out the rest.")
@click.pass_obj
def command(settings: Settings, /, *, output: str, force: bool, yes: bool, **given: Any) -> int:  # noqa: ANN401 - the options above
    """Ask a few questions and write a configuration that works."""
    path = Path(output)
    for key, value in given.items():
        if not _utf8(value):
            raise _wrong(f"--{key.replace('_', '-')}", "is not UTF-8", "a configuration is UTF-8 text")
    if path.exists() and not force:
        raise ConfigError(Problem(output, "", "is there already", "--force overwrites it, -o writes another file"))
    talk = Talk(settings, silent=yes or not sys.stdin.isatty())
    answers = _ask(talk, given, path)
    code = _write(settings, talk, answers, path)
    click.echo(output)
    settings.say("next: opsbrief check; opsbrief collect --since deploy")
    return code


class Talk:
    """Asks where somebody can answer; else takes what was given."""

    def __init__(self, settings: Settings, *, silent: bool) -> None:
        """Keep whether anybody answers."""
        self.settings = settings
        self.silent = silent

    def ask(self, given: str | None, question: str, default: str = "") -> str:
        """Return what was given, else the answer, else the default."""
        if given is not None or self.silent:
            return given or (default if given is None else "")
        answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        return answer.strip()

    def sure(self, question: str) -> bool:
        """Return whether to go on; without anybody to ask, yes."""
        return self.silent or click.confirm(question, default=False, err=True)


def _ask(talk: Talk, given: dict[str, Any], path: Path) -> "Answers":
    from opsbrief.cli.draft import Answers  # noqa: PLC0415 - only init needs it

    graphite = _server(talk, given, path, "graphite", "Graphite URL (empty: none)")
    whisper = "" if graphite else talk.ask(given["whisper"], "Folder of whisper files (empty: none)")
    elastic = _server(talk, given, path, "elasticsearch", "Elasticsearch or OpenSearch URL (empty: none)")
    index = talk.ask(given["index"], "Index, alias or data stream", "logstash-*") if elastic else ""
    logs = "" if elastic else talk.ask(given["logs"], "Log files, e.g. /var/log/shop/*.log (empty: none)")
    repository = talk.ask(given["repository"], "Git repository of the application (empty: none)")
    grounds = given["infrastructure"] or (talk.ask(None, "Git repository of the infrastructure (empty: none)"),)
    deploy_log = talk.ask(given["deploy_log"], "File that records deploys (empty: none)")
    service = talk.ask(given["service"], "Name of the service", _default_name(repository))
    if not _NAME.fullmatch(service):
        raise _wrong("--service", f"{service!r} is no name", "letters, digits, '.', '_' and '-'")
    query = talk.ask(given["query"], "Query of its log lines, e.g. service:shop (empty: all)") if elastic else ""
    answers = Answers(
        service=service,
        timezone=given["timezone"] or "",
        graphite=graphite,
        whisper=_from(path, whisper),
        elasticsearch=elastic,
        index=index,
        logs=_from(path, logs),
        repository=_from(path, repository),
        infrastructure=tuple(_from(path, ground) for ground in grounds if ground),
        deploy_log=_from(path, deploy_log),
        hosts=given["hosts"],
        query=query,
        targets=given["targets"],
    )
    if not (graphite or whisper or elastic or logs or repository or answers.infrastructure):
        raise _wrong(
            "init", "there is nothing to collect from", "give at least one source; 'opsbrief init -h' lists them"
        )
    return _metrics(talk, answers, path)


def _utf8(value: object) -> bool:
    """Whether a text (or each of several) came as UTF-8; other bytes stand as lone surrogates in it."""
    texts = value if isinstance(value, tuple) else (value,)
    return not any("\ud800" <= letter <= "\udfff" for text in texts if text for letter in str(text))


def _from(path: Path, text: str) -> str:
    """Return a path, typed in the current folder, as the configuration must say it: from its own folder."""
    if not text or text.startswith(("/", "~")) or path.parent == Path():
        return text
    return os.path.relpath(text, path.parent)


def _server(talk: Talk, given: dict[str, Any], path: Path, name: str, question: str) -> "Server | None":
    from opsbrief.cli.draft import Server  # noqa: PLC0415 - only init needs it
    from opsbrief.config.scalar import userinfo  # noqa: PLC0415 - same

    url = talk.ask(given[name], question)
    if not url:
        return None
    if bare := userinfo(url):
        hint = f"--{name} {bare} --{name}-user USER --{name}-password-env VARIABLE"
        raise _wrong(f"--{name}", "credentials in a URL end up in logs and briefs", hint)
    if not url.startswith(("http://", "https://")):
        raise _wrong(f"--{name}", f"{url!r} is not a URL", "it looks like https://host:port/path")
    user = talk.ask(given[f"{name}_user"], "  user (empty: no login)")
    variable = given[f"{name}_password_env"]
    if user:
        variable = talk.ask(
            variable, "  name of the environment variable with the password", f"{name.upper()}_PASSWORD"
        )
    if variable and not _VARIABLE.fullmatch(variable):
        raise _wrong(f"--{name}-password-env", "is not the name of an environment variable", "not the password itself")
    if variable and not os.environ.get(variable):
        talk.settings.say(f"  {variable} is not set here; the server will not let us in until it is")
    ca_file = given["ca_file"] if url.startswith("https://") else ""
    return Server(url=url, user=user, variable=variable or "", ca_file=_from(path, ca_file or ""))


def _wrong(where: str, message: str, hint: str) -> ConfigError:
    return ConfigError(Problem(where, "", message, hint))


def _default_name(repository: str) -> str:
    name = Path(repository or Path.cwd()).expanduser().name.removesuffix(".git")
    return name if _NAME.fullmatch(name) else "service"


def _metrics(talk: Talk, answers: "Answers", path: Path) -> "Answers":
    """Look for collectd's names where series come from; offer its hosts and metrics."""
    from opsbrief.cli import draft  # noqa: PLC0415 - only init needs it

    hosts = answers.hosts
    if answers.graphite or answers.whisper:
        config = _load(replace(answers, targets=(), hosts=()), path)
        source: Any = config.sources["graphite"][1]
        try:
            prefix, seen = _discover(source)
        except SourceError as error:
            talk.settings.say(f"graphite: {error}")
            prefix, seen = "", ()
        if seen:
            talk.settings.say(f"graphite: collectd's names below {prefix or 'the top'}, {len(seen)} hosts")
            short = draft.compress(seen)
            hosts = hosts or tuple(talk.ask(None, "Hosts of the service", ",".join(short)).split(","))
            answers = replace(answers, dashboard=True)
    if not hosts:
        hosts = tuple(talk.ask(None, "Hosts of the service, e.g. app{1..8} (empty: none)").split(","))
    return replace(answers, hosts=tuple(host.strip() for host in hosts if host.strip()))


def _finder(source: Any) -> Any:  # noqa: ANN401 - Graphite or Whisper
    from opsbrief.transport.deadline import Deadline  # noqa: PLC0415 - only init needs it

    deadline = Deadline(15)
    return lambda pattern: source.find(pattern, deadline)


def _discover(source: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - Graphite or Whisper
    from opsbrief.cli.draft import discover  # noqa: PLC0415 - only init needs it

    return discover(_finder(source))


def _load(answers: "Answers", path: Path) -> "Config":
    """Load the configuration that the answers make, as it would be at ``path``, through the ordinary reader."""
    from opsbrief.cli.draft import text  # noqa: PLC0415 - only init needs it
    from opsbrief.config import load  # noqa: PLC0415 - same

    folder = path.parent
    with NamedTemporaryFile("w", dir=folder, prefix=".opsbrief-init-", suffix=".yaml", encoding="utf-8") as file:
        file.write(text(answers))
        file.flush()
        return load([Path(file.name)], os.environ)


def _write(settings: Settings, talk: Talk, answers: "Answers", path: Path) -> int:
    """Ask every source, then write the file. Returns 3 when something is missing."""
    from opsbrief import bundle  # noqa: PLC0415 - only what writes needs it
    from opsbrief.cli import probe  # noqa: PLC0415 - only init and check need it
    from opsbrief.cli.draft import text  # noqa: PLC0415 - same
    from opsbrief.cli.progress import progress  # noqa: PLC0415 - same
    from opsbrief.model.artifact import Artifact  # noqa: PLC0415 - same

    config = _load(answers, path)
    with progress(settings) as listen:
        found = probe.ask(probe.check(config, [config.service()], (), ()), probe.recent(), listen=listen)
    for line in probe.lines(found):
        settings.say(line)
    if not _fine(found) and not talk.sure("Something is missing. Write the file anyway?"):
        raise click.Abort
    list(bundle.extract(path.parent, [Artifact(path.name, "application/yaml", text(answers).encode())]))
    return 0 if _fine(found) else 3


def _fine(found: "Sequence[Found]") -> bool:
    return all(one.fine for one in found)
