"""A workspace is bound to one store."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from frith.errors import StoreMismatchError
from frith.ports import WorkspaceProvider
from frith_testing.harness.base import Opening
from frith_testing.harness.files import changed, files_of
from frith_testing.suites.workspace.open_workspace import OpenWorkspaceConformance


class StoreBindingConformance(OpenWorkspaceConformance, suite="workspace"):
    """Promises about the binding of a workspace to a store."""

    async def test_a_workspace_is_bound_to_the_first_store_for_every_host(
        self, trees: WorkspaceProvider, opening: Opening, workspace: Path
    ) -> None:
        await trees.bind_store("one", write=True)
        async with opening.open() as another:
            for provider in (trees, another):
                await provider.bind_store("one", write=True)
                for write in (False, True):
                    with pytest.raises(StoreMismatchError) as caught:
                        await provider.bind_store("two", write=write)
                    assert (caught.value.bound, caught.value.configured) == ("one", "two")
                    assert caught.value.workspace == str(workspace)
            await another.bind_store("one", write=False)

    async def test_checking_the_binding_of_a_workspace_changes_nothing(
        self, trees: WorkspaceProvider, workspace: Path
    ) -> None:
        before = files_of(workspace)
        await trees.bind_store("one", write=False)
        assert not changed(before, files_of(workspace))
        await trees.bind_store("two", write=True)

    async def test_one_of_two_concurrent_bindings_of_a_workspace_succeeds(
        self, trees: WorkspaceProvider, opening: Opening
    ) -> None:
        refused: list[str] = []

        async def attempt(provider: WorkspaceProvider, store: str) -> None:
            try:
                await provider.bind_store(store, write=True)
            except StoreMismatchError:
                refused.append(store)

        async with opening.open() as another, anyio.create_task_group() as tasks:
            tasks.start_soon(attempt, trees, "one")
            tasks.start_soon(attempt, another, "two")
        assert len(refused) == 1
