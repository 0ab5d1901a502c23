"""Packages that were changed, by Puppet or without it.

Puppet tells only of packages it manages; the package log of a host tells of all. A host whose log was not read is
no sign of a change and takes no verdict away, but it is said: what nobody looked at must not pass for ruled out.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo

from opsbrief import phrase
from opsbrief.analysis.alibi.ground import Ground, Part
from opsbrief.model.evidence import Reading
from opsbrief.model.finding import Verdict

_LOG = re.compile(r"dpkg\.log|apt/history\.log|\brpm\b.*--last|(?:yum|dnf(?:\.rpm)?)\.log|zypp/history")
_DPKG = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S{1,100}) (\S{1,80}) (\S{1,80})")
_RPM = re.compile(
    r"(\S{3,120})\s{1,80}(?:\w{3},? )?(\d{1,2} \w{3} \d{4} [\d:]{8}(?: [AP]M)?|\w{3} +\d{1,2} [\d:]{8} \d{4})"
)
_OFFSET = re.compile(r"([+-])([01]\d)([0-5]\d)")
_RPM_FORMS = ("%d %b %Y %I:%M:%S %p", "%d %b %Y %H:%M:%S", "%b %d %H:%M:%S %Y")

Installed = tuple[datetime, str]


def look(ground: Ground) -> Part:
    """Ask Puppet's Package resources, and the package logs of hosts where a source read them."""
    told = [c for c in ground.touched if c.ref.startswith("Package[") and c.state != "noop"]
    logs = [one for one in ground.evidence.items(Reading) if one.about == "packages" or _LOG.search(one.command)]
    zone = phrase.zone(ground.evidence.window.zone)
    found = [(log, entry) for log in logs if not log.about for entry in changes(log, zone) if ground.near(entry[0])]
    read = sorted({log.host for log in logs if log.exit_status == 0 and not log.state})
    lost = sorted({log.host for log in logs} - set(read))
    facts: dict[str, float | int | str | None] = {
        "packages_changed": len(told) + len(found),
        "package_logs": len(read),
    }
    basis = (*(c.id for c in told), *dict.fromkeys(log.id for log, _ in found))[:20]
    coverage = (
        *(f"package log of {phrase.listed(read)} read",) * bool(read),
        *(f"package log of {phrase.listed(lost)} could not be read",) * bool(lost),
        *("packages outside Puppet not looked at",) * (not logs),
    )
    if told or found:
        names = [f"{c.ref[8:-1]} on {phrase.listed(c.hosts)} {ground.clock(c.at)}" for c in told]
        names += [f"{name} on {log.host} {ground.clock(at)}" for log, (at, name) in found]
        said = f"{phrase.count(len(names), 'package')} changed: {phrase.listed(names, 1)}"
        return Part(
            kind="packages",
            verdict=Verdict.NOT_RULED_OUT,
            said=said,
            coverage=(f"packages: {phrase.listed(names, 6)}", *coverage),
            basis=basis,
            facts=facts,
        )
    if lost:
        said = f"package log of {phrase.listed(lost)} not read"
        return Part(kind="packages", verdict=Verdict.CANNOT_TELL, said=said, coverage=coverage, facts=facts)
    hosts = {*ground.evidence.scope.hosts, *ground.nodes}
    if read and hosts <= {ground.evidence.scope.host(name) for name in read}:
        said = "no package changed"
        return Part(kind="packages", verdict=Verdict.RULED_OUT, said=said, coverage=coverage, basis=basis, facts=facts)
    some = f"no package changed on {phrase.listed(read)}" if read else ""
    return Part(
        kind="packages",
        verdict=Verdict.CANNOT_TELL,
        said=some,
        coverage=(*((some,) if some else ()), *coverage),
        facts=facts,
        weighs=False,
    )


def changes(log: Reading, zone: tzinfo) -> Iterator[Installed]:
    """Yield (when, "openssl 1.0 → 1.1") of each entry of a package log.

    Its stamps are those of the offset that stands before them, else they are taken to be in ``zone``.
    """
    for text in log.stdout.splitlines():
        if match := _OFFSET.fullmatch(text.strip()):
            hours = timedelta(hours=int(match[2]), minutes=int(match[3]))
            zone = timezone(hours if match[1] == "+" else -hours)
        elif match := _DPKG.match(text):
            at, verb, name, old, new = match.groups()
            moved = f"{name.partition(':')[0]} {old} → {new}" if verb == "upgrade" else f"{name} {verb} {new}"
            if (when := _read(at, ("%Y-%m-%d %H:%M:%S",), zone)) is not None:
                yield when, moved
        elif (match := _RPM.match(text)) and (when := _read(match[2], _RPM_FORMS, zone)) is not None:
            yield when, match[1]


def _read(stamp: str, forms: tuple[str, ...], zone: tzinfo) -> datetime | None:
    for form in forms:
        try:
            return datetime.strptime(" ".join(stamp.split()), form).replace(tzinfo=zone)
        except ValueError:
            continue
    return None
