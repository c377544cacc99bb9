"""Replacing a file atomically."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frith_os import atomic
from frith_os.atomic import UnknownOutcomeError, replace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def temporary(file: Path) -> Path:
    return file.with_name("file.tmp")


def fail(code: int = errno.EIO) -> Callable[..., None]:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return failing


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_content_in_pieces_replaces_the_old_content(file: Path, temporary: Path) -> None:
    status = replace(str(file), [b"new ", memoryview(b"content")])
    assert file.read_bytes() == b"new content"
    assert os.path.samestat(status, file.stat())
    assert not temporary.exists()


def test_content_is_synced_before_the_rename_and_the_directory_after_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("write_all", "sync", "rename", "sync_directory"):
        real = getattr(atomic, name)

        def recorded(*words: Any, name: str = name, real: Any = real) -> Any:
            calls.append(name)
            return real(*words)

        monkeypatch.setattr(atomic, name, recorded)
    replace(str(file), [b"new"])
    assert calls == ["write_all", "sync", "rename", "sync_directory", "sync"]


@pytest.mark.parametrize("options", [{"sync_content": False}, {"sync_name": False}], ids=str)
def test_each_fsync_can_be_left_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    replace(str(file), [b"new"], **options)  # type: ignore[arg-type]
    assert synced == [options == {"sync_content": False}]


@pytest.mark.parametrize("step", ["open_new", "write_all", "sync", "rename", "_set_access"])
def test_a_failure_before_the_rename_leaves_the_old_content(
    file: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(atomic, step, fail())
    with pytest.raises(OSError, match="Input/output") as caught:
        replace(str(file), [b"new"])
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert file.read_bytes() == b"old"
    assert not temporary.exists()


def test_a_failure_after_the_rename_is_an_unknown_outcome(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "sync_directory", fail())
    with pytest.raises(UnknownOutcomeError):
        replace(str(file), [b"new"])
    assert file.read_bytes() == b"new"


def test_a_rename_that_happened_and_reports_an_error_is_an_unknown_outcome(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(*words: Any, **options: Any) -> None:
        real(*words, **options)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(UnknownOutcomeError):
        replace(str(file), [b"new"])


def test_verify_sees_the_written_file_and_can_refuse(file: Path, temporary: Path) -> None:
    def verify(path: str, written: os.stat_result) -> None:
        assert path == str(temporary)
        assert temporary.read_bytes() == b"new"
        assert os.path.samestat(written, temporary.stat())
        raise LookupError

    with pytest.raises(LookupError):
        replace(str(file), [b"new"], verify=verify)
    assert file.read_bytes() == b"old"
    assert not temporary.exists()


def test_a_temporary_file_of_another_program_is_not_removed(file: Path, temporary: Path) -> None:
    def verify(path: str, _: os.stat_result) -> None:
        os.unlink(path)
        temporary.write_text("theirs")
        raise LookupError

    with pytest.raises(LookupError):
        replace(str(file), [b"new"], verify=verify)
    assert temporary.read_text() == "theirs"


@pytest.mark.parametrize("stale", ["file", "read-only", "link", "dangling link"])
def test_a_stale_temporary_file_is_replaced(file: Path, temporary: Path, stale: str) -> None:
    other = file.with_name("other")
    if stale.endswith("link"):
        temporary.symlink_to(other)
        if stale == "link":
            other.write_text("precious")
    else:
        temporary.write_text("half")
        temporary.chmod(0o400 if stale == "read-only" else 0o600)
    replace(str(file), [b"new"])
    assert file.read_bytes() == b"new"
    assert not temporary.exists()
    assert other.exists() == (stale == "link")


def test_the_next_name_is_used_if_one_is_occupied(file: Path, temporary: Path) -> None:
    (temporary / "full").mkdir(parents=True)
    with pytest.raises(FileExistsError):
        replace(str(file), [b"new"])
    replace(str(file), [b"new"], temporaries=[str(temporary), f"{file}.1.tmp"])
    assert file.read_bytes() == b"new"


def test_short_writes_are_continued(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:2])))
    replace(str(file), [b"new content"])
    assert file.read_bytes() == b"new content"


def test_names_can_be_relative_to_a_directory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        replace("file", [b"new"], directory=directory)
    finally:
        os.close(directory)
    assert file.read_bytes() == b"new"


def test_an_existing_file_keeps_its_mode(file: Path) -> None:
    file.chmod(0o640)
    replace(str(file), [b"new"])
    assert mode(file) == 0o640
    replace(str(file), [b"new"], keep_access=False)
    assert mode(file) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_existing_file_keeps_its_owner_and_a_new_one_gets_that_of_the_directory(
    file: Path, tmp_path: Path
) -> None:
    os.chown(file, 12345, 23456)
    replace(str(file), [b"new"])
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)
    os.chown(tmp_path, 54321, 54321)
    replace(f"{file}.other", [b"new"])
    assert file.with_name("file.other").stat().st_uid == 54321


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL], ids=errno.errorcode.get)
def test_a_file_whose_owner_cannot_be_kept_is_replaced(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    os.chown(file, 12345, 23456)
    monkeypatch.setattr(os, "fchown", fail(number))
    replace(str(file), [b"new"])
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize(("asked", "found"), [(0o600, 0o600), (0o666, 0o640)])
def test_the_umask_applies_to_the_mode_of_a_new_file_that_is_not_private(
    tmp_path: Path, asked: int, found: int
) -> None:
    before = os.umask(0o027)
    try:
        replace(str(tmp_path / "new"), [b"new"], mode=asked)
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == found


def test_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace(str(tmp_path / "none" / "file"), [b"new"])
