"""Broken terminals."""

from __future__ import annotations

from functools import partial

from frith.providers import Role
from frith_mutants import _careless_terminals as careless
from frith_mutants import _default_threads as threads
from frith_mutants import _wrapped_spawners as wrapped
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.TERMINAL)
_TERMINAL = "frith_pty.terminal:PtyTerminal"
_VIEWED = "frith_terminals.terminal:ViewedTerminal"
_keeper = partial(Mutant, Role.TERMINAL, plugin="frith_keeper")
_KEPT = "frith_keeper.terminal:KeeperTerminal"

SPAWNERS = (
    _mutant(
        "leaks-descriptors",
        "The process inherits every inheritable descriptor of its host.",
        "a process inherits no descriptor of the host",
        replaces={"frith_pty.posix_spawn:PosixSpawn._add": careless.closes_nothing},
    ),
    _mutant(
        "no-controlling-terminal",
        "The process leads a session, but the terminal does not control it.",
        "the process leads a session with a controlling terminal of its own",
        replaces={"frith_pty.posix_spawn:PosixSpawn._add": careless.takes_no_control},
    ),
    _mutant(
        "inherits-signals",
        "Signals that the host ignores stay ignored in the process.",
        "a process does not inherit ignored or blocked signals",
        replaces={"frith_pty.posix_spawn:_RESET": lambda _: []},
    ),
    _mutant(
        "forgets-variables",
        "The variables of a request are not set.",
        "the environment of the host is inherited",
        wraps=wrapped.ForgetsVariables,
    ),
    _mutant(
        "inherits-the-repository",
        "The process inherits GIT_DIR and the like, so its git works on another worktree.",
        "a process does not inherit the repository or terminal of the host",
        replaces={"frith_terminals.environment:NOT_INHERITED": lambda names: names[:1]},
    ),
    _mutant(
        "inherits-no-git-configuration",
        "The process inherits nothing of git, not even what makes it trust the repository.",
        "git configuration in the environment is inherited",
        replaces={"frith_terminals.environment:NOT_INHERITED": lambda names: (*names, "GIT_*")},
    ),
    _mutant(
        "calls-anyio-in-a-callback",
        "A callback of the event loop asks anyio for the time, which works under its own runner.",
        "the end of a process is noticed under asyncio run",
        replaces={f"{_TERMINAL}._on_exit": careless.asks_anyio_for_the_time},
    ),
    _mutant(
        "ends-the-stopped",
        "A process that stops itself is killed.",
        "a process that stops itself is continued",
        replaces={"frith_os.pty.child:Child.signal_group": careless.kills_instead_of_continuing},
    ),
    _mutant(
        "leaks-identity",
        "The identity of the session that the host itself runs in wins over that of the new one.",
        "a process carries the identity of its own session only",
        replaces={"frith_pty.start:environment": careless.prefers_the_host},
    ),
    _mutant(
        "waits-for-output",
        "Spawning blocks the event loop until the process has written something.",
        "spawning does not wait for the process",
        wraps=wrapped.WaitsForOutput,
    ),
    _mutant(
        "main-thread-only",
        "It handles signals, which only the main thread may.",
        "a terminal provider works in any thread",
        wraps=wrapped.MainThreadOnly,
    ),
    _mutant(
        "forgets-the-size",
        "A new size is taken and goes nowhere.",
        "the window has the latest size",
        replaces={f"{_TERMINAL}.resize": careless.does_nothing},
    ),
    _mutant(
        "blocks-on-input",
        "Writing blocks the event loop while the process does not read.",
        "a process that does not read does not block the event loop",
        replaces={f"{_TERMINAL}.write": careless.writes_blocking},
    ),
    _mutant(
        "mixes-input",
        "What several write at once is written in pieces, in turn.",
        "concurrent writes are not interleaved",
        replaces={"frith_os.pty.input:Input.resume": careless.writes_pieces_in_turn},
    ),
    _mutant(
        "loses-the-tail",
        "Reading ends when the process has exited.",
        "the last output of many concurrent processes arrives",
        replaces={
            f"{_TERMINAL}._drain": careless.stops_at_the_exit,
            f"{_TERMINAL}._on_readable": careless.leaves_it_to_the_exit,
        },
    ),
    _mutant(
        "takes-bytes-for-text",
        "Output is decoded and encoded again.",
        "every byte of output is unchanged",
        replaces={"frith_os.pty.ring:Ring.read": careless.decodes},
    ),
    _mutant(
        "replays-nothing",
        "A viewer sees only what comes after it.",
        "the output of a process is replayed after its end",
        replaces={"frith_terminals.viewing:Viewer.__init__": careless.begins_at_the_end},
    ),
    _mutant(
        "keeps-everything",
        "The scrollback has no bound.",
        "only the newest output is kept",
        replaces={"frith_os.pty.output:WrittenRing": careless.keeps_everything},
    ),
    _mutant(
        "loses-what-is-slow-to-be-read",
        "A lossless viewer that is slow falls off the scrollback like any other.",
        "a slow lossless viewer gets every byte",
        replaces={"frith_os.pty.output:Output._room": careless.waits_for_no_viewer},
    ),
    _mutant(
        "waits-for-every-viewer",
        "A lossy viewer that does not read blocks the process.",
        "a viewer that never reads does not block others",
        replaces={"frith_terminals.viewing:Viewers.add": careless.waits_for_every_viewer},
    ),
    _mutant(
        "serves-a-few-viewers",
        "Pieces of output are shared, and overwritten after three viewers have got them.",
        "ten viewers of a flood get the same bytes",
        replaces={"frith_terminals.viewing:Viewers.chunk": careless.serves_three},
    ),
    _mutant(
        "remembers-sizes",
        "The size of a viewer that has left still counts.",
        "the size of a viewer that has left does not count",
        replaces={f"{_TERMINAL}.leave": careless.does_nothing},
    ),
    _mutant(
        "waits-for-a-viewer-when-ending",
        "A lossless viewer that does not read keeps a process from being ended.",
        "terminating does not wait for viewers",
        replaces={"frith_os.pty.output:Output._room": careless.waits_for_viewers_to_the_end},
    ),
    _mutant(
        "speaks-like-a-shell",
        "A process that a signal killed is said to have exited with 128 and the number.",
        "the exit status names the signal that killed a process",
        replaces={f"{_VIEWED}.exited": careless.adds_128},
    ),
    _mutant(
        "takes-the-hangup-for-the-exit",
        "A process that closes its terminal is said to have exited.",
        "a process that has closed its terminal has not exited",
        replaces={f"{_TERMINAL}._on_readable": careless.believes_in_the_end},
    ),
    _mutant(
        "signals-one-process",
        "A signal reaches the process and not its group.",
        "a signal reaches the whole group of the process",
        replaces={"frith_os.pty.child:Child.signal_group": careless.signals_the_leader},
    ),
    _mutant(
        "kills-at-once",
        "Terminating gives no time.",
        "terminating gives a process time to clean up",
        replaces={f"{_TERMINAL}.terminate": careless.gives_no_grace},
    ),
    _mutant(
        "ends-one-group",
        "Terminating ends the group of the process; jobs in groups of their own live on.",
        "terminating ends every process of the session",
        replaces={f"{_TERMINAL}.terminate": careless.ends_the_group},
    ),
    _mutant(
        "closes-and-leaves",
        "When the provider is closed, what has left the group of a process lives on.",
        "closing the provider ends its processes",
        replaces={f"{_TERMINAL}.aclose": careless.ends_the_group},
    ),
    _mutant(
        "sweeps-by-pid",
        "A sweep kills whatever has the recorded process id.",
        "sweeping leaves a process that only has the recorded pid",
        wraps=wrapped.SweepsByPid,
    ),
    _mutant(
        "sweeps-one-group",
        "A sweep ends the group of the recorded process and looks for no other.",
        "sweeping finds processes of the session in other groups and directories",
        wraps=wrapped.SweepsOneGroup,
    ),
    _mutant(
        "sweeps-copies",
        "A sweep ends the processes of the same session in a copy of the workspace.",
        "sweeping leaves the sessions of a copied workspace",
        replaces={"frith_terminals.sweeping:_Carriers.belongs": careless.asks_for_no_workspace},
    ),
    _mutant(
        "leaves-zombies",
        "Processes that have ended are not reaped.",
        "processes that ended leave no zombie",
        replaces={"frith_os.pty.child:Child.reap": careless.awaits_nobody},
        clears=careless.reap,
    ),
    _mutant(
        "leaks-a-descriptor",
        "The handle of a process that has ended stays open.",
        "processes that ended leave no descriptor",
        replaces={"frith_os.pty.child:Child.reap": careless.keeps_a_descriptor},
    ),
    _mutant(
        "leaks-a-thread",
        "Each process has a thread of the host, which stays.",
        "processes that ended leave no thread",
        wraps=wrapped.KeepsAThread,
    ),
    _mutant(
        "forgets-when-cancelled",
        "A spawn that is cancelled after the process has started forgets it.",
        "a cancelled spawn leaves no process",
        wraps=wrapped.ForgetsWhenCancelled,
    ),
    _mutant(
        "leaks-when-refusing",
        "A spawn that is refused leaves the terminal open that it had made.",
        "a refused spawn leaves nothing",
        wraps=wrapped.LeaksWhenRefusing,
    ),
    _mutant(
        "searches-like-the-host",
        "The command is looked up in the PATH of the host, whatever the request says.",
        "the command is looked up in its own directory and path",
        wraps=wrapped.SearchesLikeTheHost,
    ),
    _mutant(
        "lets-errors-through",
        "What the system says of a command that cannot be run reaches the caller as it is.",
        "a command that is too long is refused",
        wraps=wrapped.LetsErrorsThrough,
    ),
    _mutant(
        "shares-the-wait",
        "A cancelled wait for the end of a process ends every other one, too.",
        "a cancelled wait for the end does not affect other waits",
        replaces={f"{_VIEWED}.exited": careless.shares_the_wait},
    ),
    _mutant(
        "closes-when-cancelled",
        "A write that is cancelled is the last one.",
        "a cancelled write does not block other writes",
        replaces={f"{_TERMINAL}.write": careless.closes_when_cancelled},
    ),
    _mutant(
        "terminates-once",
        "Terminating that was cancelled passes for done.",
        "a cancelled termination can be repeated",
        replaces={f"{_TERMINAL}.terminate": careless.terminates_once},
    ),
    _mutant(
        "leaks-viewers",
        "Each viewer leaves a descriptor open.",
        "closed viewers leave no descriptor",
        replaces={f"{_VIEWED}.attach": careless.keeps_a_descriptor_a_viewer},
        clears=careless.close_what_viewers_left,
    ),
    _keeper(
        "lists-nothing",
        "Processes without a record are not listed.",
        "processes that can be adopted are listed even if unrecorded",
        wraps=wrapped.ListsNothing,
    ),
    _keeper(
        "takes-them-along",
        "When the provider is closed its processes end.",
        "processes survive the closing of their provider",
        replaces={"frith_keeper.spawner:KeeperSpawner.close": careless.takes_them_along},
    ),
    _keeper(
        "follows-another-session",
        "What a process of another session has started carries its identity, and ends with it.",
        "a process that another session has started is not ended with it",
        replaces={"frith_keeper.zygote:_own_environment": careless.adds_the_hosts},
    ),
    _keeper(
        "starts-over",
        "What it gives for adopted is a new process.",
        "a process of a killed host is adopted",
        wraps=wrapped.StartsOver,
    ),
    _keeper(
        "shows-all-from-the-start",
        "A viewer that has seen a part is shown it again.",
        "the output of an adopted process continues without a gap",
        replaces={f"{_KEPT}.attach": careless.shows_all_from_the_start},
    ),
    _keeper(
        "one-host-alone",
        "Where one host has a process no other can have it.",
        "two hosts can view and write at once",
        wraps=wrapped.FindsNothing,
    ),
    _keeper(
        "tells-it-for-ever",
        "The exit of a process is still reported after it was collected.",
        "an exit status without a host is kept until it is collected",
        replaces={f"{_KEPT}.collect": careless.does_nothing},
        case="exit",
    ),
    _keeper(
        "sweeps-in-silence",
        "A sweep does not say what it has ended.",
        "sweeping ends processes that could be adopted",
        wraps=wrapped.SweepsInSilence,
    ),
    _keeper(
        "remembers-for-ever",
        "The output of a session that was destroyed stays.",
        "forgotten output is not recalled",
        wraps=wrapped.RemembersForEver,
    ),
    _keeper(
        "recalls-anything",
        "While a process runs, what the one before it wrote passes for its output.",
        "the last process of a session is recalled",
        wraps=wrapped.RecallsAnything,
    ),
    _keeper(
        "loses-the-output",
        "The output of a process is deleted when its end is collected.",
        "any host can recall the output of a collected process",
        replaces={"frith_keeper.finding:Keepers.output_of": careless.does_nothing_at_once},
    ),
    _mutant(
        "shares-its-threads",
        "Processes are looked for in threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.drops_the_limiter("_shared"),
    ),
    _keeper(
        "keeper-shares-its-threads",
        "Keepers are looked for in threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.drops_the_limiter("_keepers"),
    ),
)
