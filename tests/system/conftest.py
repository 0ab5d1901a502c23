"""Real servers, each started at most once in a test run."""

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.system import elastic
from tests.system import exim as exim_server
from tests.system import graphite as graphite_servers
from tests.system import prometheus as prometheus_server
from tests.system import puppetdb as puppetdb_server
from tests.system import sshd as sshd_server

_AHEAD = pytest.StashKey[puppetdb_server.Ahead]()


def absent(server: str, reason: object) -> None:
    """Skip because a server cannot be had, or fail where it was declared indispensable."""
    required = os.environ.get("OPSBRIEF_REQUIRE", "").replace(",", " ").split()
    if "all" in required or server in required:
        pytest.fail(f"{server} is required: {reason}", pytrace=False)
    pytest.skip(f"{server}: {reason}")


@pytest.fixture(scope="session")
def graphite() -> Iterator[graphite_servers.Graphite]:
    """Return a running Graphite."""
    try:
        graphite_servers.install()
    except graphite_servers.MissingError as missing:
        absent("graphite", missing)
    with graphite_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def victoria() -> Iterator[graphite_servers.Victoria]:
    """Return a running VictoriaMetrics."""
    try:
        graphite_servers.victoria()
    except graphite_servers.MissingError as missing:
        absent("victoria", missing)
    with graphite_servers.running_victoria() as server:
        yield server


@pytest.fixture(scope="session")
def es7() -> Iterator[elastic.Server]:
    """Return Elasticsearch 7.17 that asks for a password."""
    yield from elastic.offered("es7")


@pytest.fixture(scope="session")
def es8() -> Iterator[elastic.Server]:
    """Return Elasticsearch 8.19, open."""
    yield from elastic.offered("es8")


@pytest.fixture(scope="session")
def os2() -> Iterator[elastic.Server]:
    """Return OpenSearch 2.19 behind TLS with its own CA and a password."""
    yield from elastic.offered("os2")


@pytest.fixture(scope="session")
def git() -> str:
    """Return the path of the git binary."""
    if not (found := shutil.which("git")):
        absent("git", "it is not installed")
    return str(found)


@pytest.fixture(scope="session")
def exim() -> Iterator[exim_server.Exim]:
    """Return a running Exim."""
    try:
        exim_server.install()
    except exim_server.MissingError as missing:
        absent("exim", missing)
    with exim_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def prometheus() -> Iterator[prometheus_server.Prometheus]:
    """Return a running Prometheus with the history of its story."""
    try:
        prometheus_server.install()
    except prometheus_server.MissingError as missing:
        absent("prometheus", missing)
    with prometheus_server.running(prometheus_server.story()) as server:
        yield server


@pytest.fixture(scope="session")
def sshd() -> Iterator[sshd_server.Sshd]:
    """Return a running sshd."""
    try:
        sshd_server.install()
    except sshd_server.MissingError as missing:
        absent("sshd", missing)
    with sshd_server.running() as server:
        yield server


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start PuppetDB beside the first of these tests where another one needs it: it takes longest of all."""
    session = item.session
    wanted = {name for one in session.items for name in getattr(one, "fixturenames", ())}
    if "puppetdb" in wanted and _AHEAD not in session.stash:
        session.stash[_AHEAD] = puppetdb_server.Ahead(crowd="crowd" in wanted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop what was started ahead."""
    if _AHEAD in session.stash:
        session.stash[_AHEAD].stop()


@pytest.fixture(scope="session")
def puppetdb(request: pytest.FixtureRequest) -> puppetdb_server.PuppetDb:
    """Return a running PuppetDB."""
    try:
        return request.session.stash[_AHEAD].server()
    except (puppetdb_server.MissingError, OSError, RuntimeError) as missing:
        absent("puppetdb", missing)
        raise


@pytest.fixture(scope="session")
def crowd(puppetdb: puppetdb_server.PuppetDb) -> puppetdb_server.PuppetDb:
    """Return the PuppetDB with a thousand reports of twenty nodes in it."""
    puppetdb.settle(puppetdb_server.CROWD)
    return puppetdb
