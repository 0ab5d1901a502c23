import pytest
from tests.golden.renew import HERE, forms


@pytest.mark.parametrize("name", ["brief.txt", "brief.md", "brief.html", "findings.json"])
def test_the_story_reads_as_it_did(name: str) -> None:
    assert forms()[name] == (HERE / name).read_text(encoding="utf-8"), (
        "python -m tests.golden.renew, then read the diff"
    )
