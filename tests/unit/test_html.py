import gzip
import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from tests.golden import story

from opsbrief.analysis import analyse
from opsbrief.compose import compose
from opsbrief.model.evidence import Evidence, Outcome, Series
from opsbrief.model.finding import Finding
from opsbrief.model.scope import Metric
from opsbrief.render import html, svg


@pytest.fixture(scope="module")
def page() -> str:
    return drawn(story.evidence(), story.findings())


def drawn(evidence: Evidence, findings: tuple[Finding, ...]) -> str:
    brief = compose(evidence, findings)
    return html.render(brief, {f.name: svg.draw(f.chart, f.name) for f in brief.figures()}, svg.CSS)


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|iframe|object|embed|img)\b", page)
    assert not re.search(r"""(src|action|url)\s*[=(]""", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {f"#{name}" for name in re.findall(r'href="#([^"]*)"', page)}


def test_headings_go_down_one_step_at_a_time(page: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_column_has_a_heading_with_its_scope(page: str) -> None:
    assert page.count("<th ") == page.count('<th scope="col"')
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        heads = table.count("<th ")
        assert all(row.count("<td") == heads for row in re.findall(r"<tr><td.*?</tr>", table, re.DOTALL))


def test_ids_are_unique_and_links_lead_to_them(page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_graphs_have_a_name_for_those_who_do_not_see_them(page: str) -> None:
    assert page.count("<svg") == page.count('role="img"') == 4
    assert 'aria-label="connections: 41.2 → 197 conn on 8 of 8 hosts' in page


def test_without_a_drawing_the_graph_is_text() -> None:
    page = html.render(compose(story.evidence(), story.findings()), {})
    assert "<svg" not in page
    assert re.search(r"<figure[^>]*>\n<pre>app\d", page)


def test_a_brief_of_30_panels_stays_within_400_kb_packed() -> None:
    panels = [f"panel {number}" for number in range(30)]
    rng = np.random.default_rng(1)
    made = [
        Series(
            name=f"{panel}.app{host}",
            start=int((story.START - story.BEFORE).timestamp()),
            step=60,
            values=rng.normal(100, 10, 1440).round(2),
            metric=panel,
            host=f"app{host}",
            origin=story.origin("graphite", panel),
            id=f"E{number * 4 + host}",
        )
        for number, panel in enumerate(panels)
        for host in range(1, 5)
    ]
    whole = story.evidence()
    evidence = replace(
        whole,
        window=replace(whole.window, end=whole.window.start + timedelta(hours=20)),
        scope=replace(whole.scope, metrics=tuple(Metric(target=panel, name=panel) for panel in panels)),
        outcomes=(Outcome(source="graphite", type="graphite", items=tuple(made)),),
    )
    page = drawn(evidence, analyse(evidence))
    assert page.count("<svg") == 30
    assert len(gzip.compress(page.encode())) <= 400_000
