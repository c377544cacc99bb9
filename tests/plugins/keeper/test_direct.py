"""A client relays the bytes of a keeper by itself, with nothing of frith."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from frith.ports import Direct
from frith_os.pty import wire

CLIENT = [sys.executable, "-I", "-S", str(Path(__file__).with_name("client.py"))]
TALK = 'stty -echo; echo ready; read -r line; echo "got $line"; stty size; seq 20000; exit 3'
ALL = b"ready\r\ngot more\r\n30 100\r\n" + b"".join(b"%d\r\n" % n for n in range(1, 20001))


async def test_a_client_with_the_standard_library_only_views_writes_and_resizes(
    shell: Any, places: Path, tools: Any
) -> None:
    terminal = await shell(TALK)
    await tools.see(terminal, b"ready")
    direct = terminal.direct()
    assert direct == Direct(
        wire.PROTOCOL, 1, str(places / f"{terminal.session_id}.{terminal.terminal_id}")
    )
    with anyio.fail_after(tools.patience):
        client = await anyio.run_process(
            [*CLIENT, direct.address, str(direct.version)], input=b"more\n", check=False
        )
    assert client.stderr == b""
    assert client.stdout == ALL
    assert (await terminal.exited()).code == 3
    assert await tools.everything(terminal) == ALL


async def test_a_client_goes_on_while_its_host_is_gone(
    start_host: Any, spawner: Any, tools: Any
) -> None:
    host = start_host(TALK)
    terminal = await spawner.adopt(host.session)
    direct = terminal.direct()
    with subprocess.Popen(
        [*CLIENT, direct.address, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert await anyio.to_thread.run_sync(client.stdout.read, 7) == b"ready\r\n"
        terminal.detach()
        host.close()
        client.stdin.write(b"more\n")
        client.stdin.close()
        assert ALL.endswith(await anyio.to_thread.run_sync(client.stdout.read))
    await spawner.sweep(host.session, 0)


async def test_a_client_of_another_version_is_told_so(shell: Any) -> None:
    terminal = await shell("read -r _")
    client = await anyio.run_process([*CLIENT, terminal.direct().address, "2"], check=False)
    assert client.stdout == b""
    assert b"relay through the host" in client.stderr
    assert b'"versions"' in client.stderr or b"'versions': [1]" in client.stderr


async def test_a_process_that_has_ended_is_reached_through_its_host_only(
    shell: Any, tools: Any
) -> None:
    terminal = await shell("exit 3")
    with anyio.fail_after(tools.patience):
        await terminal.drained()
    assert terminal.direct() is None
