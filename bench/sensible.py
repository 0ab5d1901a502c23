"""The script a sensible engineer writes in an afternoon: requests, eight threads, matplotlib, one regex a line.

    python bench/sensible.py URL REPOSITORY FOLDER

The peer that ``bench/brief.py`` measures opsbrief against: the same panels, lines and commits, one HTML page with
a PNG for each panel, the patterns of the lines before and after the release, and the commits.
"""

import base64
import html
import io
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import requests
from matplotlib.figure import Figure
from peer import END, FIRST, HOSTS, PANELS, SINCE, name

mpl.use("Agg")
_TOKEN = re.compile(r"\S*\d\S*")


def panel(session: requests.Session, url: str, number: int) -> list[dict[str, Any]]:
    form = [("target", name(number, host)) for host in range(HOSTS)]
    form += [("from", str(FIRST - 1)), ("until", str(END - 1)), ("format", "json")]
    found: list[dict[str, Any]] = session.post(f"{url}/render", data=form, timeout=30).json()
    return found


def lines(session: requests.Session, url: str, begin: int, end: int) -> list[str]:
    span = {"range": {"@timestamp": {"gte": begin * 1000, "lt": end * 1000, "format": "epoch_millis"}}}
    body = {"size": 10_000, "query": {"bool": {"filter": [span]}}}
    found = session.post(f"{url}/logs/_search", json=body, timeout=30).json()
    return [hit["_source"]["message"] for hit in found["hits"]["hits"]]


def patterns(found: list[str]) -> Counter[str]:
    return Counter(_TOKEN.sub("<*>", line) for line in found)


def image(rows: list[dict[str, Any]], number: int) -> str:
    figure = Figure(figsize=(10, 4), dpi=100)
    axes = figure.add_subplot()
    for row in rows:
        values = np.array([point[0] for point in row["datapoints"]], dtype=float)
        times = np.array([point[1] for point in row["datapoints"]], dtype="datetime64[s]")
        axes.plot(times, values, lw=1, label=row["target"])
    axes.axvline(np.datetime64(SINCE, "s"), color="k")
    axes.set_title(f"panel {number}")
    axes.grid(visible=True)
    axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return base64.b64encode(out.getvalue()).decode()


def main() -> None:
    url, repository, folder = sys.argv[1:]
    log = ["git", "-C", repository, "log", f"--since={FIRST}", f"--until={END}", "--numstat", "--format=%H %cI %s"]
    with requests.Session() as session, ThreadPoolExecutor(8) as pool:
        history = subprocess.Popen(log, stdout=subprocess.PIPE, text=True)
        panels = pool.map(lambda number: panel(session, url, number), range(PANELS))
        spans = [pool.submit(lines, session, url, *span) for span in ((FIRST, SINCE), (SINCE, END))]
        before, after = (patterns(each.result()) for each in spans)
        images = [image(rows, number) for number, rows in enumerate(panels)]
        commits = history.communicate()[0]
    new = "\n".join(f"{count} {text}" for text, count in after.most_common() if text not in before)
    pictures = "".join(f'<img src="data:image/png;base64,{data}">' for data in images)
    page = f"<h1>brief</h1>{pictures}<pre>{html.escape(new)}</pre><pre>{html.escape(commits)}</pre>"
    (Path(folder) / "brief.html").write_text(page)


if __name__ == "__main__":
    main()
