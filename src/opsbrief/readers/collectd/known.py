"""What the types of collectd are: data sources, counters or levels, units, which way is worse.

A table of our own about the types that the standard plugins use; a test holds it against the ``types.db`` of a
real collectd. What is not in it has no unit and no direction here, which is said nowhere else either.
"""

from dataclasses import dataclass
from typing import Final, Literal

from opsbrief.readers.collectd.identity import Identity

Worse = Literal["up", "down", "either"]

VALUE: Final = ("value",)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of collectd."""

    counter: bool  # it only grows, and what is told of it is its rate per second
    unit: str  # of the level, or of the rate
    worse: Worse
    parts: tuple[str, ...]  # its data sources


# type, level or counter, unit (of a counter: per second), worse, data sources; "-": none.
_TABLE: Final = """
apache_bytes         counter  B/s       -
apache_connections   level    conn      up
apache_idle_workers  level    -         down
apache_requests      counter  req/s     -
apache_scoreboard    level    -         -
bytes                level    B         -
cache_size           level    B         -
connections          counter  conn/s    -
conntrack            level    conn      up
contextswitch        counter  /s        up
count                level    -         -
counter              counter  /s        -
cpu                  counter  jiffies/s -
cpufreq              level    Hz        -
current_connections  level    conn      up
delay                level    s         up
derive               counter  /s        -
df                   level    B         -      used free
df_complex           level    B         -
df_inodes            level    -         -
disk_io_time         counter  ms/s      up     io_time weighted_io_time
disk_merged          counter  /s        -      read write
disk_octets          counter  B/s       -      read write
disk_ops             counter  ops/s     -      read write
disk_time            counter  ms/s      up     read write
duration             level    s         up     seconds
entropy              level    -         -
errors               counter  /s        up
file_handles         level    -         up
file_size            level    B         -
files                level    -         -
fork_rate            counter  /s        up
gauge                level    -         -
http_requests        counter  req/s     -
http_response_codes  counter  /s        -
if_collisions        counter  /s        up
if_dropped           counter  /s        up     rx tx
if_errors            counter  /s        up     rx tx
if_multicast         counter  /s        -
if_octets            counter  B/s       -      rx tx
if_packets           counter  /s        -      rx tx
invocations          counter  /s        -
io_octets            counter  B/s       -      rx tx
io_ops               counter  ops/s     -      read write
io_packets           counter  /s        -      rx tx
irq                  counter  /s        -
latency              level    s         up
load                 level    -         up     shortterm midterm longterm
memcached_connections level   conn      up
memory               level    B         -
nginx_connections    level    conn      up
nginx_requests       counter  req/s     -
operations           counter  ops/s     -
packets              counter  /s        -
pending_operations   level    -         up
percent              level    %         -
percent_bytes        level    %         -
percent_inodes       level    %         -
pg_numbackends       level    conn      up
ping                 level    ms        up
ping_droprate        level    -         up
ping_stddev          level    ms        up
protocol_counter     counter  /s        -
ps_code              level    B         -
ps_count             level    -         up     processes threads
ps_cputime           counter  us/s      up     user syst
ps_data              level    B         up
ps_disk_octets       counter  B/s       -      read write
ps_disk_ops          counter  ops/s     -      read write
ps_pagefaults        counter  /s        -      minflt majflt
ps_rss               level    B         up
ps_stacksize         level    B         up
ps_state             level    -         -
ps_vm                level    B         up
queue_length         level    -         up
response_time        level    ms        up
swap                 level    B         -
swap_io              counter  /s        up
tcp_connections      level    conn      up
temperature          level    C         up
threads              level    -         up
time_offset          level    s         -
total_requests       counter  req/s     -
total_time_in_ms     counter  ms/s      up
uptime               level    s         -
users                level    -         -
vmpage_action        counter  /s        -
vmpage_faults        counter  /s        -      minflt majflt
vmpage_io            counter  /s        -      in out
vmpage_number        level    -         -
"""


def _read(row: str) -> tuple[str, Kind]:
    name, form, unit, worse, *parts = row.split()
    way: Worse = "up" if worse == "up" else "down" if worse == "down" else "either"
    return name, Kind(form == "counter", "" if unit == "-" else unit, way, tuple(parts) or VALUE)


TYPES: Final = dict(_read(row) for row in _TABLE.strip().splitlines())

#: The types of plugins whose instances may be named like a type (a file system called "memory").
PLUGINS: Final = {
    "contextswitch": {"contextswitch"},
    "cpu": {"cpu", "percent", "count"},
    "df": {"df_complex", "percent_bytes", "percent_inodes", "df_inodes", "df"},
    "disk": {"disk_io_time", "disk_merged", "disk_octets", "disk_ops", "disk_time", "pending_operations"},
    "entropy": {"entropy"},
    "fhcount": {"file_handles", "percent"},
    "interface": {"if_dropped", "if_errors", "if_octets", "if_packets"},
    "irq": {"irq"},
    "load": {"load"},
    "memory": {"memory", "percent"},
    "processes": {name for name in TYPES if name.startswith(("ps_", "io_", "fork", "file_handles", "contextswitch"))},
    "protocols": {"protocol_counter"},
    "swap": {"swap", "swap_io", "percent"},
    "tcpconns": {"tcp_connections"},
    "uptime": {"uptime"},
    "users": {"users"},
    "vmem": {name for name in TYPES if name.startswith("vmpage_")},
}  # fmt: skip

_LEVELS = frozenset({"cpu", "percent", "percent_bytes", "percent_inodes", "memory", "swap", "df_complex", "df_inodes",
                     "file_handles", "ps_state"})  # fmt: skip
_FULLER = frozenset(
    {"used", "user", "system", "wait", "steal", "interrupt", "softirq", "blocked", "zombies", "running"}
)
_EMPTIER = frozenset({"free", "idle", "unused"})
_FAULTS = ("Errors", "Errs", "Drops", "Overflows", "RetransSegs", "Fail", "Fails", "Failures", "AbortOn", "Discards")


def unit(what: Identity) -> str:
    """Return the unit of a metric; empty where it has none or none is known."""
    kind = TYPES.get(what.type)
    return kind.unit if kind else ""


def told(what: Identity) -> bool:
    """Whether the table has the type, and so its data sources."""
    return what.type in TYPES


def parts(what: Identity) -> tuple[str, ...]:
    """Return the data sources of a metric's type; of one nobody knows, the usual one."""
    kind = TYPES.get(what.type)
    return kind.parts if kind else VALUE


def counter(what: Identity) -> bool:
    """Whether collectd counts it up, so that only its rate says something."""
    kind = TYPES.get(what.type)
    return bool(kind and kind.counter)


def worse(what: Identity) -> Worse:
    """Return which direction is bad: of some types their instance tells, memory-used or memory-free."""
    if what.type in _LEVELS or (what.type == "df" and what.part):
        word = (what.type_instance or what.part).rpartition("-")[2]
        return "up" if word in _FULLER else "down" if word in _EMPTIER else "either"
    if what.type == "protocol_counter":
        return "up" if any(fault in what.type_instance for fault in _FAULTS) else "either"
    kind = TYPES.get(what.type)
    return kind.worse if kind else "either"


#: Plugins of which hundreds of series move all the time and tell little about a service.
NOISE: Final = frozenset({
    "battery", "buddyinfo", "cpufreq", "cpusleep", "entropy", "ethstat", "hugepages", "irq", "ntpd", "chrony", "numa",
    "protocols", "sensors", "serial", "thermal", "time", "turbostat", "uptime", "users", "uuid", "vmem", "wireless",
})  # fmt: skip
