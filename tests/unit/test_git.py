"""What git prints, as values: no repository needed."""

from datetime import UTC, datetime, timedelta

import pytest

from opsbrief.model.evidence import FileStat
from opsbrief.model.window import TimeKind
from opsbrief.readers.history import record, release
from opsbrief.readers.history.command import Tag
from opsbrief.sources.git import Git, Place
from opsbrief.sources.git import _touches as touches

T0 = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ONE, TWO = "1" * 40, "2" * 40
HEADER = f"commit {ONE}\0{TWO}\0Ada\x001795186800\x001795186860\0Subject\0".encode()


def drip(data: bytes, size: int) -> list[bytes]:
    return [data[index : index + size] for index in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_commits_are_read_however_the_bytes_arrive(size: int) -> None:
    entries = (
        b"\n:100644 100644 a b M\0a.txt\0:100644 100644 a b R090\0old\0new\0:000000 100644 0 b A\0b\nc\0"
        b"1\t2\ta.txt\x003\t0\t\0old\0new\0-\t-\tb\nc\0"
    )
    one, two = record.commits(drip(HEADER + entries + HEADER.replace(b"Subject", b"commit x"), size))
    assert (one.id, one.parents, one.author, one.subject) == (ONE, (TWO,), "Ada", "Subject")
    assert (one.authored_at, one.committed_at) == (T0, T0 + timedelta(minutes=1))
    assert one.files == (
        FileStat("a.txt", "M", 1, 2),
        FileStat("new", "R", 3, 0),
        FileStat("b c", "A", 0, 0, binary=True),
    )
    assert (two.subject, two.files) == ("commit x", ())


def test_a_path_that_looks_like_a_header_is_a_path() -> None:
    name = f"commit {TWO}".encode()
    (one,) = record.commits([HEADER + b"\n:000000 100644 0 b A\0" + name + b"\x001\t0\t" + name + b"\0"])
    assert one.files == (FileStat(name.decode(), "A", 1),)


def test_a_date_no_calendar_holds_is_no_reason_to_fail() -> None:
    (one,) = record.commits([HEADER.replace(b"1795186860", b"99999999999999999999")])
    assert one.committed_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_added_lines_are_capped_per_file_and_in_all() -> None:
    def part(name: str, count: int) -> bytes:
        head = f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -0,0 +1,{count} @@\n"
        return (head + "".join(f"+word {number}\n" for number in range(count))).encode()

    found, whole = record.additions([part("a", 5) + part("b", 5)], most=100, each=3)
    assert [(added.path, added.line) for added in found] == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]
    assert not whole
    assert len(record.additions([part("a", 50)], most=7, each=50)[0]) == 7
    assert record.additions([part("a", 50)], most=100, each=50)[1]


def test_lines_that_can_say_nothing_are_left_out_and_long_ones_cut() -> None:
    patch = (
        b"--- a/x\n+++ b/x\n@@ -1,0 +2,4 @@\n+}\n+  12, 34\n+\n+"
        + b"word" * 100_000
        + b"\n@@ -9 +13 @@\n-old\n+new one\n"
    )
    (long, short), whole = record.additions(drip(patch, 5000), most=9, each=9)
    assert whole
    assert (long.line, len(long.text) < 500) == (5, True)
    assert (short.line, short.text) == (13, "new one")


def test_a_deleted_file_adds_nothing_and_quoted_names_are_read() -> None:
    patch = (
        b'--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-bye now\n--- /dev/null\n+++ "b/t\\303\\244b\\tq\\"x"\n'
        b"@@ -0,0 +1 @@\n+hello\n"
        b"\\ No newline at end of file\n--- /dev/null\n+++ b/a b\t\n@@ -0,0 +1 @@\n+++ text\n"
    )
    found, _ = record.additions([patch], most=9, each=9)
    assert [(added.path, added.text) for added in found] == [('täb q"x', "hello"), ("a b", "++ text")]


@pytest.mark.parametrize(
    ("glob", "path", "wanted"),
    [
        ("manifests/shop/**", "manifests/shop/a/b.pp", True),
        ("manifests/shop/**", "manifests/shopping/a.pp", False),
        ("manifests/shop", "manifests/shop/a.pp", True),
        ("/manifests/", "manifests/a.pp", True),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "hosts/a.yaml", False),
        ("**/*.yaml", "hosts/x/a.yaml", True),
        ("**/*.yaml", "a.yaml", True),
        ("hosts/app?.yaml", "hosts/app1.yaml", True),
        ("hosts/app?.yaml", "hosts/app12.yaml", False),
        ("a.b", "aXb", False),
        ("**", "anything/at/all", True),
    ],
)
def test_globs_of_paths(glob: str, path: str, wanted: bool) -> None:  # noqa: FBT001 - what is expected
    assert touches(glob, [FileStat(path)]) is wanted


def tag(name: str, hours: float, commit: str = "") -> Tag:
    return Tag(name, commit or name, T0 + timedelta(hours=hours), annotated=True, subject="")


TAGS = [tag("v1", -90), tag("v2", -60), tag("v3", -30), tag("v4", 5)]
KNOWN = {one.name: release.Version(one.name, one.commit) for one in TAGS}


@pytest.mark.parametrize(
    ("head", "base", "wanted", "guesses"),
    [
        ("v3", "v1", ("v1", "v3"), 0),
        ("v3", "", ("v2", "v3"), 1),
        ("", "", ("v2", "v3"), 2),
        ("", "v1", ("v1", "v3"), 1),
        ("v4", "", ("v3", "v4"), 1),
        ("nope", "", ("v2", "v3"), 2),
    ],
)
def test_which_two_versions_are_compared(head: str, base: str, wanted: tuple[str, str], guesses: int) -> None:
    pair = release.choose(TAGS, T0, head, base, KNOWN.get)
    assert pair.base
    assert pair.head
    assert (pair.base.name, pair.head.name) == wanted
    assert len(pair.notes) == guesses
    assert pair.unknown == (("nope",) if head == "nope" else ())


def test_with_one_tag_there_is_nothing_to_compare() -> None:
    assert release.choose(TAGS[:1], T0, "", "", KNOWN.get).base is None
    assert release.choose([], T0, "", "", KNOWN.get).head is None


def test_two_tags_of_one_commit_are_one_version() -> None:
    tags = [tag("v1", -90), tag("v2-rc", -31, "v2"), tag("v2", -30, "v2")]
    pair = release.choose(tags, T0, "", "", lambda _: None)
    assert pair.base == release.Version("v1", "v1")


def test_a_source_is_a_value() -> None:
    paths = {"a/**": Place(services=("shop",))}
    one, other = (Git(name="x", path="/p", role="infrastructure", paths=paths) for _ in range(2))
    assert one == other
    assert one.role == "infrastructure"
    assert tag("v1", 0).time_kind is TimeKind.TAG_TIME
