"""The commands, all of them: each reads and none changes anything.

Counting is done there, by awk, so that a host with a hundred thousand sockets sends some lines. A command whose
first program fails ends with that program's status: what awk makes of nothing would read as zero.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

#: Every program that a part may start. A test holds the parts to it.
PROGRAMS = frozenset(
    {
        "awk", "cat", "cut", "date", "df", "dmesg", "free", "grep", "head", "journalctl", "ls", "nproc", "ps", "rpm",
        "sort", "ss", "systemctl", "tail", "uptime", "wc",
    }
)  # fmt: skip
_NAME = re.compile(r"[\w@./:+-]{1,64}\Z", re.ASCII)

_STATES = r"""
o=$(ss -Htan) || exit $?
printf '%s\n' "$o" | awk 'NF { n[$1]++ } END { for (k in n) print n[k], k }' | sort -k1,1nr -k2
"""

# Of ss -tan: state, two queues, own address, other address. A port that is listened on makes it a connection to us.
_SIDES = r"""
o=$(ss -Htan@) || exit $?
l=$(ss -Htln) || exit $?
printf '%s\n=\n%s\n' "$l" "$o" | awk '
$0 == "=" { seen = 1; next }
!seen { p = $4; sub(/.*:/, "", p); listen[p] = 1; next }
/^[A-Z]/ { state = $1; p = $4; sub(/.*:/, "", p); k = (p in listen) ? "in :" p : "out " $5 }
@' | sort -k1,1nr -k2,2nr -k3 | head -n 40
"""

_PEERS = r"""
state == "ESTAB" { n[k]++; all[k] = 1 }
state == "CLOSE-WAIT" { c[k]++; all[k] = 1 }
END { for (k in all) print n[k] + 0, c[k] + 0, k }
"""

_IDLE = r"""
/^[A-Z]/ || state != "ESTAB" { next }
{
  s = r = 0
  if (match($0, /lastsnd:[0-9]+/)) s = substr($0, RSTART + 8, RLENGTH - 8) + 0
  if (match($0, /lastrcv:[0-9]+/)) r = substr($0, RSTART + 8, RLENGTH - 8) + 0
  i = s < r ? s : r
  n[k]++
  if (i > 60000) a[k]++
  if (i > 300000) b[k]++
  if (i > m[k]) m[k] = i
}
END { for (k in n) print n[k], a[k] + 0, b[k] + 0, int(m[k] / 1000), k }
"""

# The service's own: of its processes, as far as these may be seen, and on its ports.
_OWN = r"""
r=@
for i in $p; do [ -r /proc/$i/fd ] && r="$r $i"; done
[ -n "$r" ] || { echo 'no process of it can be seen by this user: permission denied, or there is none' >&2; exit 1; }
o=$(ss -Htanp) || exit $?
l=$(ss -Htln) || exit $?
printf '%s\n=\n%s\n' "$l" "$o" | awk -v ports=" @ " -v pids=" $(echo $p) " '
$0 == "=" { seen = 1; next }
!seen { p = $4; sub(/.*:/, "", p); listen[p] = 1; next }
{
  p = $4; sub(/.*:/, "", p)
  k = (p in listen) ? "in :" p : "out " $5
  mine = index(ports, " " p " ")
  for (s = $0; !mine && match(s, /pid=[0-9]+/); s = substr(s, RSTART + RLENGTH))
    mine = index(pids, " " substr(s, RSTART + 4, RLENGTH - 4) " ")
  if (!mine) next
}
$1 == "ESTAB" { n[k]++; all[k] = 1 }
$1 == "CLOSE-WAIT" { c[k]++; all[k] = 1 }
END { for (k in all) print n[k] + 0, c[k] + 0, k }' | sort -k1,1nr -k2,2nr -k3 | head -n 40
"""

_OWNERS = r"""
o=$(ss -Htanp) || exit $?
printf '%s\n' "$o" | awk '
NF && $1 != "LISTEN" {
  k = "- -"
  if (match($0, /\(\("[^"]*",pid=[0-9]+/)) { k = substr($0, RSTART + 3, RLENGTH - 3); sub(/",pid=/, " ", k) }
  n[$1 " " k]++
}
END { for (k in n) print n[k], k }' | sort -k1,1nr -k2 | head -n 40
"""

# By name: our own programs have the names among their arguments, and with them this word.
_BY_NAME = r"""
p=$(ps -eo pid=,comm=,args= | awk -v names=@ -v opsbrief_looks=1 '
BEGIN { c = split(names, name, " ") }
!/opsbrief_looks/ { for (i = 1; i <= c; i++) if ($2 == name[i] || index($0, name[i])) { print $1; break } }')
[ -n "$p" ] || { echo 'no process of this name: not found' >&2; exit 1; }
"""

_BY_SOCKET = r"""
o=$(@) || exit $?
p=$(printf '%s\n' "$o" | grep -oE 'pid=[0-9]+' | cut -d= -f2 | awk '{ n[$1]++ } END { for (k in n) print n[k], k }' |
  sort -k1,1nr -k2 | awk '{ print $2 }')
"""

# A folder of descriptors that may not be read is told as -: counted, it would be 0.
_PROCESSES = r"""
[ -n "$p" ] || { echo 'no process of it can be seen by this user: permission denied, or there is none' >&2; exit 1; }
for i in $(printf '%s\n' $p | head -n 12); do
  [ -d /proc/$i ] || continue
  d=-; [ -r /proc/$i/fd ] && d=$(ls /proc/$i/fd | wc -l)
  l=$(awk '/^Max open files/ { print $4 }' /proc/$i/limits 2>/dev/null)
  set -- $(awk '/^Threads/ { t = $2 } /^VmRSS/ { r = $2 } END { print t + 0, r + 0 }' /proc/$i/status)
  e=$(ps -o etimes= -p $i 2>/dev/null)
  read -r c </proc/$i/comm
  echo $i $d ${l:--} $1 $2 ${e:--} "$c"
done
"""

_LARGEST = r"""
o=$(ps -eo pid,etimes,rss,nlwp,stat,comm --sort=-rss) || exit $?
printf '%s\n' "$o" | head -n 16
"""

_MEMORY = r"""
free -m || exit $?
for f in cpu io memory; do [ -r /proc/pressure/$f ] && echo $f $(head -n 1 /proc/pressure/$f); done
:
"""

_KERNEL = r"""
o=$(dmesg -T --level=emerg,alert,crit,err,warn) || exit $?
printf '%s\n' "$o" | tail -n 40
"""

# The offset of the host's time stands before its stamps, which have none; the newest line is the last one.
_PACKAGES = r"""
if [ -e /var/log/dpkg.log ]; then
  head -c 1 /var/log/dpkg.log >/dev/null || exit $?
  date +%z
  for f in /var/log/dpkg.log.1 /var/log/dpkg.log; do
    [ -r $f ] && grep -E '^[0-9-]+ [0-9:]+ (install|upgrade|remove|purge) ' $f
  done | tail -n 200
else
  o=$(rpm -qa --last) || exit $?
  date +%z
  printf '%s\n' "$o" | head -n 200 | awk '{ row[NR] = $0 } END { for (i = NR; i; i--) print row[i] }'
fi
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One command: what it answers, how a person would ask, what is really run, and whether it is asked twice."""

    about: str
    shown: str
    text: str
    again: bool = False


def named(process: str) -> bool:
    """Whether this may be the name of a process to look for."""
    return bool(_NAME.match(process))


def parts(since: datetime, until: datetime, ports: Sequence[int], processes: Sequence[str]) -> tuple[Part, ...]:
    """Return the parts for a window and what is known of the service."""
    journal = f"-p warning -n 100 --since @{since.timestamp():.0f} --until @{until.timestamp():.0f}"
    failed = "list-units --state=failed"
    of_idle = "ss -Htani, established: all, idle over 1 min, over 5 min, longest in s; by peer or own port"
    of_process = "of the service's processes: pid, descriptors, their limit, threads, rss in kB, age in s, name"
    own = "ss -Htanp, of the service: established, close-wait; by peer or own port"
    service = (Part("own", own, _own(ports, processes), again=True),) if ports or processes else ()
    return (
        *service,
        Part("sockets", "ss -Htan, counted by state", _STATES, again=True),
        Part("peers", "ss -Htan: established, close-wait; by peer or own port", _sides("", _PEERS), again=True),
        Part("sockstat", "cat /proc/net/sockstat", "cat /proc/net/sockstat", again=True),
        Part("idle", of_idle, _sides("i", _IDLE)),
        Part("owners", "ss -Htanp, counted by state and process", _OWNERS),
        Part("processes", of_process, _find(ports, processes) + _PROCESSES),
        Part("largest", "ps -eo pid,etimes,rss,nlwp,stat,comm --sort=-rss", _LARGEST),
        Part("memory", "free -m; head -n 1 /proc/pressure/*", _MEMORY),
        Part("load", "cat /proc/loadavg; uptime; nproc", "cat /proc/loadavg || exit $?; uptime; nproc"),
        Part("disk", "df -hlP", "df -hlP"),
        Part("units", f"systemctl {failed}", f"systemctl --no-pager --plain --no-legend {failed}"),
        Part("kernel", "dmesg -T --level=emerg,alert,crit,err,warn | tail -n 40", _KERNEL),
        Part("journal", f"journalctl {journal}", f"journalctl --no-pager -o short-iso {journal}"),
        Part("packages", "date +%z; tail -n 200 /var/log/dpkg.log, or rpm -qa --last", _PACKAGES),
    )


def _sides(option: str, count: str) -> str:
    first, second, last = _SIDES.split("@")
    return first + option + second + count + last


def _own(ports: Sequence[int], names: Sequence[str]) -> str:
    listed = " ".join(str(port) for port in ports)
    seen, known, last = _OWN.split("@")
    # Sockets on a port are seen by everybody: then no process needs to be.
    found = _find(ports, names)
    if ports:
        found = found.replace("exit 1", ":").replace("|| exit $?", "|| :")
    return found + seen + ("ports" if ports else "") + known + listed + last


def _find(ports: Sequence[int], names: Sequence[str]) -> str:
    """Return what finds the service's processes: by name, else by listening port, else those with most sockets."""
    if names:
        return _BY_NAME.replace("@", shlex.quote(" ".join(names)))
    which = " or ".join(f"sport = :{port}" for port in ports)
    return _BY_SOCKET.replace("@", f"ss -Htlnp '( {which} )'" if ports else "ss -Htanp")
