"""Messages between hosts: JSON and raw arrays, each sealed with a key that only who knows the secret can make.

Both sides first prove that they know it (HMAC, RFC 2104, over fresh numbers of both). A message's seal covers its
direction and its number, so that none can be changed, left out, or sent again. Nothing is encrypted, and nothing is
unpickled here: packed actors travel as bytes, and are unpickled only by whom a sealed message has reached.
"""

import hashlib
import hmac
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.errors import BadInputError
from a3c_bench.params import open_plain

SECRET, SECRET_FILE = "A3C_BENCH_SECRET", "A3C_BENCH_SECRET_FILE"
SHORTEST_SECRET = 16
NONCE, SEAL, LENGTH = 32, 32, 8
LONGEST_MESSAGE, PIECE = 1 << 40, 1 << 20
GREETING_SECONDS = 5.0
"""For the proof; before it, not more than two numbers are read."""
BEAT = "beat"
BEATS_IN_SILENCE = 5
"""So often a side lets hear of it in the time after which it would count as lost."""


class StrangerError(Exception):
    """The other side did not prove that it knows the secret, or a message is not as it was sent."""


def read_secret() -> bytes:
    """What all hosts know and nobody else; raises `BadInputError` where there is none, or others can read it."""
    text, path = os.environ.get(SECRET, ""), os.environ.get(SECRET_FILE, "")
    if not text and not path:
        raise BadInputError(
            f"{SECRET}: missing; several hosts need one secret: set it to the same text on all of them, or "
            f"{SECRET_FILE} to a file that only you can read"
        )
    secret = text.encode() if text else _from_file(Path(path))
    if len(secret) < SHORTEST_SECRET:
        raise BadInputError(f"{SECRET if text else SECRET_FILE}: too short; at least {SHORTEST_SECRET} characters")
    return secret


def _from_file(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise BadInputError(f"{SECRET_FILE}: {path} is open to other users; `chmod 600 {path}` closes it")
            return file.read().strip()
    except OSError as error:
        raise BadInputError(f"{SECRET_FILE}: {path} cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class Message:
    """One message: of which kind, values that JSON knows, and arrays."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Channel:
    """An open connection with a host that knows the secret; it lets hear of itself, and is told when the other does."""

    def __init__(self, connection: socket.socket, name: str, key: bytes, joined: bool) -> None:
        """key: see `greet`. joined: this is the side that connected."""
        self.name, self.silence = name, GREETING_SECONDS
        self.connection, self._key = connection, key
        self._ways = (b"up", b"down") if joined else (b"down", b"up")
        self._sent = self._received = 0
        self._sending, self._closed = threading.Lock(), threading.Event()
        self.heard = time.monotonic()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def be_heard(self, silence: float) -> None:
        """From now on both sides let hear of themselves; seconds after which one that is not heard counts as lost."""
        self.silence = silence
        self.connection.settimeout(silence)
        threading.Thread(target=self._beat, name=f"beat {self.name}", daemon=True).start()

    @property
    def address(self) -> str:
        """This side's."""
        return str(self.connection.getsockname()[0])

    @property
    def is_silent(self) -> bool:
        """Whether the other side was not heard for too long."""
        return time.monotonic() - self.heard > self.silence

    def send(self, message: Message) -> None:
        """Send it whole; raises `OSError` where that takes too long."""
        arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
        about = {name: [np.lib.format.dtype_to_descr(array.dtype), array.shape] for name, array in arrays.items()}
        head = json.dumps([message.kind, message.values, about]).encode()
        parts = [len(head).to_bytes(LENGTH, "little"), head, *(array.tobytes() for array in arrays.values())]
        body = b"".join(parts)
        with self._sending:
            seal = self._seal(self._ways[0], self._sent, body)
            self._sent += 1
            self.connection.sendall(len(body).to_bytes(LENGTH, "little") + seal)
            # In pieces: the time-out is for a whole call, and a checkpoint may be large.
            for start in range(0, len(body), PIECE):
                self.connection.sendall(memoryview(body)[start : start + PIECE])

    def receive(self) -> Message:
        """The next message; raises `EOFError` at the end, `OSError` in too long a silence, and `StrangerError`."""
        length = int.from_bytes(self._exactly(LENGTH), "little")
        if length > LONGEST_MESSAGE:
            raise StrangerError(f"{self.name}: what came is no message")
        seal, body = self._exactly(SEAL), self._exactly(length)
        if not hmac.compare_digest(seal, self._seal(self._ways[1], self._received, body)):
            raise StrangerError(f"{self.name}: a message was changed on its way")
        self._received += 1
        return _opened(body)

    def receive_word(self) -> Message:
        """The next message that is more than a sign of life."""
        while (message := self.receive()).kind == BEAT:
            pass
        return message

    def close(self) -> None:
        """End the connection."""
        self._closed.set()
        self.connection.close()

    def _beat(self) -> None:
        with suppress(OSError):
            while not self._closed.wait(self.silence / BEATS_IN_SILENCE):
                self.send(Message(BEAT))

    def _seal(self, way: bytes, number: int, body: bytes) -> bytes:
        return hmac.digest(self._key, way + number.to_bytes(LENGTH, "little") + hashlib.sha256(body).digest(), "sha256")

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        for part in parts_of(self.connection, size):
            self.heard = time.monotonic()
            received += part
        return bytes(received)


def parts_of(connection: socket.socket, size: int) -> Iterator[bytes]:
    """So many bytes, as they come; raises `EOFError` if the other side ends before."""
    while size:
        part = connection.recv(min(size, PIECE))
        if not part:
            raise EOFError
        size -= len(part)
        yield part


def _opened(body: bytes) -> Message:
    start = LENGTH + int.from_bytes(body[:LENGTH], "little")
    kind, values, about = json.loads(body[LENGTH:start])
    arrays = {}
    for name, (description, shape) in about.items():
        dtype = np.dtype(description if isinstance(description, str) else _as_fields(description))
        size = int(np.prod(shape, dtype=np.int64))
        # Of a dtype that holds objects this makes nothing, but raises.
        arrays[name] = np.frombuffer(body, dtype, size, start).reshape(shape)
        start += size * dtype.itemsize
    return Message(kind, values, arrays)


def _as_fields(description: list[list[Any]]) -> list[tuple[Any, ...]]:
    # JSON knows no tuples.
    return [tuple(one) for one in description]


def greet(connection: socket.socket, secret: bytes, joined: bool) -> bytes:
    """Prove to each other that both know the secret; gives the key of this connection.

    The side that joins goes first. Raises `StrangerError` where the other side's proof is wrong.
    """
    connection.settimeout(GREETING_SECONDS)
    own = secrets.token_bytes(NONCE)
    connection.sendall(own)
    other = b"".join(parts_of(connection, NONCE))
    numbers = own + other if joined else other + own
    proofs = [hmac.digest(secret, label + numbers, "sha256") for label in (b"joins", b"leads")]
    if joined:
        connection.sendall(proofs[0])
        right = _is(connection, proofs[1])
    else:
        right = _is(connection, proofs[0])
        # What is no proof tells the other that it is refused, and that the head has not just ended.
        connection.sendall(proofs[1] if right else bytes(SEAL))
    if not right:
        raise StrangerError("does not know the secret")
    return hmac.digest(secret, b"seals" + numbers, "sha256")


def _is(connection: socket.socket, expected: bytes) -> bool:
    return hmac.compare_digest(b"".join(parts_of(connection, SEAL)), expected)
