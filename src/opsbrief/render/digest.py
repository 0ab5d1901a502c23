"""JSON of a digest for machines: digest.json in its folder, and the list of what is in there."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opsbrief.codec import encode, stamp
from opsbrief.model.artifact import Artifact
from opsbrief.model.brief import Brief
from opsbrief.model.digest import Digest, Episode, Report, release_key

WEEKLY = "opsbrief.weekly/1"
FOLDER = "opsbrief.digest/1"


def artifact(digest: Digest, brief: Brief) -> Artifact:
    """Return digest.json: every service with its releases, findings and gaps."""
    return Artifact("digest.json", "application/json", _written(data(digest, brief)))


def data(digest: Digest, brief: Brief) -> dict[str, object]:
    """Return the document. Times are RFC 3339 in UTC; a number that is not there is null or absent, never 0."""
    period = digest.period
    return {
        "format": WEEKLY,
        "version": digest.version,
        "period": {
            "name": period.name,
            "start": stamp(period.start),
            "end": stamp(digest.end),
            "whole": digest.end == period.end,
            "compared_seconds": period.before.total_seconds(),
            "zone": period.zone,
        },
        "collected_at": stamp(digest.now),
        "headline": brief.headline,
        "pager": brief.pager,
        "services": [_service(digest, report) for report in digest.reports],
        "notes": list(digest.notes),
    }


def manifest(digest: Digest, content: Sequence[Artifact]) -> Artifact:
    """Return manifest.json, by which the folder is known as one that opsbrief wrote."""
    files = [
        {
            "name": one.name,
            "type": one.media_type,
            "size": len(one.data),
            "digest": f"sha256:{hashlib.sha256(one.data).hexdigest()}",
        }
        for one in content
    ]
    made = {"format": FOLDER, "version": digest.version, "period": digest.period.name, "files": files}
    return Artifact("manifest.json", "application/json", _written(made))


def _service(digest: Digest, report: Report) -> dict[str, object]:
    return {
        "service": report.service,
        "releases": [_release(digest, report, one) for one in report.episodes],
        "failed": [encode(one) for one in report.failed],
        "releases_before": report.earlier,
        "compared": [encode(one) for one in report.comparison],
        "changes": [encode(replace(one, author="")) for one in report.changes],
        "infrastructure_read": report.watched,
        "gaps": [encode(gap) for gap in report.missing],
        "error": report.error,
    }


def _release(digest: Digest, report: Report, one: Episode) -> dict[str, object]:
    return {
        **encode(replace(one, figure=None, gaps=())),
        "told_in": digest.before(report.service, release_key(one.deploy)) or None,
    }


def _written(document: Mapping[str, object]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    return f"{text}\n".encode("utf-8", "backslashreplace")
