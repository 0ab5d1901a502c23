"""Write the whole story into a folder, with the configuration that reads it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from opsbrief.demo import alarms, logs, reports, repos, story, whisper
from opsbrief.errors import OpsbriefError
from opsbrief.transport.deadline import Deadline

CONFIG = """\
# The configuration of the demo; a real one looks the same. 'opsbrief config schema' tells editors what may stand here.
timezone: Europe/Berlin

sources:
  graphite: {type: whisper, path: whisper}              # or: {type: graphite, url: https://graphite.example}
  logs:     {type: logfile, path: "logs/*.log*", host: '([a-z0-9]+)\\.log', zone: UTC}   # or: elasticsearch
  puppet:   {type: git, path: repos/puppet, role: infrastructure}
  agents:   {type: puppetreport, path: "reports/*/*.yaml"}                              # or: puppetdb
  shop:     {type: git, path: repos/shop, role: application, deploy_tags: "v*"}
  deploylog: {type: deploylog, path: deploy.log}
  monit:    {type: monit, log: "monit/*.log", host: '([a-z0-9]+)\\.log'}                # or: url: http://{host}:2812
  icinga:   {type: nagioslog, path: icinga.log}         # or: {type: icinga, url: https://icinga.example/icingaweb2}

deploys: [deploylog, shop]

services:
  shop:
    hosts: "app{1..8}"
    metrics:
      - name: connections
        target: "collectd.{host}.tcpconns-8080-local.tcp_connections-ESTABLISHED"
        worse: up
        unit: conn
        limit: 400
        key: true
      - {name: p95, target: stats.timers.shop.upper_95, worse: up, unit: ms, impact: true}
      - {name: http 5xx, target: stats.shop.http_5xx, worse: up, unit: /min, impact: true}
      - {name: requests, target: stats.shop.requests, unit: /min}
      - {name: the rest of the hosts, target: "collectd.{host}.*.*", rank: true}      # the wide net
      - {name: the rest below, target: "collectd.{host}.*.*.*", rank: true}
      - {name: other hosts, target: "collectd.batch*.tcpconns-8080-local.*", rank: true}
    infrastructure: {freeze: fri-sun}

defaults: {out: briefs}
"""


def build(folder: Path, end: datetime, fixed: timedelta = story.NEVER) -> Path:
    """Write the story that ends at ``end`` into ``folder`` (which must be new or empty); return its opsbrief.yaml.

    With ``fixed`` it goes on for so long after a fix, 2.14.1; it is then the first brief's until ``end - fixed``.
    Raises OpsbriefError when the folder is not empty or git is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OpsbriefError(f"{folder} is not empty", "name another folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    end = end.astimezone(UTC)
    start = int(story.minutes(end)[0])
    for name, values in story.series(end, fixed):
        path = folder / "whisper" / f"{name.replace('.', '/')}.wsp"
        path.parent.mkdir(parents=True, exist_ok=True)
        whisper.write(path, [(story.STEP, len(values) + 60)], start, story.STEP, np.asarray(values))
    logs.write(folder / "logs", end, fixed)
    alarms.write(folder, end, fixed)
    version = repos.write(folder / "repos", end, Deadline(60), fixed)
    reports.write(folder / "reports", end, version, fixed)
    (folder / "deploy.log").write_text(_deploys(end, fixed), encoding="utf-8")
    config = folder / "opsbrief.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return config


def _deploys(end: datetime, fixed: timedelta) -> str:
    release, repaired = story.released(end, fixed), story.repaired(end, fixed)
    rows = [
        (release - timedelta(days=10), "2.13.1", "shop 2.13.1 to 8 hosts"),
        (release - timedelta(days=3), "2.13.2", "shop 2.13.2 to 8 hosts"),
        (release, "2.14.0", "shop 2.14.0 to 8 hosts"),
    ]
    if repaired:
        rows.append((repaired, "2.14.1", "shop 2.14.1 to 8 hosts"))
    return "".join(f"{at.isoformat(timespec='seconds')}\t{ref}\t{text}\n" for at, ref, text in rows)
