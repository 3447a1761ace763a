"""A proxy that can hold any one message, or its answer, while something happens to who sent it.

So a process is killed or stopped at an exact point of a delivery, and the product needs no hook for it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.faults.wire import Message

_CHUNK = 1 << 16


class Reader(Protocol):
    def feed(self, data: bytes) -> list[Message]: ...


@dataclass(frozen=True)
class Hit:
    """What was held: at which point, sent by which process, about which event (its marker, or '')."""

    point: str
    pid: int
    subject: str


# Says what becomes of what was held: it passes, its connection ends, or it is answered with these bytes.
Act = Callable[[Hit], bool | bytes]


@dataclass(eq=False)
class Trap:
    """Holds the next message at a point, and acts. `skip` lets so many pass first."""

    point: str
    act: Act
    spare: Collection[str]
    skip: int = 0
    stays: bool = False
    _sprung: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        """Wait until it has acted; False where nothing came by."""
        return self._sprung.wait(seconds)

    def spring(self, hit: Hit) -> bool | bytes:
        """Act on what is held."""
        try:
            return self.act(hit)
        finally:
            self._sprung.set()


class Traps:
    """The traps that are set, for all proxies; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: list[Trap] = []

    def arm(
        self, point: str, act: Act, *, spare: Collection[str] = (), skip: int = 0, stays: bool = False
    ) -> Trap:
        """Set a trap at `before claim`, `after record` and so on; it never strikes the events of `spare`."""
        trap = Trap(point, act, spare, skip, stays)
        with self._lock:
            self._set.append(trap)
        return trap

    def clear(self) -> None:
        """Take away the traps that are left."""
        with self._lock:
            self._set.clear()

    def disarm(self, trap: Trap) -> None:
        """Take one away; nothing happens where it has sprung."""
        with self._lock, contextlib.suppress(ValueError):
            self._set.remove(trap)

    def meet(self, when: str, message: Message, sender: socket.socket) -> bool | bytes:
        """Hold a message for as long as a trap acts on it."""
        point = f"{when} {message.name}"
        with self._lock:
            trap = next(
                (one for one in self._set if one.point == point and message.subject not in one.spare), None
            )
            if trap is None:
                return True
            if trap.skip:
                trap.skip -= 1
                return True
            if not trap.stays:
                self._set.remove(trap)
        return trap.spring(Hit(point, peer(sender), message.subject))


class Proxy:
    """Takes connections at `listener` and carries them to `connect`; `reader` makes a reader for each."""

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[], socket.socket],
        reader: Callable[[], Reader],
        traps: Traps,
    ) -> None:
        self._listener = listener
        self._connect = connect
        self._reader = reader
        self._traps = traps
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                server = self._connect()
            except OSError:
                return
            unanswered: list[Message] = []
            with server:
                down = threading.Thread(target=self._answers, args=[client, server, unanswered], daemon=True)
                down.start()
                with contextlib.suppress(OSError):
                    self._questions(client, server, unanswered)
                _end(client, server)
                down.join()

    def _questions(self, client: socket.socket, server: socket.socket, unanswered: list[Message]) -> None:
        reader = self._reader()
        while data := client.recv(_CHUNK):
            for message in reader.feed(data):
                verdict = self._traps.meet("before", message, client) if message.name else True
                if isinstance(verdict, bytes):
                    client.sendall(verdict)
                elif verdict:
                    unanswered.append(message)
                    server.sendall(message.raw)
                else:
                    return

    def _answers(self, client: socket.socket, server: socket.socket, unanswered: list[Message]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                # The clients send one command or pipeline and wait: the first bytes answer the oldest.
                asked = [unanswered.pop(0) for _ in range(len(unanswered))]
                named = [message for message in asked if message.name]
                if not data.startswith(b"-NOSCRIPT") and not all(
                    self._traps.meet("after", message, client) for message in named
                ):
                    break
                client.sendall(data)
        _end(client, server)


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def peer(connection: socket.socket) -> int:
    """Give the id of the process at the other end; 0 where it is gone."""
    if connection.family == socket.AF_UNIX:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])
    port = connection.getpeername()[1]
    wanted = re.compile(rf"^ *\d+: 0100007F:{port:04X} \S+ 01 (?:\S+ +){{5}}(\d+)", re.MULTILINE)
    found = wanted.search(Path("/proc/net/tcp").read_text())
    return _holder(f"socket:[{found[1]}]") if found else 0


def _holder(what: str) -> int:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    if str(descriptor.readlink()) == what:
                        return int(process.name)
    return 0
