"""Creating, listing, showing and naming sessions."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from frith import Holder, Session, SessionStatus
from frith.model import Details, Owner, now
from frith_cli.sessions import View, age

from .conftest import STATE, Frith, Git, OnTerminal, Outcome


@pytest.mark.requirement("R2.1")
def test_new_without_attaching_prints_the_id_of_an_idle_session(
    frith: Frith, repository: Path
) -> None:
    created = frith("new", "one", "--no-attach", "--", "touch", "started")
    assert created.code == 0
    shown = frith("show", "one", "--json").json
    assert created.out == f"{shown['id']}\n"
    assert shown["status"] == "idle"
    assert "ptyPid" not in shown
    worktree = repository / ".worktrees" / shown["id"]
    assert (worktree / "README").is_file()
    assert not (worktree / "started").exists()


@pytest.mark.requirement("R3.1")
def test_json_is_the_record_of_the_state_file_and_one_key_more(
    frith: Frith, repository: Path
) -> None:
    created = frith("new", "one", "--no-attach", "--json", "--", "sleep", "9").json
    ours = created.pop("frith")
    assert json.loads((repository / STATE).read_text())["sessions"] == [created]
    assert ours == {
        "holder": "free",
        "evidence": None,
        "command": ["sleep", "9"],
        "exit": None,
        "owner": None,
    }


def test_ls_and_show_print_the_same_json(frith: Frith) -> None:
    created = frith("new", "one", "--no-attach", "--json").json
    assert frith("ls", "--json").json == [created]
    assert frith("show", created["id"][:8], "--json").json == created


def test_ls_prints_a_table_with_the_oldest_first(frith: Frith) -> None:
    ids = [frith("new", name, "--no-attach").out.strip() for name in ("one", "two")]
    header, *rows = (re.split(r"  +", line) for line in frith("ls").out.splitlines())
    assert header == ["NAME", "STATUS", "BRANCH", "ACTIVITY", "ID", "OWNER"]
    assert rows == [
        ["one", "idle", "feature/one", "now", ids[0][:8], "-"],
        ["two", "idle", "feature/two", "now", ids[1][:8], "-"],
    ]


def test_ls_without_sessions_prints_nothing_on_standard_output(frith: Frith) -> None:
    listed = frith("ls")
    assert (listed.code, listed.out) == (0, "")
    assert "`frith new`" in listed.err
    assert frith("ls", "--json").json == []


def test_show_prints_every_known_field(frith: Frith) -> None:
    frith("new", "one", "--no-attach", "--", "sh", "-c", "echo a b")
    shown = dict(
        re.split(r"  +", line, maxsplit=1) for line in frith("show", "one").out.splitlines()
    )
    assert shown["branch"] == "feature/one"
    assert shown["command"] == "sh -c 'echo a b'"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", shown["created"])
    assert "process" not in shown


@pytest.mark.usefixtures("on_pty")
@pytest.mark.requirement("R4.1")
def test_a_session_whose_owner_is_gone_is_shown_as_idle_and_nothing_is_written(
    frith: Frith, on_terminal: OnTerminal, repository: Path
) -> None:
    owner = on_terminal("new", "one", "--", "sh", "-c", "echo ready; exec sleep 100")
    owner.expect(b"ready")
    running = frith("show", "one", "--json").json
    assert (running["status"], running["frith"]["holder"]) == ("active", "held")
    assert running["ptyPid"] > 0
    owner.send_signal(signal.SIGKILL)
    owner.end()
    before = (repository / STATE).read_bytes()
    left = frith("show", "one", "--json").json
    assert (left["status"], left["frith"]["holder"]) == ("idle", "free")
    assert "ptyPid" not in left
    assert (repository / STATE).read_bytes() == before


def test_new_takes_a_branch_and_a_base(frith: Frith, repository: Path, git: Git) -> None:
    git(repository, "tag", "here")
    git(repository, "commit", "-q", "--allow-empty", "-m", "Second")
    created = frith(
        "new", "one", "--branch", "fix/it", "--base", "here", "--no-attach", "--json"
    ).json
    assert created["branch"] == "fix/it"
    assert git(repository, "rev-parse", "fix/it") == git(repository, "rev-parse", "here")


@pytest.mark.requirement("R1.11")
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("fix/login_form", "fix-login-form"),
        ("v1.2", "v1-2"),
        ("_draft/__x", "draft-x"),
        ("team/" + "x" * 60, "team-" + "x" * 45),
    ],
)
def test_a_name_that_only_a_branch_can_have_is_taken_as_the_branch(
    frith: Frith, given: str, name: str
) -> None:
    created = frith("new", given, "--no-attach", "--json").json
    assert (created["branch"], created["name"]) == (given, name)


def test_with_a_branch_the_name_must_be_valid(frith: Frith) -> None:
    refused = frith("new", "fix/login", "--branch", "b", "--no-attach")
    assert refused.err.endswith("[INVALID_NAME]\n")


def test_a_name_is_checked_before_anything_is_opened(frith: Frith, repository: Path) -> None:
    (repository / ".claude-container-sessions.json").write_text("not a state file")
    refused = frith("new", "no good", "--no-attach")
    assert refused.err.count("\n") == 1
    assert refused.err.endswith("[INVALID_NAME]\n")
    assert (repository / ".claude-container-sessions.json").read_text() == "not a state file"


def test_an_error_names_the_session_by_its_name(frith: Frith) -> None:
    frith("new", "login", "--no-attach", "--", "true")
    refused = frith("tail", "login")
    assert "Session 'login' is not running. Resume it first." in refused.err
    assert "`frith resume login`" in refused.err


def test_new_shares_an_existing_branch_when_asked_to(frith: Frith) -> None:
    first = frith("new", "one", "--no-attach", "--json").json
    again = ("new", "two", "--branch", "feature/one", "--existing", "--no-attach")
    assert "[BRANCH_IN_USE]" in frith(*again).err
    shared = frith(*again, "--share", "--json").json
    assert shared["worktreePath"] == first["worktreePath"]


@pytest.mark.requirement("R1.2")
def test_new_without_a_name_generates_one(frith: Frith) -> None:
    created = frith("new", "--no-attach", "--json").json
    assert re.fullmatch(r"feature-\d{4}-\d\d-\d\d-001", created["name"])


@pytest.mark.requirement("R2.3")
def test_the_fifth_session_is_refused(frith: Frith) -> None:
    for name in ("one", "two", "three", "four"):
        assert frith("new", name, "--no-attach").code == 0
    assert frith("new", "five", "--no-attach") == Outcome(
        1,
        "",
        "frith: Maximum 4 sessions supported. Destroy a session to create a new one. "
        "[MAX_SESSIONS]\n",
    )
    assert frith("--set", "max_sessions=5", "new", "five", "--no-attach").code == 0


@pytest.mark.requirement("R1.12")
@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["new", "no good", "--no-attach"], "INVALID_NAME", 1),
        (["new", "one\x1b[2J", "--no-attach"], "INVALID_NAME", 1),
        (["new", "one", "--branch", "..", "--no-attach"], "INVALID_BRANCH", 1),
        (["new", "one", "--branch", "main", "--no-attach"], "BRANCH_TAKEN", 1),
        (["new", "one", "--base", "nowhere", "--no-attach"], "BASE_NOT_FOUND", 1),
        (["new", "one", "--branch", "b", "--existing", "--no-attach"], "BRANCH_NOT_FOUND", 1),
        (["new", "one"], "NOT_A_TERMINAL", 1),
        (["resume", "one"], "NOT_A_TERMINAL", 1),
        (["show", "nobody"], "SESSION_NOT_FOUND", 1),
        (["stop", "nobody"], "SESSION_NOT_FOUND", 1),
        (["rm", "nobody"], "SESSION_NOT_FOUND", 1),
        (["--workspace", "nowhere", "ls"], "INVALID_WORKSPACE", 2),
        (["--store", "jsno", "ls"], "PROVIDER_NOT_FOUND", 2),
        (["--set", "max_session=3", "ls"], "CONFIGURATION", 2),
        (["--set", "options.store.json.fil=3", "ls"], "CONFIGURATION", 2),
        (["--set", "options.store.jsn.file=3", "ls"], "CONFIGURATION", 2),
        (["--set", "options.stor.json.file=3", "ls"], "CONFIGURATION", 2),
        (["--set", "options.plugin.lg.level=3", "ls"], "CONFIGURATION", 2),
    ],
)
def test_a_wrong_argument_is_one_clear_line_and_changes_nothing(
    frith: Frith, repository: Path, arguments: list[str], code: str, exit_code: int
) -> None:
    refused = frith(*arguments)
    assert (refused.code, refused.out) == (exit_code, "")
    assert refused.err.count("\n") == 1
    assert refused.err.startswith("frith: ")
    assert refused.err.endswith(f"[{code}]\n")
    assert refused.err[:-1].isprintable()
    assert not any((repository / ".worktrees").glob("*"))


def test_a_wrong_option_of_a_provider_names_its_file(frith: Frith, repository: Path) -> None:
    file = repository / ".frith.toml"
    file.write_text("[options.workspace.git]\ndisposabel = []\n")
    refused = frith("new", "one", "--no-attach")
    assert refused.code == 2
    assert str(file) in refused.err
    assert "Did you mean 'disposable'?" in refused.err


@pytest.mark.requirement("R6.2")
def test_the_plugins_are_listed_outside_of_a_repository_too(
    frith: Frith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = frith("plugins").out.splitlines()
    assert rows[0].split() == ["NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDERS", "REASON"]
    assert any(re.match(r"json +frith +\S+ +loaded +store:json", row) for row in rows)
    blocked = frith("--set", "blocked_plugins=git", "plugins", "--json").json
    assert [each["state"] for each in blocked if each["name"] == "git"] == ["blocked"]


def test_plugins_refuses_a_named_workspace_that_does_not_exist(frith: Frith) -> None:
    assert frith("--workspace", "nowhere", "plugins").code == 2


def test_ls_does_not_import_plugins_that_it_does_not_use(frith: Frith) -> None:
    frith("new", "one", "--no-attach")
    code = (
        "import sys; from frith_cli.main import run\n"
        "code = run(['ls'])\n"
        "unused = ('frith_git.', 'frith_pty.spawner', 'frith_keeper.spawner')\n"
        "unused += ('frith_cli.attach.client', 'frith_cli.demo')\n"
        "sys.exit(code or ', '.join(name for name in sys.modules if name.startswith(unused)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr == "\n"
    assert "feature/one" in ran.stdout


def test_from_inside_a_session_the_workspace_is_found(
    frith: Frith, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = frith("new", "one", "--no-attach", "--json").json
    monkeypatch.chdir(created["worktreePath"])
    assert frith("ls", "--json").json == [created]


def _completions(words: str) -> list[str]:
    environ = os.environ | {"_FRITH_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environ["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    code = "from frith_cli.main import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ)
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]


def test_the_shell_completes_commands(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert _completions("frith re") == ["resume", "restart", "report", "rebuild"]


@pytest.mark.expensive("starts the command several times")
def test_the_shell_completes_names_and_the_ids_of_those_that_repeat(frith: Frith) -> None:
    frith("new", "one", "--no-attach")
    ids = [frith("new", "two", "--branch", b, "--no-attach").out.strip() for b in ("b", "c")]
    assert sorted(_completions("frith show ")) == sorted(["one", *ids])
    for command in ("show", "attach", "restart", "send", "keys", "tail"):
        assert _completions(f"frith {command} o") == ["one"]


def test_advice_to_take_or_share_a_branch_names_the_flag(frith: Frith) -> None:
    frith("new", "one", "--branch", "b", "--no-attach")
    again = ("new", "two", "--branch", "b", "--no-attach")
    refused = frith(*again)
    assert "taken by session 'one'" in refused.err
    assert refused.err.endswith("`--existing --share` shares its worktree. [BRANCH_TAKEN]\n")
    assert frith(*again, "--existing", "--share").code == 0
    frith("rm", "two")
    refused = frith(*again, "--existing")
    assert refused.err.endswith("The flag to share it is `--share`. [BRANCH_IN_USE]\n")


@pytest.mark.parametrize("name", [(), ("login",)])
def test_advice_for_a_blocked_branch_names_the_flag(
    frith: Frith, git: Git, repository: Path, name: tuple[str, ...]
) -> None:
    git(repository, "branch", "feature")
    refused = frith("new", *name, "--no-attach")
    assert refused.err.endswith("The flag for that is `--branch`. [BRANCH_BLOCKED]\n")
    assert frith("new", *name, "--branch", "fix", "--no-attach").code == 0


@pytest.mark.parametrize("word", ["", "o", "-"])
def test_the_shell_completes_nothing_of_a_sessions_command(frith: Frith, word: str) -> None:
    frith("new", "one", "--no-attach")
    for words in ("new two --", "resume --", "restart one -- sleep"):
        assert _completions(f"frith {words} {word}") == []


def test_the_shell_completes_keys(frith: Frith) -> None:
    assert _completions("frith keys one pa") == ["PageUp", "PageDown"]


def test_an_invalid_name_is_completed_as_the_id(frith: Frith, repository: Path) -> None:
    id_ = frith("new", "one", "--no-attach").out.strip()
    text = (repository / STATE).read_text()
    foreign = {"version": "1.0", "sessions": json.loads(text)["sessions"]}
    foreign["sessions"][0]["name"] = "a b;c"
    git_directory = repository / ".git" / "worktrees"
    shutil.rmtree(git_directory)
    (repository / STATE).write_text(json.dumps(foreign))
    assert _completions("frith show ") == [id_]


def test_the_shell_completes_nothing_outside_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _completions("frith show ") == []


@pytest.mark.parametrize(
    ("holder", "host", "shown"),
    [
        (Holder.FREE, None, "-"),
        (Holder.HELD, None, "7"),
        (Holder.HELD, "elsewhere", "7@elsewhere"),
        (Holder.UNKNOWN, "elsewhere", "?"),
    ],
)
def test_the_owner_is_shown_as_far_as_known(holder: Holder, host: str | None, shown: str) -> None:
    session = Session(
        id="11112222-0000-4000-8000-000000000001",
        name="one",
        status=SessionStatus.ACTIVE,
        branch="feature/one",
        worktree_path="/w",
        created_at=now(),
        last_activity=now(),
        details=Details(owner=Owner(pid=7, host=host)),
    )
    assert View(session, holder).owner() == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "now"), (59, "now"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_400 * 12, "12d")],
)
def test_an_age_is_shown_in_its_largest_unit(seconds: int, shown: str) -> None:
    assert age(timedelta(seconds=seconds)) == shown


def test_a_message_is_shown_with_control_characters_escaped(frith: Frith) -> None:
    frith("new", "one", "--no-attach")
    frith("report", "error", "one", "--message", "a\x1b[2Jb")
    assert "a\\x1b[2Jb" in frith("show", "one").out
