"""Ten read-only commands on one host: both ways of opsbrief beside a warm control socket of OpenSSH, a command each.

    .venv/bin/python bench/ssh.py [ROUNDS]

The sshd is that of the tests, on loopback. Wall time, for most of the work is that of the server and of the remote
shells, and ratios within a round, because the machine is busy. The floor starts its ten ``ssh`` processes one after
the other over a connection that was open before; opsbrief opens its own in every turn.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.system import sshd as sshd_server

from opsbrief.source import Ssh
from opsbrief.transport.deadline import Deadline

COMMANDS = (
    "ss -s", "cat /proc/net/sockstat", "ss -Htan", "cat /proc/loadavg", "uptime", "free -m", "df -hlP",
    "ps -eo pid,etimes,rss,nlwp,stat,comm", "cat /proc/meminfo", "id",
)  # fmt: skip
HOST = "127.0.0.1"
GOAL = 1.5


def script(server: sshd_server.Sshd, via: str) -> None:
    """Connect and run all ten as one script: what the source ssh does."""
    with Ssh(**server.options(via=via)).open(HOST, Deadline(60)) as shell:
        if shell.script("; ".join(COMMANDS), seconds=30).status:
            raise SystemExit("a command failed")


def each(server: sshd_server.Sshd, via: str) -> None:
    """Connect once and run the ten one by one."""
    with Ssh(**server.options(via=via)).open(HOST, Deadline(60)) as shell:
        for command in COMMANDS:
            if shell.run(command.split()).status:
                raise SystemExit(f"{command} failed")


def warm(argv: list[str]) -> None:
    for command in COMMANDS:
        subprocess.run([*argv, command], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def timed(way: Callable[[], None]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def main() -> None:
    """Let every way take its turn, and print medians and ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with sshd_server.running() as server, tempfile.TemporaryDirectory() as room:
        options = [
            "-F", "/dev/null", "-i", str(server.key), "-o", f"UserKnownHostsFile={server.known_hosts}", "-o",
            "IdentitiesOnly=yes", "-p", str(server.port), "-l", sshd_server.USER, "-o", f"ControlPath={room}/s",
        ]  # fmt: skip
        master = subprocess.Popen(["ssh", *options, "-M", "-N", HOST], stdin=subprocess.DEVNULL)
        while not (Path(room) / "s").exists():
            time.sleep(0.01)
        argv = ["ssh", *options, HOST]
        ways: dict[str, Callable[[], None]] = {
            "warm control socket, ten commands": lambda: warm(argv),
            "openssh, one script, with connecting": lambda: script(server, "openssh"),
            "paramiko, one script, with connecting": lambda: script(server, "paramiko"),
            "openssh, ten commands, with connecting": lambda: each(server, "openssh"),
            "paramiko, ten commands, with connecting": lambda: each(server, "paramiko"),
        }
        rows = [{name: timed(way) for name, way in ways.items()} for _ in range(count + 1)][1:]
        master.terminate()
        master.wait()
    floor = next(iter(ways))
    print(f"{'':44} {'wall ms':>8} {'x floor':>8}")
    for name in ways:
        ratio = statistics.median(row[name] / row[floor] for row in rows)
        print(f"{name:44} {statistics.median(row[name] for row in rows) * 1000:8.0f} {ratio:8.2f}")
        if "one script" in name:
            print(f"{'reached' if ratio <= GOAL else 'MISSED '}  {name}: {ratio:.2f} x (goal: at most {GOAL} x)")


if __name__ == "__main__":
    main()
