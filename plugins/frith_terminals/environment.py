"""The environment of a session's process: the host's, without its repository and terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import translate
from functools import cache

from frith.ports import SpawnRequest
from frith_terminals.options import TerminalOptions

SESSION_ID, WORKSPACE, TERMINAL_ID = (
    "FRITH_SESSION_ID",
    "FRITH_WORKSPACE",
    "FRITH_TERMINAL_ID",
)
"""Variables that identify the processes of a session, and of one terminal."""

# `git rev-parse --local-env-vars` prints those that tie git to one repository. GIT_CONFIG_COUNT,
# which it prints too, is inherited: containers and CI trust repositories by it (`safe.directory`).
# GIT_CONFIG_PARAMETERS holds the `-c` of the git command that ran an alias.
GIT_VARIABLES = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS"),
    *("GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE"),
    *("GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE"),
    # Set for hooks: the objects of a push that is not accepted yet, the message of the reflog.
    *("GIT_WORK_TREE", "GIT_QUARANTINE_PATH", "GIT_REFLOG_ACTION"),
)
_TERMINALS = (
    *("LINES", "COLUMNS", "TERMCAP", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID"),
    *("TMUX", "TMUX_PANE", "STY", "WINDOW", "ZELLIJ", "ZELLIJ_*", "NVIM", "NVIM_LISTEN_ADDRESS"),
    *("VSCODE_*", "INSIDE_EMACS", "TERMINAL_EMULATOR", "WINDOWID", "VTE_VERSION"),
    *("KITTY_WINDOW_ID", "KITTY_PID", "KITTY_LISTEN_ON", "KITTY_PUBLIC_KEY", "ALACRITTY_*"),
    *("WEZTERM_PANE", "WEZTERM_UNIX_SOCKET", "GHOSTTY_SURFACE_ID", "KONSOLE_*"),
    *("GNOME_TERMINAL_*", "ITERM_SESSION_ID", "ITERM_PROFILE", "LC_TERMINAL"),
    *("LC_TERMINAL_VERSION", "WT_SESSION", "WT_PROFILE_ID", "SSH_TTY", "GPG_TTY"),
)
_AGENTS = (
    *("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SSE_PORT", "GEMINI_CLI"),
    *("CURSOR_AGENT", "CURSOR_TRACE_ID", "CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"),
)
NOT_INHERITED = ("OLDPWD", *GIT_VARIABLES, *_TERMINALS, *_AGENTS)
"""Variables that tie the host to a repository, terminal or agent other than the session's."""


def environment(
    request: SpawnRequest, options: TerminalOptions, terminal_id: str
) -> dict[str, str]:
    """Return the environment of the process: the host's, the request's, and its identity.

    It may be called in a thread, while the host sets or deletes variables.
    """
    identity = {
        SESSION_ID: request.session_id,
        WORKSPACE: request.workspace,
        TERMINAL_ID: terminal_id,
    }
    inherited = dict(_inherited(os.environ, options))
    return inherited | {"TERM": options.term, "PWD": request.cwd} | dict(request.env) | identity


def _inherited(host: Mapping[str, str], options: TerminalOptions) -> Iterator[tuple[str, str]]:
    tied, kept, dropped = map(_any_of, (NOT_INHERITED, options.inherit, options.drop))
    for name in host:
        value = host.get(name)
        if value is None or dropped(name):
            continue
        # Git sets this editor for the hooks of a commit whose message is given.
        is_tied = tied(name) or (name, value) == ("GIT_EDITOR", ":")
        if not is_tied or kept(name):
            yield name, value


@cache
def _any_of(patterns: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns)) or "(?!)").match
