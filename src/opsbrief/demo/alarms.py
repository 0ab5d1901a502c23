"""What watched the story: Monit on each server, and the monitoring that asks for its connections every minute."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path

from opsbrief.demo import story

WARNING, CRITICAL = 300, 380  # connections
_ATTEMPTS = 3  # checks in a row until a state is hard
_FAILED = (
    "'shop' failed protocol test [HTTP] at [127.0.0.1]:8080/health [TCP/IP] -- "
    "HTTP: Error receiving data -- Resource temporarily unavailable"
)
_STATES = ("OK", "WARNING", "CRITICAL")


def write(folder: Path, end: datetime, fixed: timedelta = story.NEVER) -> None:
    """Write ``monit/HOST.log`` and ``icinga.log``; both begin the day before."""
    begin = end - 2 * story.AGE - timedelta(hours=24) - fixed
    (folder / "monit").mkdir(parents=True)
    for host, times in story.restarts(end, fixed).items():
        said = [(begin, "info", "Starting Monit 5.33.0 daemon with http interface at [localhost]:2812")]
        said += [entry for at in times for entry in _restart(at)]
        (folder / "monit" / f"{host}.log").write_text(
            "".join(f"[{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S+0000}] {level:<8} : {text}\n" for at, level, text in said),
            encoding="utf-8",
        )
    minutes = story.minutes(end)
    lines = [(begin.timestamp(), "Icinga 2.13.6 starting... (PID=811)")]
    for number, (host, found) in enumerate(story.leaks(end, fixed).items()):
        asked = (minutes + 7 * number).tolist()  # not every server at the same second
        lines += _alerts(host, asked, found.connections.tolist(), begin.timestamp())
    text = "".join(f"[{at:.0f}] {said}\n" for at, said in sorted(lines))
    (folder / "icinga.log").write_text(text, encoding="utf-8")


def _restart(at: datetime) -> Iterator[tuple[datetime, str, str]]:
    """Yield what Monit writes when a check fails twice: it restarts, and the next check passes."""
    for seconds, level, text in (
        (5, "warning", _FAILED),
        (20, "error", _FAILED),
        (20, "info", "'shop' trying to restart"),
        (20, "info", "'shop' stop: '/usr/bin/systemctl stop shop'"),
        (22, "info", "'shop' start: '/usr/bin/systemctl start shop'"),
        (95, "info", "'shop' connection succeeded to [127.0.0.1]:8080/health [TCP/IP]"),
    ):
        yield at + timedelta(seconds=seconds), level, text


def _alerts(host: str, times: Sequence[int], values: Sequence[float], begin: float) -> Iterator[tuple[float, str]]:
    """Yield the changes of state as the log has them: a problem is hard at its third result."""
    now = attempt = 0
    for at, value in zip(times, values, strict=True):
        if at < begin or isnan(value):  # a server that starts again gives no figure: the check asks later
            continue
        state = int(value >= WARNING) + int(value >= CRITICAL)
        if state == now and (not state or attempt == _ATTEMPTS):
            continue
        hard = attempt == _ATTEMPTS if not state else attempt >= _ATTEMPTS - 1
        now, attempt = state, min(attempt + 1, _ATTEMPTS) if state else 0
        kind = "HARD" if hard else "SOFT"
        yield (
            at,
            f"SERVICE ALERT: {host};connections;{_STATES[state]};{kind};1;{_STATES[state]} - {value:.0f} established",
        )
