"""What Puppet did in the story: nothing. Each server's agent asks every half an hour and finds all as it should be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbrief.demo import story

EVERY = timedelta(minutes=30)
_TOOK = 9.4  # seconds a run takes
_REPORT = """\
--- !ruby/object:Puppet::Transaction::Report
host: {host}
time: '{at}'
configuration_version: {version}
transaction_uuid: {host}-{number}
report_format: 12
puppet_version: 7.23.0
status: unchanged
transaction_completed: true
noop: false
noop_pending: false
environment: production
logs: []
metrics:
  resources: !ruby/object:Puppet::Util::Metric
    name: resources
    label: Resources
    values: [[total, Total, 118], [changed, Changed, 0], [failed, Failed, 0], [out_of_sync, Out of sync, 0]]
  time: !ruby/object:Puppet::Util::Metric
    name: time
    label: Time
    values: [[fact_generation, Fact generation, 3.1], [total, Total, {took}]]
resource_statuses: {{}}
corrective_change: false
cached_catalog_status: not_used
"""


def write(folder: Path, end: datetime, version: str, fixed: timedelta = story.NEVER) -> None:
    """Write the store of the Puppet server as it keeps it: ``NODE/YYYYMMDDHHMM.yaml``, back to an hour before all."""
    begin = end - 2 * story.AGE - fixed - timedelta(hours=1)
    for number, host in enumerate(story.HOSTS):
        place = folder / host
        place.mkdir(parents=True)
        at = begin + number * EVERY / len(story.HOSTS)  # each at a minute of its own
        while at + timedelta(seconds=_TOOK) < end:
            stamp = at.astimezone(UTC)
            report = _REPORT.format(
                host=host, at=f"{stamp:%Y-%m-%dT%H:%M:%S.%f000+00:00}", version=version, took=_TOOK,
                number=int(stamp.timestamp()),
            )  # fmt: skip
            (place / f"{stamp:%Y%m%d%H%M}.yaml").write_text(report, encoding="utf-8")
            at += EVERY
