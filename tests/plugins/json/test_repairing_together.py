"""Several processes find one corruption; one of them repairs it, and all have that repair."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

PROCESSES = 4
ROUNDS = 40


def tell(actor) -> None:
    actor.stdin.write("\n")
    actor.stdin.flush()


def kept(state: Path) -> list[str]:
    return sorted(path.read_text() for path in state.parent.glob(f"{state.name}.corrupt-*"))


@pytest.mark.expensive("starts several processes")
@pytest.mark.requirement("R5.1")
@pytest.mark.requirement("R3.7")
@pytest.mark.parametrize("what", ["corrupt", "missing"])
def test_whoever_is_first_repairs_for_all_and_no_repair_is_put_aside(
    start_actor, state, what
) -> None:
    session_id = str(uuid4())
    start_actor("add", "before").communicate()
    actors = [start_actor("repair", session_id, f"by-{n}") for n in range(PROCESSES)]
    winners = set()
    for number in range(ROUNDS):
        if what == "missing":
            state.unlink()
        else:
            state.with_name("new").write_text(f"{{broken {number}")
            state.with_name("new").replace(state)
        for actor in actors:
            tell(actor)
        assert [actor.stdout.readline() for actor in actors] == ["ready\n"] * PROCESSES
        for actor in actors:
            tell(actor)
        answers = {actor.stdout.readline() for actor in actors}
        assert len(answers) == 1
        stored = [record["name"] for record in json.loads(state.read_text())["sessions"]]
        assert answers == {f"{stored[0]}\n"}
        winners.update(stored)
    aside = [content for content in kept(state) if content.startswith("{broken")]
    assert aside == sorted(f"{{broken {n}" for n in range(ROUNDS) if what == "corrupt")
    assert not any('"by-' in content for content in kept(state))
    print(f"{len(winners)} of {PROCESSES} processes were first at times")
