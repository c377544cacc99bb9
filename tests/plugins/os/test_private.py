"""What frith makes is for its owner alone, whatever the umask and whoever made it before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frith_os import private

OWNER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0, 0o022, 0o277, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_and_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    private.make_directory(str(inner), parents=True)
    os.close(private.open_file(str(inner / "file"), os.O_RDWR))
    assert [mode(path) for path in (inner / "file", inner, inner.parent)] == [0o600, 0o700, 0o700]


def test_files_and_directories_of_wider_modes_become_private(tmp_path: Path) -> None:
    directory, file = tmp_path / "d", tmp_path / "d" / "f"
    directory.mkdir()
    file.write_text("kept")
    directory.chmod(0o777)
    file.chmod(0o644)
    private.make_directory(str(directory))
    os.close(private.open_file(str(file), os.O_RDWR))
    assert (mode(directory), mode(file), file.read_text()) == (0o700, 0o600, "kept")


def test_existing_parent_directories_keep_their_mode(tmp_path: Path) -> None:
    around = tmp_path / "around"
    around.mkdir(mode=0o755)
    private.make_directory(str(around / "new" / "deep"), parents=True)
    assert mode(around) == 0o755


def test_missing_parents_are_made_only_on_request(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        private.make_directory(str(tmp_path / "no" / "parent"))
    assert not (tmp_path / "no").exists()


def test_a_link_to_a_directory_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(target)
    private.make_directory(str(tmp_path / "link"))
    assert mode(target) == 0o755


def test_a_file_in_the_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        private.make_directory(str(tmp_path / "file"))


@pytest.mark.parametrize(
    "open_it", [lambda p: private.open_file(p, os.O_RDWR), private.restrict_file]
)
def test_a_link_is_not_followed(tmp_path: Path, open_it: Callable[[str], object]) -> None:
    target = tmp_path / "target"
    target.write_text("")
    target.chmod(0o644)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        open_it(str(tmp_path / "link"))
    assert mode(target) == 0o644


@as_root
def test_root_gives_what_it_makes_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, OWNER, OWNER)
    inner = tmp_path / "a" / "b"
    private.make_directory(str(inner), parents=True)
    os.close(private.open_file(str(inner / "file"), os.O_RDWR))
    for path in (inner.parent, inner, inner / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (OWNER, OWNER)


@as_root
def test_root_does_not_give_away_a_file_with_a_second_name(tmp_path: Path) -> None:
    system = tmp_path / "of the system"
    system.write_text("")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, OWNER, OWNER)
    os.link(system, theirs / "file")
    os.close(private.open_file(str(theirs / "file"), os.O_RDWR))
    assert system.stat().st_uid == 0
