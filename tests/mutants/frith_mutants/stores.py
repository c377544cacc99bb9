"""Broken stores."""

from __future__ import annotations

from functools import partial

from frith.providers import Capability, Role
from frith_mutants import _careless_files as careless
from frith_mutants import _default_threads as threads
from frith_mutants import _wrapped_changes as changes
from frith_mutants import _wrapped_claims as claims
from frith_mutants import _wrapped_stores as wrapped
from frith_mutants.mutant import Mutant

_mutant = partial(Mutant, Role.STORE)
_ATOMIC = "frith_os.atomic"
_LOCK = "frith_os.locks:FileLock"

SURVIVES_CRASHES = "every possible state after a power cut is as promised"
SURVIVES_FAULTS = "a failure of any system call is reported and breaks no promise"
SURVIVES_KILLS = "a kill at any system call breaks no promise"
NOTICES_DAMAGE = "every truncation and every flipped bit is noticed"

STORES = (
    _mutant(
        "no-fsync",
        "The new file is renamed into place without being forced to the medium.",
        SURVIVES_CRASHES,
        case="saving",
        replaces={f"{_ATOMIC}:sync": careless.syncs_directories_only},
    ),
    _mutant(
        "no-directory-fsync",
        "The rename is not forced to the medium.",
        SURVIVES_CRASHES,
        case="saving",
        replaces={f"{_ATOMIC}:sync_directory": careless.does_nothing},
    ),
    _mutant(
        "in-place-write",
        "The file is written over, not replaced.",
        SURVIVES_KILLS,
        case="saving",
        replaces={f"{_ATOMIC}:rename": careless.writes_over},
    ),
    _mutant(
        "acknowledges-before-durable",
        "A commit is acknowledged first, and written later.",
        "a commit survives the death of its process",
        wraps=wrapped.AcknowledgesFirst,
    ),
    _mutant(
        "success-after-failed-fsync",
        "A failed fsync is taken for done.",
        SURVIVES_CRASHES,
        case="saving",
        replaces={f"{_ATOMIC}:sync": careless.forgives},
    ),
    _mutant(
        "eio-is-missing",
        "A file that cannot be read is taken for one that is not there.",
        SURVIVES_FAULTS,
        case="loading",
        replaces={"frith_json.content:open_for_reading": careless.takes_failure_for_absence},
    ),
    _mutant(
        "fixed-temporary-name",
        "The temporary file of a dead writer blocks all later writes.",
        SURVIVES_KILLS,
        case="saving",
        replaces={f"{_ATOMIC}:_open_temporary": careless.insists_on_one_name},
    ),
    _mutant(
        "lock-of-the-dead",
        "The lock is the existence of a file, which a dead process leaves.",
        SURVIVES_KILLS,
        case="saving",
        replaces={
            f"{_LOCK}.acquire": careless.locks_by_existence,
            f"{_LOCK}.release": careless.unlocks_by_absence,
        },
    ),
    _mutant(
        "forgets-commits",
        "The id of a commit is not stored with it.",
        "the last commit of each host is stored with its changes",
        wraps=wrapped.ForgetsCommits,
    ),
    _mutant(
        "no-lock",
        "Writers take no lock.",
        "concurrent processes lose no update",
        wraps=wrapped.Dawdles,
        replaces={
            f"{_LOCK}.acquire": careless.opens_only,
            f"{_LOCK}.release": careless.does_nothing,
            "frith_json.content:require_unchanged": careless.does_nothing,
            f"{_ATOMIC}:_open_temporary": careless.takes_a_name_of_its_own,
        },
    ),
    _mutant(
        "no-re-read-under-the-lock",
        "A transaction works on what was stored before the lock was had.",
        "concurrent transactions lose no update",
        wraps=wrapped.ReadsBeforeTheLock,
    ),
    _mutant(
        "blind-overwrite",
        "A transaction writes what this host knows, whatever others have written meanwhile.",
        "a transaction sees the commits of other hosts",
        wraps=wrapped.OverwritesBlindly,
    ),
    _mutant(
        "not-atomic-across-sessions",
        "Changes of several sessions are written one after the other.",
        "other hosts see all of a transaction or none of it",
        wraps=wrapped.WritesOneByOne,
    ),
    _mutant(
        "wraps-errors",
        "What a transaction raises reaches the caller as something else.",
        "an exception aborts its transaction and reaches the caller",
        wraps=wrapped.WrapsErrors,
    ),
    _mutant(
        "writes-nothing-changed",
        "Empty changes are written too.",
        "empty changes write nothing",
        wraps=wrapped.WritesEmptyChanges,
    ),
    _mutant(
        "revision-stands-still",
        "Every commit has the same revision.",
        "the revision grows with every commit",
        wraps=wrapped.CountsNothing,
    ),
    _mutant(
        "takes-nothing-for-something",
        "A store in which nothing was ever stored says that all is well.",
        "loading when nothing is stored gives an empty snapshot",
        wraps=wrapped.KnowsNoAbsence,
    ),
    _mutant(
        "loses-unknown-fields",
        "Fields that this version does not know are dropped.",
        "a session is loaded with every field and detail",
        wraps=wrapped.DropsUnknownFields,
    ),
    _mutant(
        "loses-details",
        "What only frith needs of a session is not stored.",
        "a session is loaded with every field and detail",
        wraps=wrapped.DropsDetails,
    ),
    _mutant(
        "big-integers-become-floats",
        "An integer beyond 64 bits comes back as a float.",
        "a session is loaded with every field and detail",
        wraps=wrapped.RoundsIntegers,
    ),
    _mutant(
        "loses-reservations",
        "Reservations are not stored.",
        "a reservation is loaded with every field",
        wraps=wrapped.DropsReservations,
    ),
    _mutant(
        "no-checksum",
        "Everything that can be parsed is accepted.",
        NOTICES_DAMAGE,
        replaces={"frith_json.text:_matches": careless.believes},
    ),
    _mutant(
        "deletes-what-it-cannot-read",
        "A corrupt file is removed.",
        "a repair keeps the corrupt data",
        wraps=wrapped.DeletesTheCorrupt,
    ),
    _mutant(
        "forgets-corruption",
        "A corrupt file is taken for none.",
        "a corrupt store is reported until it is replaced",
        wraps=wrapped.TakesTheCorruptForNone,
    ),
    _mutant(
        "accepts-a-newer-version",
        "A file of a newer version is read as one of ours.",
        "data of a newer version is refused and not changed",
        replaces={"frith_json.integrity:check_version": careless.does_nothing},
    ),
    _mutant(
        "any-token-replaces",
        "What is stored is replaced, whatever was found corrupt.",
        "an outdated token replaces nothing",
        wraps=wrapped.ReplacesWhateverIsThere,
    ),
    _mutant(
        "repairs-put-aside",
        "Of two processes that repair, the later one replaces the repair of the other.",
        "one of several concurrent repairs takes effect",
        wraps=wrapped.ChecksTheTokenTooEarly,
    ),
    _mutant(
        "leaks-a-descriptor",
        "Each commit leaves a descriptor open.",
        "many commits and faults leave nothing behind",
        replaces={f"{_ATOMIC}:sync_directory": careless.keeps_it_open},
    ),
    _mutant(
        "blocks-the-loop",
        "The event loop waits for the lock.",
        "a waiting transaction does not block the event loop",
        replaces={"frith_json.worker:Worker.submit": careless.works_at_once},
    ),
    _mutant(
        "ignores-cancellation",
        "A transaction that waits goes on when it is cancelled.",
        "a waiting transaction that is cancelled ends and is never applied",
        wraps=wrapped.IgnoresCancellation,
    ),
    _mutant(
        "claims-nothing",
        "Everybody may claim.",
        "a claim is refused at once while another is held",
        wraps=wrapped.ClaimsForEverybody,
    ),
    _mutant(
        "claim-by-pid-alone",
        "A claim is a process id in a file: whoever has that id holds it.",
        "a claim is refused at once while another is held",
        wraps=wrapped.ClaimsByPid,
    ),
    _mutant(
        "claims-per-thread",
        "What one thread has claimed another thread of the process may claim, too.",
        "a claim is refused in every other thread",
        wraps=claims.ClaimsByThread,
    ),
    _mutant(
        "claims-by-record-lock",
        "A claim ends when any host of its process closes the file that it locks.",
        "a claim survives other hosts of its process that inspect it and close",
        wraps=claims.ClaimsByRecordLock,
    ),
    _mutant(
        "passes-claims-on",
        "A process inherits the claims of the one that started it.",
        "a child process inherits no descriptor of the store",
        replaces={f"{_LOCK}._opened": careless.passes_it_on},
    ),
    _mutant(
        "keeps-cancelled-claims",
        "A claim that is cancelled while a thread takes it stays.",
        "a claim cancelled while it is acquired is free",
        replaces={"frith_json.worker:Worker.run": careless.undoes_nothing},
    ),
    _mutant(
        "sees-no-holder",
        "Every claim is reported as free.",
        "a claim is held while its context is open",
        wraps=wrapped.SeesNoHolder,
    ),
    _mutant(
        "is-another-each-time",
        "A store names itself anew each time that it is opened.",
        "every host sees the same identity of the store",
        wraps=wrapped.IsAnotherEachTime,
    ),
    _mutant(
        "hides-fences",
        "A transaction does not learn that another process has claimed a session since.",
        "a transaction sees the fence of the newest claim",
        wraps=wrapped.HidesFences,
    ),
    _mutant(
        "keeps-claims",
        "A claim that ends by an error stays.",
        "an error in its context frees a claim",
        wraps=wrapped.KeepsClaims,
    ),
    _mutant(
        "stale-fence",
        "Every claim has the same number.",
        "the fence grows with every claim",
        wraps=wrapped.CountsNoClaims,
    ),
    _mutant(
        "hides-reservations",
        "A transaction does not see what other processes have reserved.",
        "a transaction sees sessions and reservations of other processes",
        wraps=changes.HidesReservations,
    ),
    _mutant(
        "one-table",
        "To release a reservation deletes the session of the same id.",
        "a session replaces its reservation in one change",
        wraps=changes.KeepsOneTable,
    ),
    _mutant(
        "compares-records",
        "A session whose record is the same is not written.",
        "a change of details alone is stored",
        wraps=changes.ComparesRecords,
    ),
    _mutant(
        "one-session-a-branch",
        "A session replaces another one that has the same branch.",
        "sessions that share name branch and worktree are all stored",
        wraps=changes.KeepsOneSessionABranch,
    ),
    _mutant(
        "hands-out-its-own-state",
        "What was loaded changes with what is stored.",
        "later changes do not alter a snapshot",
        wraps=changes.HandsOutItsOwnState,
    ),
    _mutant(
        "leaves-a-thread",
        "Each opening has a thread, which stays.",
        "a closed store leaves no descriptor and no thread",
        wraps=changes.LeavesAThread,
    ),
    _mutant(
        "misses-the-first-change",
        "Watching passes over what has changed since the store was read.",
        "watching begins with the changes since the last load",
        wraps=changes.MissesTheFirstChange,
    ),
    _mutant(
        "misses-changes",
        "Watching tells of nothing.",
        "watching reports the changes of other processes",
        wraps=wrapped.WatchesNothing,
    ),
    _mutant(
        "hides-a-capability",
        "It can watch and does not say so.",
        "watching is refused unless declared",
        hides=frozenset({Capability.WATCH}),
    ),
    _mutant(
        "hides-that-it-repairs",
        "It can replace what is corrupt and does not declare that.",
        "replacing corrupt data is refused unless declared",
        hides=frozenset({Capability.REPAIR}),
    ),
    _mutant(
        "describes-at-length",
        "The description of a holder has several lines.",
        "the description of a holder is one line or empty",
        wraps=changes.DescribesAtLength,
    ),
    _mutant(
        "shares-its-threads",
        "The state is read in threads that other workspaces occupy.",
        "its operations do not need the default threads",
        wraps=threads.reads_in_any_thread,
    ),
)
