"""The analysis on public cases with known answers, beside three usual rules, in one run.

    uv run bench/analysis.py DATA_DIR [--seeds 30] [--first-seed 1000]

Shapes: alarms on changed and unchanged series, kinds named, onsets. Nezha: culprit services found in real
faults four minutes old, and series flagged when nothing happened. RCD and PetShop: rank of the culprit
(AC@k, ties broken at random). Speed: many series through the two stages.
"""

import argparse
import csv
import importlib.util
import json
import math
import statistics
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from opsbrief.maths.screen import promising
from opsbrief.maths.study import Study, study

Array = npt.NDArray[np.float64]
Rule = Callable[[Array, int], bool]

_KINDS = {
    **dict.fromkeys(("step1.5", "step3", "step6", "delayed_step", "errors_appear"), "step"),
    "ramp": "ramp",
    "leak_restart": "sawtooth",
    "variance": "noisier",
    "transient": "spike",
    "drop_zero": "drop",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=1000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # columns without data make empty medians in the peers' rules
    shapes(options.data, options.first_seed, options.seeds)
    nezha(options.data / "nezha")
    ranking("RCD sock-shop (metric)", rcd(options.data / "rcd-sockshop"))
    ranking("RCD sock-shop (service)", rcd(options.data / "rcd-sockshop", services=True))
    ranking("PetShop (service)", petshop(options.data / "petshop"))
    speed()


def ours(values: Array, split: int) -> bool:
    return study(values, split, 0).changed


def median_shift(values: Array, split: int) -> bool:
    before, after = halves(values, split)
    if len(before) < 3 or not len(after):
        return False
    low, high = np.quantile(before, (0.25, 0.75))
    return bool(abs(np.median(after) - np.median(before)) > 1.5 * max(high - low, 1e-12))


def three_sigma(values: Array, split: int) -> bool:
    before, after = halves(values, split)
    return bool(len(before) > 2 and len(after) and np.abs(after - before.mean()).max() > 3 * before.std() + 1e-12)


def mann_whitney(values: Array, split: int) -> bool:
    """Return p < .02, as Kayenta's judge asks by default (normal approximation with ties)."""
    before, after = halves(values, split)
    one, two = len(before), len(after)
    if one < 3 or two < 3:
        return False
    both = np.concatenate((before, after))
    _, place, sizes = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    ties = float((sizes**3 - sizes).sum()) / ((one + two) * (one + two - 1))
    scale = math.sqrt(max(one * two / 12 * (one + two + 1 - ties), 1e-12))
    return bool(abs(ranks[one:].sum() - two * (one + two + 1) / 2) / scale > 2.326)


RULES: Mapping[str, Rule] = {
    "opsbrief": ours,
    "median shift > 1.5 IQR": median_shift,
    "Mann-Whitney 98 %": mann_whitney,
    "3 sigma": three_sigma,
}


def halves(values: Array, split: int) -> tuple[Array, Array]:
    before, after = values[:split], values[split:]
    return before[np.isfinite(before)], after[np.isfinite(after)]


def shapes(data: Path, first: int, seeds: int) -> None:
    """Print the ops-shape suite."""
    suite = module(data / "shapes.py")
    hits: dict[str, dict[str, list[bool]]] = {name: defaultdict(list) for name in RULES}
    named: dict[str, Counter[str]] = defaultdict(Counter)
    onsets: dict[str, list[float]] = defaultdict(list)
    for shape in suite.SHAPES:
        for seed in range(first, first + seeds):
            case = suite.series(shape, seed)
            values = np.array([math.nan if value is None else value for value in case["v"]])
            for name, rule in RULES.items():
                hits[name][shape].append(rule(values, case["t0"]))
            result = study(values, case["t0"], 0)
            if shape in _KINDS:
                named[shape][result.form.shape if result.form else "-"] += 1
            if result.form and case["onset"] is not None:
                onsets[shape].append(abs(result.form.onset - case["onset"]))
    print(f"shapes, {seeds} seeds from {first}: told changed, of changed / of unchanged series")
    for name, rates in hits.items():
        changed = [hit for shape, found in rates.items() if shape in _KINDS for hit in found]
        still = [hit for shape, found in rates.items() if shape not in _KINDS for hit in found]
        print(f"  {name:24} {statistics.mean(changed):.3f} / {statistics.mean(still):.3f}")
    for shape, kinds in named.items():
        right = kinds[_KINDS[shape]] / kinds.total()
        error = f"{statistics.median(onsets[shape]):.1f}" if onsets[shape] else "-"
        print(f"  {shape:14} named right {right:.2f}, onset off by {error} samples (median), {dict(kinds)}")
    right = sum(kinds[_KINDS[shape]] for shape, kinds in named.items())
    print(f"  kind named right in all: {right / sum(kinds.total() for kinds in named.values()):.3f}")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be loaded")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def nezha(folder: Path) -> None:
    """Print recall on real faults (60 minutes before, 4 after) and flags in quiet hours (60 before, 30 after)."""
    flagged: dict[str, list[bool]] = defaultdict(list)
    short: dict[str, list[bool]] = defaultdict(list)
    found: dict[str, list[bool]] = defaultdict(list)
    for path in sorted(folder.glob("*-metrics.csv")):
        names, at, values = wide(path)
        faults = json.loads(path.with_name(path.name.replace("-metrics.csv", "-faults.json")).read_text())
        minutes = [
            (np.datetime64(fault["inject_time"].replace(" ", "T")) - at[0]) / np.timedelta64(1, "m") for fault in faults
        ]
        for fault, minute in zip(faults, minutes, strict=True):
            place = int(np.ceil(minute))
            low = max(0, place - 60)
            if place - low < 10 or place + 3 > values.shape[1]:
                continue
            rows = [row for name, row in zip(names, values, strict=True) if name.startswith(f"{fault['service']}|")]
            for name, rule in RULES.items():
                found[name].append(any(rule(row[low : place + 4], place - low) for row in rows))
        for place in range(int(minutes[-1]) + 70, values.shape[1] - 30, 15):
            for row in values:
                if np.isfinite(row[place - 60 : place + 30]).sum() < 10:
                    continue
                for name, rule in RULES.items():
                    flagged[name].append(rule(row[place - 60 : place + 30], 60))
                    short[name].append(rule(row[place - 60 : place + 4], 60))
    print("\nNezha: quiet series flagged (30 minutes after; 4 minutes after) / culprit service flagged")
    for name in RULES:
        quiet, brief, hit = (statistics.mean(each[name]) for each in (flagged, short, found))
        print(f"  {name:24} {quiet:.4f}; {brief:.4f} / {hit:.3f} of {len(found[name])}")


def wide(path: Path) -> tuple[list[str], npt.NDArray[np.datetime64], Array]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    values = np.array([[float(cell) if cell else math.nan for cell in row[1:]] for row in rows[1:]]).T
    return rows[0][1:], np.array([np.datetime64(row[0]) for row in rows[1:]]), values


Case = tuple[str, Mapping[str, str], Mapping[str, Array], int]  # culprit, series -> what is ranked, values, split


def rcd(folder: Path, *, services: bool = False) -> Iterator[Case]:
    for path in sorted(folder.glob("*/*/normal.csv")):
        culprit = path.parent.parent.name.replace("-", "_")
        before, after = table(path), table(path.with_name("anomalous.csv"))
        series = {
            name: np.concatenate((before[name], after[name])) for name in before if name in after and name != "time"
        }
        of = {name: name.rpartition("_")[0] if services else name for name in series}
        service, _, metric = path.parent.parent.name.rpartition("-")
        culprit = service if services else f"{service}_{metric}"
        yield culprit, of, series, len(next(iter(before.values())))


def table(path: Path) -> dict[str, Array]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    columns = zip(*rows[1:], strict=True)
    return {
        name: np.array([float(cell) if cell else math.nan for cell in column])
        for name, column in zip(rows[0], columns, strict=True)
    }


def petshop(folder: Path) -> Iterator[Case]:
    for traffic in sorted(path for path in folder.iterdir() if path.is_dir()):
        names, normal = issue(traffic / "noissue" / "metrics.csv")
        for case in sorted(traffic.glob("*/issue_*")):
            other, values = issue(case / "metrics.csv")
            culprit = json.loads((case / "target.json").read_text())["root_cause"]["node"]
            late = dict(zip(other, values, strict=True))
            series = {
                "|".join(name): np.concatenate((row, late[name]))
                for name, row in zip(names, normal, strict=True)
                if name in late and np.isfinite(late[name]).any()
            }
            yield culprit, {key: key.partition("|")[0] for key in series}, series, normal.shape[1]


def issue(path: Path) -> tuple[list[tuple[str, ...]], Array]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    body = [row for row in rows[4:] if row]
    names = list(zip(*(row[1:] for row in rows[:3]), strict=True))
    values = np.array([[float(cell) if cell else math.nan for cell in row[1:]] for row in body]).T
    return names, values


def ranking(name: str, cases: Iterator[Case]) -> None:
    """Print AC@1, 3, 5 of the culprit, expected over random orders of ties."""
    tops: dict[int, list[float]] = {1: [], 3: [], 5: []}
    started, count = time.process_time(), 0
    for culprit, of, series, split in cases:
        best: dict[str, float] = {}
        for key, values in series.items():
            best[of[key]] = max(best.get(of[key], -1.0), telling(study(values, split, 0)))
        mine = best.get(culprit, -1.0)
        above, same = (
            sum(score > mine for score in best.values()),
            max(1, sum(score == mine for score in best.values())),
        )
        for top, hits in tops.items():
            hits.append(min(1.0, max(0.0, (top - above) / same)) if culprit in best else 0.0)
        count += len(series)
    spent = time.process_time() - started
    shown = " ".join(f"@{top} {statistics.mean(hits):.3f}" for top, hits in tops.items())
    print(f"\n{name}, {len(tops[1])} cases: AC{shown}, {1000 * spent / count:.2f} ms a series")


def telling(result: Study) -> float:
    """Return what series are ordered by."""
    return result.weight if result.told else 0.0


def speed(count: int = 2000, points: int = 1440) -> None:
    """Time the two stages on many series of which one in a hundred changes."""
    chance = np.random.default_rng(3)
    block = 50 + chance.normal(0, 3, (count, points)) + np.sin(np.arange(points) / 230)
    block[::100, points // 2 :] += 12
    rounds = []
    for _ in range(5):
        started = time.process_time()
        chosen = promising(list(block), points // 2, 0)
        found = [place for place in chosen if study(block[place], points // 2, 0).changed]
        rounds.append(time.process_time() - started)
    planted = len(set(found) & set(range(0, count, 100)))
    print(
        f"\n{count} series of {points} points: {statistics.median(rounds):.2f} s CPU, {len(chosen)} looked at, ",
        end="",
    )
    print(f"{planted} of {count // 100} planted shifts found, {len(found) - planted} others")


if __name__ == "__main__":
    sys.exit(main())
