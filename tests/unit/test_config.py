import os
from pathlib import Path

import pytest

from opsbrief.config import Config, load
from opsbrief.errors import ConfigError
from opsbrief.source import Source
from opsbrief.sources.git import Git
from opsbrief.sources.graphite import Graphite

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*/opsbrief.yaml"))

BASE = """\
sources:
  graphite: {type: graphite, url: https://g.example, deploy_tags: [deploy]}
  shop: {type: git, path: src/shop, role: application}
  puppet: {type: git, path: /src/puppet, role: infrastructure}
"""


def read(folder: Path, text: str, **env: str) -> Config:
    path = folder / "opsbrief.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return load(None, {"XDG_CONFIG_HOME": str(folder / "none"), **env}, folder)


def complaints(folder: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **env)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def names(found: list[tuple[str, Source]]) -> list[str]:
    return [source.name for _, source in found]


def test_sources_are_built_of_their_types(tmp_path: Path) -> None:
    config = read(tmp_path, BASE)
    kind, graphite = config.sources["graphite"]
    assert (kind, type(graphite), graphite.name) == ("graphite", Graphite, "graphite")
    shop = config.sources["shop"][1]
    assert isinstance(shop, Git)
    assert shop.path == str(tmp_path / "src/shop")


def test_without_a_file_the_built_in_values_hold_and_collecting_says_what_to_do(tmp_path: Path) -> None:
    config = load(None, {"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path)
    assert config.defaults.baseline == ("before", "last-week")
    assert not config.files
    with pytest.raises(ConfigError, match=r"no sources are configured .'opsbrief init' writes"):
        config.active(config.service())


def test_the_project_lies_over_the_user_and_the_environment_over_both(tmp_path: Path) -> None:
    user = tmp_path / "xdg" / "opsbrief" / "config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text(
        "timezone: Asia/Tokyo\ndefaults: {timeout: 5s, baseline: none, out: briefs}\n"
        "sources: {graphite: {type: graphite, url: http://u.example, auth: {bearer: {env: T}}}, "
        "old: {type: whisper, path: w}}\nredact: {patterns: [{name: a, regex: a}]}"
    )
    project = tmp_path / "work"
    project.mkdir()
    (project / "opsbrief.yaml").write_text(
        "timezone: Europe/Berlin\ndefaults: {baseline: [last-week]}\n"
        "sources: {graphite: {type: graphite, url: http://p.example}}\nredact: {patterns: [{name: b, regex: b}]}"
    )
    config = load(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "OPSBRIEF_TIMEZONE": "UTC"}, project)
    graphite = config.sources["graphite"][1]
    assert isinstance(graphite, Graphite)
    assert (config.timezone, config.defaults.baseline) == ("UTC", ("last-week",))
    assert config.defaults.out.endswith("/briefs")
    # A source is never mixed of two files: the user's token must not go to the project's server.
    assert (graphite.url, graphite.auth.bearer, graphite.timeout) == ("http://p.example", None, 5.0)
    assert config.sources["old"][1].name == "old"
    assert [pattern.name for pattern in config.redact.patterns] == ["a", "b"]
    assert config.files == (project / "opsbrief.yaml", user)


def test_config_and_its_variable_replace_the_search(tmp_path: Path) -> None:
    (tmp_path / "opsbrief.yaml").write_text("nonsense: true")
    other = tmp_path / "other.yaml"
    other.write_text("timezone: Asia/Tokyo")
    assert load([other], {}, tmp_path).timezone == "Asia/Tokyo"
    assert load(None, {"OPSBRIEF_CONFIG": "other.yaml"}, tmp_path).timezone == "Asia/Tokyo"
    with pytest.raises(ConfigError, match=r"missing.yaml: cannot be read: No such file"):
        load([tmp_path / "missing.yaml"], {}, tmp_path)


def test_the_environment_sets_defaults_and_is_named_when_wrong(tmp_path: Path) -> None:
    config = read(tmp_path, BASE, OPSBRIEF_BASELINE="before, last-week", OPSBRIEF_TIMEOUT="7s", OPSBRIEF_OUT="/b")
    assert config.defaults.baseline == ("before", "last-week")
    assert config.sources["shop"][1].timeout == 7.0
    assert config.defaults.out == "/b"
    (problem,) = complaints(tmp_path, BASE, OPSBRIEF_TIMEOUT="soon")
    assert problem.startswith("OPSBRIEF_TIMEOUT: defaults.timeout: 'soon' is not a length of time")


def test_services(tmp_path: Path) -> None:
    text = BASE + "services:\n  shop: {hosts: 'app{1..3}', logs: {query: x}, sources: [graphite, shop]}\n  other:\n"
    config = read(tmp_path, text)
    shop = config.service("shop")
    assert shop.scope.hosts == ("app1", "app2", "app3")
    assert shop.scope.logs[0].query == "x"
    assert names(config.active(shop)) == ["graphite", "shop"]
    assert all(source.scope is shop.scope for _, source in config.active(shop))
    assert config.service("other").name == "other"
    with pytest.raises(ConfigError, match=r"several services are configured .name one: shop, other"):
        config.service()
    with pytest.raises(ConfigError, match=r"there is no service 'shpo' .did you mean 'shop'"):
        config.service("shpo")


def test_the_only_service_need_not_be_named(tmp_path: Path) -> None:
    assert read(tmp_path, BASE + "services: {shop: {}}").service().name == "shop"
    assert read(tmp_path, BASE).service().name == ""


def test_only_and_skip_take_names_and_types(tmp_path: Path) -> None:
    config = read(tmp_path, BASE)
    service = config.service()
    assert names(config.active(service, only=["git"])) == ["shop", "puppet"]
    assert names(config.active(service, skip=["puppet"])) == ["graphite", "shop"]
    with pytest.raises(ConfigError, match=r"--skip: there is no source 'pupet' .did you mean 'puppet'"):
        config.active(service, skip=["pupet"])


def test_deploy_logs_default_to_every_source_that_knows_deploys_but_infrastructure(tmp_path: Path) -> None:
    config = read(tmp_path, BASE)
    assert names(config.deploy_logs(config.service())) == ["graphite", "shop"]
    text = (
        BASE
        + "  es: {type: elasticsearch, url: http://e}\n  es2: {type: elasticsearch, url: http://e, deploy_query: q}"
    )
    config = read(tmp_path, text)
    assert names(config.deploy_logs(config.service())) == ["graphite", "shop", "es2"]


def test_deploys_in_order_with_other_options(tmp_path: Path) -> None:
    text = BASE + "deploys: [shop, {source: graphite, deploy_tags: [release]}]\nservices: {a: {deploys: [shop]}, b: {}}"
    config = read(tmp_path, text)
    (_, shop), (_, graphite) = config.deploy_logs(config.service("b"))
    assert isinstance(graphite, Graphite)
    assert (shop.name, graphite.deploy_tags) == ("shop", ("release",))
    assert names(config.deploy_logs(config.service("a"))) == ["shop"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sorces: {}", "opsbrief.yaml:1:1: unknown option 'sorces' (did you mean 'sources'? options: version, "),
        ("version: 2", "version: must be one of 1, not '2'"),
        ("timezone: Europe/Berlinn", "there is no time zone 'Europe/Berlinn' (did you mean 'Europe/Berlin'?"),
        (
            "sources: {a: {type: graphit}}",
            "sources.a.type: there is no type 'graphit' (did you mean 'graphite'? known: ",
        ),
        ("sources: {a: {url: x}}", "opsbrief.yaml:1:14: sources.a: 'type' is missing (one of "),
        ("sources: {a: graphite}", "sources.a: must be a mapping, not a text (write {type: TYPE, …})"),
        ("sources: {a: {type: graphite}}", "sources.a: 'url' is missing (base URL"),
        ("sources: {'a b': {type: graphite}}", "'a b' is no name"),
        ("sources: [a]", "sources: must be a mapping of names, not a list"),
        (
            "sources: {g: {type: graphite, url: g.example}}",
            "sources.g.url: is not an http(s) URL: 'g.example' (it looks",
        ),
        ("sources: {g: {type: graphite, url: 'ftp://g'}}", "is not an http(s) URL"),
        ("sources: {g: {type: graphite, url: 'http://'}}", "is not an http(s) URL"),
        ("sources: {g: {type: graphite, url: https://u:p@h}}", "credentials in a URL end up in logs and briefs"),
        ("deploys: [x]", "opsbrief.yaml:1:11: deploys[0]: there is no source 'x' (known: none)"),
        ("deploys: x", "deploys: must be a list, not a text"),
        (BASE + "deploys: [{soruce: shop}]", "deploys[0]: 'source' is missing (write {source: NAME, …})"),
        (BASE + "deploys: [{source: shop, deploytags: x}]", "unknown option 'deploytags' (did you mean 'deploy_tags'?"),
        (BASE + "  w: {type: whisper, path: w}\ndeploys: [w]", "'w' (whisper) knows no deploys"),
        (
            BASE + "services: {s: {sources: [shpo]}}",
            "services.s.sources: there is no source 'shpo' (did you mean 'shop'",
        ),
        (BASE + "services: {s: {metrics: [{target: x, source: y}]}}", "services.s.metrics: there is no source 'y'"),
        (BASE + "services: {s: {deploys: [puppe]}}", "services.s.deploys: there is no deploy log 'puppe'"),
        ("services: {s: {metrics: [{name: x}]}}", "services.s.metrics[0]: 'target' is missing"),
        ("redact: {patterns: [{name: x, regex: '('}]}", "redact.patterns[0].regex: is no regular expression"),
        (
            "defaults: {baseline: last-weak}",
            "opsbrief.yaml:1:22: defaults.baseline: there is no baseline 'last-weak' (did you mean last-week?)",
        ),
        ("defaults: {baseline: [before, 'before:1s']}", "defaults.baseline[1]: 'before:1s' is no useful baseline"),
        ("defaults: {baseline: [none, before]}", "defaults: the baseline 'none' stands alone"),
        (
            "services: {s: {infrastructure: {freeze: fri-son}}}",
            "services.s.infrastructure.freeze: is no weekday and no span of them: 'fri-son' (write fri or fri-sun)",
        ),
        ("deliver: {mail: {smtp: h, sendmail: [s], from: a@b}}", "deliver.mail: give either smtp or sendmail"),
    ],
)
def test_mistakes_say_where_and_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = complaints(tmp_path, text)
    assert said in problem


def test_every_mistake_of_every_file_is_reported_in_order(tmp_path: Path) -> None:
    user = tmp_path / "xdg" / "opsbrief" / "config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("a: [")
    (tmp_path / "opsbrief.yaml").write_text(
        "timezone: Nowhere\nsources: {a: {type: graphite}, b: {type: git}}\nx: 1\nx: 2"
    )
    with pytest.raises(ConfigError) as caught:
        load(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path)
    places = [problem.where.rpartition("/")[2] for problem in caught.value.problems]
    assert places == ["config.yaml:2:1"] + [
        f"opsbrief.yaml:{place}" for place in ("1:11", "2:14", "2:35", "2:35", "3:1", "4:1")
    ]


def test_secrets_are_neither_fetched_by_reading_nor_by_showing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = (
        f"sources: {{g: {{type: graphite, url: http://g, auth: {{user: {{env: U}}, "
        f"password: {{command: [sh, -c, 'echo x >> {log}; echo pw']}}}}}}}}"
    )
    config = read(tmp_path, text, U="me", PATH=os.environ["PATH"])
    assert config.secrets() == ()
    assert not log.exists()
    graphite = config.sources["g"][1]
    assert isinstance(graphite, Graphite)
    assert graphite.auth.password
    assert graphite.auth.password.reveal() == "pw"
    assert config.secrets() == ("pw",)


def test_a_login_from_netrc_has_user_and_password(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine g.example login me password pw")
    netrc.chmod(0o600)
    text = "sources: {g: {type: graphite, url: http://g, auth: {netrc: g.example}}}"
    graphite = read(tmp_path, text, NETRC=str(netrc)).sources["g"][1]
    assert isinstance(graphite, Graphite)
    user, password = graphite.auth.user, graphite.auth.password
    assert not isinstance(user, str)
    assert password
    assert (user.reveal(), password.reveal()) == ("me", "pw")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize(
    "text",
    [
        "sources: {g: {type: graphite, url: http://g, auth: {bearer: {command: [x]}}}}",
        "sources: {d: {type: deploylog, command: [x]}}",
        "deliver: {mail: {sendmail: [x], from: a@example.com}}",
    ],
)
def test_a_file_that_others_can_write_may_name_no_command(tmp_path: Path, mode: int, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    path.chmod(0o600)
    load([path], {})
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"others can write .*c.yaml, and it names a command to run .chmod go-w"):
        load([path], {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_found_file_of_somebody_else_gets_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "opsbrief.yaml"
    path.write_text("sources: {g: {type: graphite, url: http://evil, auth: {bearer: {env: AWS_SECRET}}}}")
    os.chown(path, 12345, -1)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"belongs to somebody else .uid 12345. and names a secret .if you trust it"):
        load(None, env, tmp_path)
    assert load([path], env, tmp_path).sources


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_loads(path: Path) -> None:
    config = load([path], {"GRAPHITE_PASSWORD": "x"})
    for service in config.services.values():
        assert config.active(service)
        assert config.deploy_logs(service)


def test_there_are_examples() -> None:
    assert {path.parent.name for path in EXAMPLES} >= {"graphite-elasticsearch", "files", "cron"}
