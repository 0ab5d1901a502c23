"""Log patterns beside drain3, in one run: grouping, novelty, speed, memory.

    uv run --with drain3 bench/patterns.py DATA_DIR [--lines 1000000] [--rounds 3]

DATA_DIR holds ``loghub2k/*.csv`` and ``ci-logs/*``. Without drain3 its columns stay empty. Speeds are CPU
seconds, interleaved round by round, medians; the ratio is the median of the per-round ratios.
"""

import argparse
import csv
import random
import re
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from opsbrief.maths.mining import Known, Miner, mask, settle

try:
    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig
except ImportError:  # the peer is measured where it is installed
    TemplateMiner = None

Lines = Sequence[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    systems = list(loghub(options.data / "loghub2k"))
    grouping(systems)
    injected(systems)
    console(options.data / "ci-logs")
    print(f"\nspeed, {options.lines:,} lines, {options.rounds} rounds (CPU seconds)")
    speed("synthetic, 400 templates", lambda: synthetic(options.lines), options.rounds)
    speed("loghub, digits redrawn", lambda: redrawn(systems, options.lines), options.rounds, cap=100_000)


def loghub(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (system, lines, ids of their true templates)."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        yield path.stem, [row["Content"] for row in rows], [row["EventId"] for row in rows]


def ours(lines: Lines) -> list[str]:
    keys = mask(lines)
    templates = settle(keys)
    return [templates[key] for key in keys]


def drain(lines: Lines) -> list[int]:
    miner = TemplateMiner(config=TemplateMinerConfig())
    return [miner.add_log_message(line)["cluster_id"] for line in lines]


def grouping(systems: Sequence[tuple[str, list[str], list[str]]]) -> None:
    """Print grouping accuracy by line (GA) and by template (FGA)."""
    print(f"grouping: {'GA':>22} {'FGA':>7}   drain3 {'GA':>6} {'FGA':>7}")
    rows = []
    for name, lines, truth in systems:
        peer = agreement(truth, drain(lines)) if TemplateMiner else (float("nan"), float("nan"))
        rows.append((*agreement(truth, ours(lines)), *peer))
        print(f"  {name:20} {rows[-1][0]:9.3f} {rows[-1][1]:7.3f}   {rows[-1][2]:13.3f} {rows[-1][3]:7.3f}")
    mean = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print(f"  {'mean':20} {mean[0]:9.3f} {mean[1]:7.3f}   {mean[2]:13.3f} {mean[3]:7.3f}")


def agreement(truth: Sequence[str], found: Sequence[object]) -> tuple[float, float]:
    """Return the share of lines in groups that are exactly a true group, and the F1 of groups."""
    wanted, got = groups(truth), groups(found)
    exact = [members for members in wanted if members in got]
    precision, recall = len(exact) / len(got), len(exact) / len(wanted)
    fga = 2 * precision * recall / (precision + recall) if exact else 0.0
    return sum(map(len, exact)) / len(truth), fga


def groups(labels: Sequence[object]) -> set[frozenset[int]]:
    members: dict[object, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        members[label].append(place)
    return {frozenset(each) for each in members.values()}


def injected(systems: Sequence[tuple[str, list[str], list[str]]]) -> None:
    """Hide five templates from the first 60 % of the lines; are they, and nothing else, news in the rest."""
    scores = []
    for _, lines, truth in systems:
        for seed in range(5):
            chance = random.Random(seed)
            hidden = set(chance.sample(sorted(set(truth)), min(5, len(set(truth)))))
            cut = int(0.6 * len(lines))
            old = [(line, id_) for line, id_ in zip(lines[:cut], truth[:cut], strict=True) if id_ not in hidden]
            rest = [(line, id_) for line, id_ in zip(lines[cut:], truth[cut:], strict=True) if id_ not in hidden]
            for id_ in sorted(hidden):
                rest += [(line, each) for line, each in zip(lines, truth, strict=True) if each == id_][:3]
            scores.append(novelty(old, rest))
    recall, precision, f1, false = (statistics.mean(column) for column in zip(*scores, strict=True))
    print(
        f"\ninjected templates, {len(scores)} runs: line recall {recall:.3f}, precision of patterns {precision:.3f}, ",
        end="",
    )
    print(f"F1 {f1:.3f}, false new patterns per 1000 lines {false:.2f}")


def novelty(old: Sequence[tuple[str, str]], rest: Sequence[tuple[str, str]]) -> tuple[float, float, float, float]:
    known, seen = Known(mask([line for line, _ in old])), {id_ for _, id_ in old}
    keys = mask([line for line, _ in rest])
    news = settle({key for key in keys if not known.covers(key)})
    wanted = [id_ not in seen for _, id_ in rest]
    hits = sum(want and key in news for want, key in zip(wanted, keys, strict=True))
    patterns: dict[str, bool] = {}
    for want, key in zip(wanted, keys, strict=True):
        if key in news:
            patterns[news[key]] = patterns.get(news[key], False) or want
    recall = hits / sum(wanted) if any(wanted) else 1.0
    precision = sum(patterns.values()) / len(patterns) if patterns else 1.0
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    return recall, precision, f1, 1000 * sum(not good for good in patterns.values()) / len(rest)


def console(folder: Path) -> None:
    """Real builds, good against bad: are the lines that explain the failure among the new ones."""
    print("\nbuild logs: expected lines found, of lines reported (of lines in all)")
    for case in sorted(path for path in folder.glob("*") if path.is_dir()):
        good, bad = (next(case.glob(f"*.{kind}")).read_text(errors="replace").splitlines() for kind in ("good", "fail"))
        wanted = expected(case / "inf.yaml")
        known = Known(mask(good))
        keys = mask(bad)
        new = [line for line, key in zip(bad, keys, strict=True) if not known.covers(key)]
        patterns = len(set(settle({key for key in keys if not known.covers(key)}).values()))
        found = sum(any(piece in line for line in new) for piece in wanted)
        print(f"  {case.name:20} {found}/{len(wanted)} of {len(new)} lines, {patterns} patterns ({len(bad)})")


def expected(path: Path) -> list[str]:
    """Return the lines a case names as anomalies."""
    lines = path.read_text().splitlines()
    return [after.strip() for line, after in pairwise(lines) if re.match(r"\s*- line: \|", line)]


def synthetic(count: int) -> Iterator[str]:
    """Yield lines of 400 templates, the first ones far more often than the last."""
    chance = random.Random(7)
    words = [
        f"{a}{b}" for a in ("open", "clos", "read", "writ", "send", "pool", "user") for b in ("ing", "ed", "er", "s")
    ]
    templates = [
        " ".join(chance.choices([*words, "{}", "id={}", "took {} ms"], k=chance.randint(6, 14))) for _ in range(400)
    ]
    weights = [1 / (place + 1) for place in range(400)]
    for template in chance.choices(templates, weights, k=count):
        yield template.format(*(chance.randrange(10**6) for _ in range(template.count("{}"))))


def redrawn(systems: Sequence[tuple[str, list[str], list[str]]], count: int) -> Iterator[str]:
    """Yield lines of the real systems with every run of digits drawn anew."""
    chance = random.Random(8)
    pool = [line for _, lines, _ in systems for line in lines]
    for line in chance.choices(pool, k=count):
        yield re.sub(r"\d+", lambda run: str(chance.randrange(10 ** len(run.group()))), line)


def speed(name: str, corpus: Callable[[], Iterator[str]], rounds: int, cap: int = 0) -> None:
    """Time both on the same lines; ``cap`` lines only for the peer where it would not come to an end."""
    lines = list(corpus())
    mine, peer, ratios = [], [], []
    for _ in range(rounds):
        mine.append(clock(lambda: counted(lines)))
        if TemplateMiner:
            part = lines[: cap or len(lines)]
            peer.append(clock(lambda part=part: drain(part)) * len(lines) / len(part))
            ratios.append(peer[-1] / mine[-1])
    rate = len(lines) / statistics.median(mine)
    beside = ""
    if ratios:
        scaled = f" (scaled up from {cap:,} lines)" if cap and cap < len(lines) else ""
        beside = f", drain3 {statistics.median(peer):.2f}{scaled}: {statistics.median(ratios):.1f} times faster"
    print(f"  {name}: {statistics.median(mine):.2f}, {rate:,.0f} lines/s{beside}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    miner = Miner()
    miner.add(corpus())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"    streamed: {len(miner.patterns())} patterns, {max(0, grown) / 1024:.0f} MB more at the peak")


def counted(lines: Lines) -> int:
    miner = Miner()
    miner.add(lines)
    return len(miner.patterns())


def clock(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main())
