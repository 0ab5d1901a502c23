"""What the command costs and says before it does anything."""

import importlib
import importlib.metadata
import subprocess
import sys

import click
import pytest
from tests.e2e.conftest import Run

from opsbrief import __version__
from opsbrief.cli import menu

HEAVY = {"requests", "urllib3", "numpy", "matplotlib", "rich", "paramiko", "jinja2", "yaml"}


@pytest.mark.parametrize("args", [["--help"], ["-h"], [], ["--version"], ["-V"]])
def test_help_and_version_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['opsbrief', *sys.argv[1:]]; begun = set(sys.modules)\n"
        "from opsbrief.__main__ import main\nmain()\n"
        f"sys.exit(' '.join({HEAVY | {'click', 'typing'}!r} & set(sys.modules) - begun) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", menu.names())
def test_the_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    # numpy may be there: the values the commands pass on are made of it, and no network is waited for here.
    code = (
        "import sys; sys.argv = ['opsbrief', sys.argv[1], '-h']\n"
        "from opsbrief.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"sys.exit(' '.join({HEAVY - {'yaml', 'numpy'}!r} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", menu.names())
def test_the_menu_says_what_the_commands_say_of_themselves(name: str) -> None:
    command = importlib.import_module(f"opsbrief.cli.{name}").command
    said = dict(line for group in menu.COMMANDS.values() for line in group)[name]
    assert command.help.splitlines()[0] == said
    if not isinstance(command, click.Group):
        assert "Examples:" in (command.epilog or ""), "help without an example"


def test_the_fast_help_is_the_same_as_clicks(opsbrief: Run) -> None:
    assert opsbrief("-v", "--help").stdout.strip() == opsbrief("--help").stdout.strip() == menu.text().strip()


def test_version(opsbrief: Run) -> None:
    assert opsbrief("--version").stdout == f"opsbrief {__version__}\n"
    assert importlib.metadata.version("opsbrief") == __version__


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["colect"], "did you mean 'collect'?"),
        (["frobnicate"], "lists the commands"),
        (["collect", "--sinse", "2h"], "--since"),
        (["collect"], "--since"),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_nearest_right_form(opsbrief: Run, args: list[str], hint: str) -> None:
    done = opsbrief(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(opsbrief: Run, shell: str) -> None:
    assert "_OPSBRIEF_COMPLETE" in opsbrief("completion", shell).stdout


def test_completion_completes_commands(opsbrief: Run) -> None:
    done = opsbrief(_OPSBRIEF_COMPLETE="bash_complete", COMP_WORDS="opsbrief coll", COMP_CWORD="1")
    assert "plain,collect" in done.stdout
