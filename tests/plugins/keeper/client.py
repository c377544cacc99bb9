"""A client of a keeper with nothing of frith: ``python -I -S client.py ADDRESS VERSION``.

It gives the terminal a window of 30 by 100, relays its own input to the process and the output of
that to its own, and ends with the process.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import struct
import sys

HEADER = mmap.PAGESIZE


def connect(address: str) -> socket.socket:
    """Connect through the descriptor of the directory: a socket's address has 108 bytes at most."""
    directory = os.open(os.path.dirname(address), os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(address)}")
    os.close(directory)
    return connection


class Ring:
    """The newest output: a page with two counts, then the bytes, each at its offset modulo size."""

    def __init__(self, fd: int, capacity: int) -> None:
        self._capacity = capacity
        self._memory = mmap.mmap(fd, HEADER + capacity, prot=mmap.PROT_READ)
        self._counts = memoryview(self._memory)[:HEADER].cast("Q")  # end, reach
        self._seen = 0

    def new(self) -> bytes:
        """Return what was not returned yet; what was overwritten meanwhile is left out."""
        end, capacity = self._counts[0], self._capacity
        first = max(self._seen, end - capacity)
        at, size = first % capacity, end - first
        data = self._memory[HEADER + at : HEADER + min(at + size, capacity)]
        data += self._memory[HEADER : HEADER + max(0, at + size - capacity)]
        whole = max(first, self._counts[1] - capacity)  # the keeper may write up to `reach` now
        self._seen = end
        return data[whole - first :]


def main(address: str, version: int) -> None:
    connection = connect(address)
    connection.send(json.dumps({"do": "hello", "seq": 0, "versions": [version]}).encode())
    packet, fds, _, _ = socket.recv_fds(connection, 65536, 2)
    greeting = json.loads(packet)
    if greeting.get("version") != version:
        sys.exit(f"not spoken; relay through the host: {greeting}")
    ring, bell = Ring(fds[0], greeting["capacity"]), fds[1]
    window = {"viewer": "client", "rows": 30, "columns": 100}
    connection.send(json.dumps({"do": "resize", "seq": 1, **window}).encode())
    waiting, seq, is_drained = [connection.fileno(), bell, 0], 1, bool(greeting["drained"])
    while not is_drained:
        ready, _, _ = select.select(waiting, [], [])
        if bell in ready:
            os.eventfd_read(bell)
        if 0 in ready:
            seq += 1
            data = os.read(0, 32768)
            connection.send(struct.pack("<cI?", b"W", seq, False) + data)
            if not data:
                waiting.remove(0)
        if connection.fileno() in ready:
            answer = connection.recv(65536)
            if not answer:
                break
            is_drained = answer[:1] == b"{" and json.loads(answer).get("event") == "drained"
        sys.stdout.buffer.write(ring.new())
        sys.stdout.flush()
    sys.stdout.buffer.write(ring.new())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
