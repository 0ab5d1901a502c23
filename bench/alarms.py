"""10,000 alarms from Icinga DB Web and 100,000 lines of Monit's log in one brief, beside download and search.

    python bench/alarms.py [--rounds 5] [--alarms 10000] [--lines 100000]

The site is a loopback server with baked answers in the form (and with all the empty objects) that Icinga DB Web 1.0
really sends, 5.5 kB a row, in pages of 1,000. Monit's log is of a process that hangs again and again: a failure is said
every few seconds until the restart. The floors are ``curl`` of the same pages and ``grep`` in the same file, which
know nothing of windows, hosts, transitions and repetitions.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from measure import goal, rounds, run, table

END = 1_795_186_800  # 2026-11-20T15:00:00Z
SINCE = END - 4 * 3600
PAGE = 1000
_EMPTY = {
    "comment": "comment_id environment_id endpoint_id object_type host_id service_id entry_time author removed_by"
    " comment entry_type is_persistent is_sticky expire_time remove_time has_been_removed",
    "downtime": "downtime_id environment_id endpoint_id triggered_by_id parent_id object_type host_id service_id"
    " entry_time author cancelled_by comment is_flexible flexible_duration scheduled_start_time scheduled_end_time"
    " start_time end_time has_been_cancelled trigger_time cancel_time",
    "flapping": "id environment_id endpoint_id object_type host_id service_id start_time end_time"
    " percent_state_change_start percent_state_change_end flapping_threshold_low flapping_threshold_high",
    "notification": "id environment_id endpoint_id object_type host_id service_id notification_id type send_time state"
    " previous_hard_state author text users_notified",
    "acknowledgement": "id environment_id endpoint_id object_type host_id service_id set_time clear_time author"
    " cleared_by comment expire_time is_sticky is_persistent",
}
_ID = "ef7db80c7833a75908f3b5b824fb8ab936b83bf2"
_IDS = "id environment_id name_checksum properties_checksum checkcommand_id check_timeperiod_id zone_id eventcommand_id"
_WORDS = (
    "display_name address address6 checkcommand_name check_timeperiod_name check_timeout check_interval notes"
    " check_retry_interval active_checks_enabled passive_checks_enabled event_handler_enabled notifications_enabled"
    " flapping_enabled perfdata_enabled eventcommand_name is_volatile icon_image_alt zone_name"
)
_OBJECT = {**dict.fromkeys(_IDS.split(), _ID), **dict.fromkeys(_WORDS.split(), "")}


def rows(count: int) -> list[tuple[float, bytes]]:
    """Return (time, row as JSON) of so many state changes, spread over the window, on 4 hosts and 50 checks."""
    empty = {name: dict.fromkeys(fields.split()) for name, fields in _EMPTY.items()}
    found = []
    for number in range(count):
        at = SINCE + number * (END - SINCE) / count
        state = str(2 * (number % 2))
        row = {
            "id": _ID, "environment_id": _ID, "endpoint_id": _ID, "object_type": "service", "host_id": _ID,
            "event_type": "state_change", "event_time": f"{at:.3f}",
            "host": {**_OBJECT, "name": f"app{number % 4 + 1}.shop.example"},
            "service": {**_OBJECT, "name": f"check-{number % 50}"},
            **empty,
            "state": {
                "id": _ID, "event_time": f"{at:.3f}", "state_type": "hard", "soft_state": state, "hard_state": state,
                "previous_soft_state": "0", "previous_hard_state": "0", "check_attempt": "1", "max_check_attempts": "3",
                "output": f"CRITICAL - Socket timeout after 10 s, {number} of 400 connections", "long_output": None,
            },
        }  # fmt: skip
        found.append((at, json.dumps(row).encode()))
    return found


def serve(count: int) -> None:
    """Answer as Icinga DB Web until the input ends; print the port."""
    history = rows(count)
    hosts = json.dumps([{"name": f"app{number}.shop.example"} for number in range(1, 5)]).encode()
    health = json.dumps([{"heartbeat": str(END + 10**9)}]).encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path)
            bounds = [int(found) for found in re.findall(r"event_time[<>]=(\d+)", path)]
            limit = int(found[1]) if (found := re.search(r"limit=(\d+)", path)) else 0
            body = hosts if "/hosts" in path else health if "/health" in path else b"[]"
            if bounds:
                inside = [row for at, row in history if bounds[0] <= at <= bounds[1]][:limit]
                body = b"[" + b",".join(inside) + b"]"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    print(server.server_port, flush=True)
    server.serve_forever()


def log(path: Path, count: int) -> None:
    """Write Monit's log: a hang every 20 lines, said again until the restart."""
    with path.open("w") as file:
        for number in range(count):
            at = datetime.fromtimestamp(SINCE + number * (END - SINCE) / count, UTC)
            step, said = (
                number % 20,
                "error    : 'app' failed protocol test [HTTP] at [127.0.0.1]:80/ [TCP/IP] -- timeout",
            )
            if step == 0:
                said = "warning  : 'app' failed protocol test [HTTP] at [127.0.0.1]:80/ [TCP/IP] -- timeout"
            elif step == 17:
                said = "info     : 'app' trying to restart"
            elif step >= 18:
                said = "info     : 'app' connection succeeded to [127.0.0.1]:80/ [TCP/IP]"
            file.write(f"[{at:%Y-%m-%dT%H:%M:%S}+0000] {said}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alarms", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.alarms)
        return
    arguments = [sys.executable, __file__, "--serve", "--alarms", str(options.alarms)]
    with tempfile.TemporaryDirectory() as name, subprocess.Popen(arguments, stdout=subprocess.PIPE) as site:
        try:
            compare(Path(name), options, f"http://127.0.0.1:{int((site.stdout or sys.stdin).readline())}")
        finally:
            site.kill()


def compare(room: Path, options: argparse.Namespace, url: str) -> None:
    """Let each way take its turn and print the table."""
    log(room / "monit.log", options.lines)
    icinga = f"icinga: {{type: icinga, url: '{url}', history: icingadb}}"
    monit = f"monit: {{type: monit, log: '{room / 'monit.log'}', host: app1}}"
    command = str(Path(sys.executable).with_name("opsbrief"))

    def brief(kind: str, *sources: str) -> list[str]:
        path = room / f"{kind}.yaml"
        path.write_text(
            "services: {shop: {hosts: [app1, app2, app3, app4]}}\nsources:\n  " + "\n  ".join(sources) + "\n"
        )
        since, until = (datetime.fromtimestamp(at, UTC).isoformat() for at in (SINCE, END))
        when = ["--since", since, "--until", until, "--baseline", "before:1h"]
        return [command, "--config", str(path), "collect", *when, "--format", "html", "-o", str(room / kind)]

    step = (END - SINCE) * PAGE / options.alarms
    pages = [f"{url}/icingadb/history?event_time>={int(SINCE + step * at)}&event_time<={int(SINCE + step * (at + 1))}"
             f"&limit={PAGE}" for at in range(options.alarms // PAGE)]  # fmt: skip
    ways = {
        "curl of the same alarms (floor)": ["curl", "-sg", *pages],
        "grep in the same log (floor)": [
            "grep",
            "-cE",
            "trying to restart|connection succeeded",
            str(room / "monit.log"),
        ],
        "collect, alarms of Icinga DB Web": brief("alarms", icinga),
        "collect, Monit's log": brief("log", monit),
        "collect, both": brief("both", icinga, monit),
    }
    rows_ = rounds({name: lambda argv=argv: run(argv, allow=(0, 3)) for name, argv in ways.items()}, options.rounds)
    print(f"{options.rounds} rounds, medians; {options.alarms:,} alarms, {options.lines:,} lines")
    table(rows_, "curl of the same alarms (floor)")
    goal("peak of the whole run, both", max(row["collect, both"].peak for row in rows_), 250, " MB")


if __name__ == "__main__":
    main()
