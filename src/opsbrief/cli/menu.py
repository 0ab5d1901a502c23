"""The commands in one table, and the top-level help made from it without importing click.

``opsbrief --help`` is what a stressed person types first and what every completion pays for; with
the table it costs little more than starting Python. A test holds the one-liners equal to the
commands' own.
"""

from opsbrief import __version__

#: group heading -> (command, what it does); the command's module in ``opsbrief.cli`` has its name.
COMMANDS: dict[str, tuple[tuple[str, str], ...]] = {
    "The incident": (
        ("collect", "Gather the evidence since an instant and write the brief."),
        ("watch", "Watch live what changes, until it is settled or you leave."),
        ("effect", "Show what a fix did to everything that a brief called changed."),
        ("window", "Resolve --since and --until and explain how."),
        ("deploys", "List the deploys that the deploy logs know."),
        ("mark", "Write a deploy, a fix or a note to Graphite, Grafana or a deploy log."),
    ),
    "On a schedule": (("weekly", "Sum up every release of the week, for cron."),),
    "One kind of evidence": (
        ("metrics", "Show which metrics changed since an instant."),
        ("logs", "Show which log patterns are new, exploded or vanished."),
        ("changes", "Show commits, tags and deploys in the window."),
        ("alarms", "Show alarms, acknowledgements, downtimes and restarts in the window."),
    ),
    "A finished bundle": (
        ("render", "Write the brief of a bundle again, offline."),
        ("show", "Show where a number of a brief comes from."),
        ("verify", "Check the digests of a bundle and work out every number again."),
        ("diff", "Show how two bundles differ: window, verdicts, levels, patterns, gaps."),
        ("redact", "Write a bundle again without credentials and, for outside, without names."),
        ("serve", "Answer as Graphite and Elasticsearch from a bundle, on this machine."),
        ("send", "Send the brief of a bundle by mail."),
    ),
    "Setting up": (
        ("init", "Ask a few questions and write a configuration that works."),
        ("check", "Ask every configured source for live data."),
        ("config", "Show the configuration, its origin, or its JSON Schema."),
        ("sources", "List the types of source and their options."),
        ("completion", "Print the completion script for a shell."),
        ("demo", "Build the story of a bad release on this disk and write its brief."),
    ),
}

EXAMPLES = (
    ("opsbrief demo", "see a brief within seconds, no server needed"),
    ("opsbrief collect --since deploy", "since the newest deploy that the deploy logs know"),
    ("opsbrief collect shop --since 'friday 15:00'", "one service, since an hour you name"),
    ("opsbrief render BUNDLE --format md", "the same brief again, offline"),
)

OPTIONS = (
    ("--config FILE", "use this configuration instead of ./opsbrief.yaml and the user's"),
    ("-v, --verbose", "say every request on standard error (-vv: with tracebacks)"),
    ("-q, --quiet", "say only errors"),
    ("--no-color", "no colours (NO_COLOR is honoured too)"),
    ("-V, --version", "print the version"),
    ("-h, --help", "print this; 'opsbrief COMMAND -h' tells more"),
)


def names() -> tuple[str, ...]:
    """Return every command, in the order of the help."""
    return tuple(name for commands in COMMANDS.values() for name, _ in commands)


def text() -> str:
    """Return the top-level help."""
    lines = [
        "Usage: opsbrief [OPTIONS] COMMAND [ARGS]...",
        "",
        '  From "something is wrong since the release" to a brief that a developer can act on.',
        "",
        "Examples:",
        *_columns(EXAMPLES, 47),
    ]
    for heading, commands in COMMANDS.items():
        lines += ["", f"{heading}:", *_columns(commands, 12)]
    lines += ["", "Options:", *_columns(OPTIONS, 15), "", f"opsbrief {__version__}"]
    return "\n".join(lines) + "\n"


def _columns(rows: tuple[tuple[str, str], ...], width: int) -> list[str]:
    return [f"  {left:<{width}}  {right}" for left, right in rows]
