from dataclasses import replace

import pytest
from tests.unit.evidence_of import commit, evidence, outcome

from opsbrief.analysis import analyse
from opsbrief.analysis.thresholds import Moved, read
from opsbrief.model.evidence import Edit
from opsbrief.readers.history.record import edits

PATCH = b"""diff --git a/icinga2/conf.d/app.conf b/icinga2/conf.d/app.conf
index 1..2 100644
--- a/icinga2/conf.d/app.conf
+++ b/icinga2/conf.d/app.conf
@@ -12,2 +12,2 @@ object
-  vars.http_connections_wgreater = 300
-  vars.password = "hunter1"
+  vars.http_connections_wgreater = 400
+  vars.password = "hunter2"
@@ -30 +30,2 @@
-  a = 1
+  a = 2
+  b = 3
@@ -40 +41 @@
-  address = "10.0.0.1"
+  address = "10.0.0.2"
"""


def test_only_lines_that_differ_in_a_number_are_kept() -> None:
    old, new = (f"vars.http_connections_wgreater = {limit}" for limit in (300, 400))
    assert edits([PATCH[:99], PATCH[99:]], most=9) == (Edit("icinga2/conf.d/app.conf", 12, old, new),)
    assert edits([PATCH], most=0) == ()


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("vars.http_connections_wgreater = 300", "vars.http_connections_wgreater = 400",
         Moved("http_connections_wgreater", "300", "400")),
        ("check_command check_nrpe!check_conn!300!400", "check_command check_nrpe!check_conn!350!400",
         Moved("check_conn", "300", "350")),
        ("if totalmem > 400 MB for 3 cycles then restart", "if totalmem > 250 MB for 3 cycles then restart",
         Moved("totalmem", "400 MB", "250 MB")),
        ("expr: http_connections > 300", "expr: http_connections > 400", Moved("http_connections", "300", "400")),
        ("monit::connections::limit: 400", "monit::connections::limit: 250",
         Moved("monit::connections::limit", "400", "250")),
        ("command[check_load]=check_load -w 5 -c 10", "command[check_load]=check_load -w 5 -c 20",
         Moved("check_load -c", "10", "20")),
        ("if space usage > 80% then alert", "if space usage > 90% then alert", Moved("usage", "80%", "90%")),
        ("port = 8080", "port = 8081", None),
        ("# limit 3", "# limit 4", None),
        ("limit: 300", "limit: 300", None),
        ("max_clients: 300 # was 1", "max_clients: 300", None),
        ("> 300", "> 400", Moved("app.conf", "300", "400")),
    ],
)  # fmt: skip
def test_a_threshold_is_told_by_its_name(old: str, new: str, moved: Moved | None) -> None:
    assert read(Edit("conf.d/app.conf", 1, old, new)) == moved


def test_a_threshold_stands_in_the_timeline_with_its_commit_and_source() -> None:
    line = Edit("conf.d/app.conf", 12, "vars.conn_warn = 300", "vars.conn_warn = 400")
    first, again = (replace(commit(at, ref=ref), edits=(line,)) for at, ref in ((-10, "9f3c2e1"), (20, "feed123")))
    early = replace(commit(-500, ref="abcd123"), edits=(line,))
    found = analyse(evidence(outcome("manifests", "git", again, first, early, role="infrastructure")))
    (told,) = (one for one in found if one.code == "threshold")
    assert told.headline == "threshold of conn_warn changed 300 → 400 at 14:50 by commit 9f3c2e1"
    assert told.detail == "conf.d/app.conf:12: vars.conn_warn = 400"
    (entry,) = (one for one in found if one.code == "timeline" and one.subject == "threshold")
    assert "conn_warn 300 → 400" in entry.headline
    assert entry.facts["source"] == "puppet"
