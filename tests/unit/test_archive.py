"""Bundles in one file, whole and hostile."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.test_bundle import NOW, evidence

from opsbrief import bundle
from opsbrief.errors import BundleError
from opsbrief.model.artifact import Artifact

CONTENT = bundle.files(evidence(), [Artifact("brief.md", "text/markdown", b"# x"), Artifact("graphs/a.png", "x", b"p")])
Members = list[tuple[str, bytes]]


def plain() -> Members:
    return [(artifact.name, artifact.data) for artifact in CONTENT]


def zipped(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_a_packed_bundle_reads_like_the_folder(tmp_path: Path, form: str) -> None:
    folder = bundle.write(tmp_path, "b", CONTENT)
    packed = bundle.write(tmp_path, "b", CONTENT, form=form)
    assert packed.name == f"b.{form}"
    assert packed.stat().st_mode & 0o777 == 0o600
    with bundle.opened(folder) as one, bundle.opened(packed) as other:
        assert one.names() == other.names()
        assert [one.get(name) for name in one.names()] == [other.get(name) for name in other.names()]
    assert bundle.read(folder).collected_at == bundle.read(packed).collected_at == NOW
    assert {path.name for path in tmp_path.iterdir()} == {"b", f"b.{form}"}


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_packing_twice_gives_the_same_bytes_beside_the_first(tmp_path: Path, form: str) -> None:
    first = bundle.write(tmp_path, "b", CONTENT, form=form)
    second = bundle.write(tmp_path, "b", [*reversed(CONTENT)], form=form)
    assert second.name == f"b-2.{form}"
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("root", ["", "./", "opsbrief-shop/", "./opsbrief-shop/"])
def test_what_people_pack_themselves_is_read(tmp_path: Path, make: Callable[[Path, Members], Path], root: str) -> None:
    path = make(tmp_path / "any.name", [(root + name, data) for name, data in plain()])
    assert len(bundle.read(path).outcomes) == 2


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("../../etc/cron.d/x", b""), "leads out of its folder"),
        (("/etc/passwd", b""), "leads out of its folder"),
        (("evidence/../../x", b""), "leads out of its folder"),
        (("a\\..\\x", b""), "leads out of its folder"),
        (("a\x1b[31m", b""), "leads out of its folder"),
        (("x" * 300, b""), "leads out of its folder"),
        (("brief.md", b"other"), "twice"),
        (("./brief.md", b"other"), "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_opsbrief_never_writes_refuses_the_whole(
    tmp_path: Path, make: Callable[[Path, Members], Path], more: tuple[str, bytes], message: str
) -> None:
    path = make(tmp_path / "x", [*plain(), more])
    with pytest.raises(BundleError, match=message) as caught:
        bundle.read(path)
    assert "\x1b" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tgz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(BundleError, match=r"manifest\.json is a link"):
        bundle.read(path)


def test_a_link_in_a_zip_or_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("manifest.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(BundleError, match=r"manifest\.json is a link"):
        bundle.read(path)
    folder = bundle.write(tmp_path, "b", CONTENT)
    (folder / "evidence" / "extra").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="extra is a link"):
        bundle.read(folder)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.read(folder)


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("evidence/x", "w") as member:
        for _ in range(200):
            member.write(bytes(1 << 20))


def _tar_bomb(path: Path) -> None:
    with gzip.open(path, "wb") as packed:
        entry = tarfile.TarInfo("evidence/x")
        entry.size = 200 << 20
        packed.write(entry.tobuf())
        for _ in range(200):
            packed.write(bytes(1 << 20))


def _long_header(path: Path) -> None:
    """Write an extended header that claims and brings 200 MiB."""
    with gzip.open(path, "wb") as packed:
        entry = tarfile.TarInfo("././@PaxHeader")
        entry.type, entry.size = tarfile.XHDTYPE, 200 << 20
        packed.write(entry.tobuf())
        for _ in range(200):
            packed.write(bytes(1 << 20))


def _sparse(path: Path) -> None:
    """Write a file of gigabytes without a byte of data."""
    entry = tarfile.TarInfo("manifest.json")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 0
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"%011o\0" % (1 << 33)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(gzip.compress(bytes(block) + bytes(1024)))


def _many(path: Path) -> None:
    path = zipped(path, [(f"{n}", b"") for n in range(3000)])


def _many_in_tar(path: Path) -> None:
    tarred(path, [(f"{n}", b"") for n in range(3000)])


def _long_list(path: Path) -> None:
    """Write a zip whose list of members claims 4 GiB."""
    zipped(path, plain())
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, len(data) - 22 + 12, 0xFFFFFFF0)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_zip_bomb, "would become more"),
        (_tar_bomb, "would become more"),
        (_long_header, "would become more"),
        (_sparse, "no plain file"),
        (_many, "more than 2,000 files"),
        (_many_in_tar, "more than 2,000 files"),
        (_long_list, "more than 2,000 files"),
    ],
)
def test_bombs_are_refused_before_they_fill_the_memory(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "x"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=message):
            bundle.read(path)
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_a_truncated_archive_is_one_sentence_wherever_it_ends(tmp_path: Path, form: str) -> None:
    whole = bundle.pack("b", CONTENT, form)
    path = tmp_path / "x"
    for end in [0, 1, 3, 10, *range(20, len(whole), 97), len(whole) - 9, len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(BundleError, match=r"broken|no bundle|not read"):
            bundle.read(path)


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_a_flipped_byte_never_ends_in_a_traceback(tmp_path: Path, form: str) -> None:
    whole = bytearray(bundle.pack("b", CONTENT, form))
    path = tmp_path / "x"
    for at in range(0, len(whole), 31):
        whole[at] ^= 0x5A
        path.write_bytes(whole)
        whole[at] ^= 0x5A
        with suppress(BundleError):  # a flip in a time or a name of a member does not matter
            bundle.read(path)


def test_other_files_are_named_as_what_they_are_not(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(BundleError, match="neither a folder nor"):
        bundle.read(path)


def test_text_that_opsbrief_would_not_have_kept_is_made_visible(tmp_path: Path) -> None:
    members = [(name, data.replace(b'"body":"a', b'"body":"\\u001b[31m\xe2\x80\xae')) for name, data in plain()]
    (sample,) = (item for item in bundle.read(zipped(tmp_path / "x", members)).outcomes[0].items if item.id == "E3")
    assert sample.records[0].body == "\\x1b[31m\\u202e\nb"  # type: ignore[union-attr] # reason: E3 is a sample


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("evidence/series.jsonl", b'"points":3', b'"points":300000000'),
        ("evidence/series.jsonl", b'"offset":0', b'"offset":-9'),
        ("evidence/series.npy", b"(3,)", b"(9999999999,)"),
        ("evidence/series.npy", b"<f8", b"|O8"),
        ("evidence/logs.jsonl", b'"records":2', b'"records":99999999999'),
        ("evidence/items.jsonl", b'"type":"change"', b'"type":"os.system"'),
        ("evidence/evidence.json", b"{", b"[" * 100_000),
    ],
)
def test_numbers_that_lie_are_refused(tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    members = [(each, data.replace(old, new, 1) if each == name else data) for each, data in plain()]
    assert members != plain()
    with pytest.raises(BundleError, match="broken"):
        bundle.read(zipped(tmp_path / "x", members))
