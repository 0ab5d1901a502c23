import os
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from opsbrief.config import secrets
from opsbrief.config.secrets import Reference, parse_netrc, secret
from opsbrief.config.tree import File
from opsbrief.errors import GapKind, SourceError
from opsbrief.secret import Secret


def make(way: str, *args: str, folder: Path = Path(), env: Mapping[str, str] | None = None) -> Secret:
    return secret(Reference(way, args, File("f.yaml", folder / "f.yaml")), "sources.es.auth.password", env or {})


def refusal(made: Secret) -> str:
    with pytest.raises(SourceError) as caught:
        made.reveal()
    assert caught.value.kind is GapKind.UNAUTHORIZED
    assert str(caught.value).startswith("sources.es.auth.password: ")
    return str(caught.value)


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_from_the_environment() -> None:
    assert make("env", "PW", env={"PW": "p w"}).reveal() == "p w"
    assert "the environment variable PW is not set" in refusal(make("env", "PW"))
    assert "the environment variable PW is empty" in refusal(make("env", "PW", env={"PW": ""}))


def test_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    private(tmp_path / "pw", "secret\n")
    assert make("file", "pw", folder=tmp_path).reveal() == "secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "pw", "secret", mode)
    said = refusal(make("file", str(path)))
    assert f"others can read {path} (mode {mode:04o}) (chmod 600" in said
    assert "secret" not in said.removeprefix("sources.es.auth.password").replace("change the secret", "")


def test_a_file_that_is_missing_empty_or_binary(tmp_path: Path) -> None:
    assert "No such file" in refusal(make("file", str(tmp_path / "none")))
    assert "is empty" in refusal(make("file", str(private(tmp_path / "empty", "\n"))))
    binary = private(tmp_path / "binary", "")
    binary.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in refusal(make("file", str(binary)))


def test_from_a_command_without_a_shell(tmp_path: Path) -> None:
    assert make("command", "printf", "%s\n", "$HOME; `id`", folder=tmp_path, env=os.environ).reveal() == "$HOME; `id`"


def test_a_command_runs_once_and_only_when_needed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    made = make("command", "sh", "-c", f"echo x >> {log}; echo pw", folder=tmp_path, env=os.environ)
    assert not log.exists()
    threads = [threading.Thread(target=made.reveal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.known == "pw"
    assert log.read_text() == "x\n"


def test_a_command_that_fails_says_how_but_not_what_it_printed(tmp_path: Path) -> None:
    said = refusal(make("command", "sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3", folder=tmp_path))
    assert "sh ended with status 3" in said
    assert "hunter2" not in said
    assert "printed nothing" in refusal(make("command", "true", folder=tmp_path))
    assert "cannot run no-such-program" in refusal(make("command", "no-such-program", folder=tmp_path))


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    found = Reference("command", ("sleep", "60"), File("f.yaml", tmp_path / "f.yaml"))
    made = secret(found, "sources.es.auth.password", {}, seconds=0.2)
    assert "sleep did not end within 0.2 s" in refusal(made)


@pytest.mark.skipif(find_spec("keyring") is not None, reason="the extra is installed here")
def test_keyring_is_an_extra_and_says_so() -> None:
    assert "pip install 'opsbrief[keyring]'" in refusal(make("keyring", "es", "me"))


def test_from_netrc(tmp_path: Path) -> None:
    path = private(tmp_path / "netrc", "machine h.example login me password pw\n")
    assert make("netrc", "h.example", env={"NETRC": str(path)}).reveal() == "pw"
    assert secrets.netrc("h.example", "auth", {"NETRC": str(path)}) == ("me", "pw")
    assert f"{path} has no machine x.example" in refusal(make("netrc", "x.example", env={"NETRC": str(path)}))
    path.chmod(0o644)
    assert "others can read" in refusal(make("netrc", "h.example", env={"NETRC": str(path)}))


def test_netrc_lies_in_the_home_folder(tmp_path: Path) -> None:
    private(tmp_path / ".netrc", "default login any password pw")
    assert make("netrc", "h", env={"HOME": str(tmp_path)}).reveal() == "pw"


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", {}),
        ("machine a login b password c", {"a": ("b", "c")}),
        ("machine a\n\tlogin b\n\tpassword c\nmachine d login e password f", {"a": ("b", "c"), "d": ("e", "f")}),
        ("# machine x\nmachine a password c login b # more", {"a": ("b", "c")}),
        ("machine a login b password #c", {"a": ("b", "#c")}),
        ('machine a login b password "c \\" d"', {"a": ("b", 'c " d')}),
        ("machine a login b password c\nmachine a login x password y", {"a": ("b", "c")}),
        ("machine a login b account z password c", {"a": ("b", "c")}),
        ("default login b password c", {"": ("b", "c")}),
        ("macdef init\nmachine x login y password z\n\nmachine a login b password c", {"a": ("b", "c")}),
        ("machine a login password password login", {"a": ("password", "login")}),
        ("machine a login b", {"a": ("b", "")}),
        ("machine", {"": ("", "")}),
        ("nonsense machine a password c", {"a": ("", "c")}),
    ],
)
def test_netrc_is_read_as_curl_reads_it(text: str, entries: dict[str, tuple[str, str]]) -> None:
    assert parse_netrc(text) == entries


def test_a_secret_is_never_printed_and_compares_without_being_fetched() -> None:
    def fail() -> str:
        raise AssertionError

    lazy, other = Secret(fail, "a: {env: X}"), Secret(fail, "a: {env: X}")
    assert lazy == other
    assert hash(lazy) == hash(other)
    assert lazy != Secret(fail, "b: {env: X}")
    assert f"{lazy} {lazy!r} {Secret('pw')}" == "Secret(***) Secret(***) Secret(***)"
    assert lazy.known == ""
    assert Secret("pw") == Secret("pw") != Secret("x")
