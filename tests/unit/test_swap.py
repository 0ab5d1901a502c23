"""A folder takes the place of another: whoever looks sees the old one or the new one."""

import threading
from pathlib import Path

import pytest

from opsbrief import bundle
from opsbrief.bundle.swap import swap
from opsbrief.errors import BundleError
from opsbrief.model.artifact import Artifact


def content(text: str) -> list[Artifact]:
    return [
        Artifact("brief.txt", "text/plain", text.encode()),
        Artifact("manifest.json", "application/json", b"{}"),
    ]


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    swap(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "name").read_text() == "b"
    assert (tmp_path / "b" / "name").read_text() == "a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_not_there_cannot_be_exchanged(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "a", tmp_path / "b")


def test_a_reader_never_misses_the_folder_while_it_is_renewed(tmp_path: Path) -> None:
    bundle.write(tmp_path, "week", content("0"), renew=True)
    stop, missed, seen = threading.Event(), [], set()

    def look() -> None:
        while not stop.is_set():
            try:
                seen.add((tmp_path / "week" / "brief.txt").read_text())
            except OSError as error:
                missed.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1, 30):
        bundle.write(tmp_path, "week", content(str(number)), renew=True)
    stop.set()
    reader.join()
    assert missed == []
    assert len(seen) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["week"]


@pytest.mark.parametrize("taken", ["folder", "file", "link"])
def test_what_somebody_else_put_there_is_never_replaced(tmp_path: Path, taken: str) -> None:
    target, out = tmp_path / "out" / "week", tmp_path / "out"
    out.mkdir()
    if taken == "folder":
        target.mkdir()
        (target / "thesis.tex").write_text("years of work")
    elif taken == "file":
        target.write_text("years of work")
    else:
        bundle.write(tmp_path / "elsewhere", "week", content("theirs"))
        target.symlink_to(tmp_path / "elsewhere" / "week")
    with pytest.raises(BundleError, match="not written by opsbrief"):
        bundle.write(out, "week", content("mine"), renew=True)
    assert [path.name for path in out.iterdir()] == ["week"]
    if taken == "folder":
        assert (target / "thesis.tex").read_text() == "years of work"
