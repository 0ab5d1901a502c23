"""What a real Capistrano writes down, read as deploys."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.system import capistrano
from tests.system.conftest import absent
from tests.system.graphite import MissingError

from opsbrief.model.evidence import Gap
from opsbrief.model.window import Deploy, TimeKind
from opsbrief.sources.deploylog import DeployLines
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system


def second() -> None:
    """Wait for the next second: releases are called by it."""
    time.sleep(1.05 - time.time() % 1)


def test_deploys_and_rollbacks_of_a_real_capistrano_have_their_times(tmp_path: Path) -> None:
    try:
        cap = capistrano.project(tmp_path)
    except MissingError as missing:
        absent("capistrano", missing)
    began = datetime.now(UTC).replace(microsecond=0)
    ends: list[datetime] = []
    steps = [
        ("deploy", "v1.0.0"),
        ("deploy", "v2.0.0"),
        ("deploy:rollback", ""),
        ("deploy", "main"),
        ("deploy:rollback", ""),
    ]
    for task, branch in steps:
        cap.run(task, branch or "main", zone="America/St_Johns")
        ends.append(datetime.now(UTC))
        second()
    log = DeployLines(name="cap", path=str(cap.log), zone="America/St_Johns")
    found = list(log.deploys(began, ends[-1] + timedelta(hours=1), Deadline(20)))
    assert not [one for one in found if isinstance(one, Gap)]
    deploys = [one for one in found if isinstance(one, Deploy)]
    assert [(one.ref, one.rollback, one.time_kind) for one in deploys] == [
        ("v1.0.0", False, TimeKind.DEPLOY_START),
        ("v2.0.0", False, TimeKind.DEPLOY_START),
        ("v1.0.0", True, TimeKind.DEPLOY_END),
        (cap.commits["v3.0.0"], False, TimeKind.DEPLOY_START),
        ("v1.0.0", True, TimeKind.DEPLOY_END),
    ]
    starts = [began, *ends]
    for deploy, start, end in zip(deploys, starts, ends, strict=False):
        assert start.replace(microsecond=0) <= deploy.at <= end
    assert not [one for one in deploys if "ada" in one.note]  # who deployed is not told
