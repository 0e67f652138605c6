"""A further host of a training: joins where a head trains, computes its share, leaves, and waits for the next."""

import fcntl
import math
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.config import Config, parse_config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError, LostWorkerError, TrainingError, say
from a3c_bench.training.checkpoint import Checkpoint
from a3c_bench.training.company import Company, Word, as_start, kept_part
from a3c_bench.training.exchange.channel import GREETING_SECONDS, Channel, Message, StrangerError, greet
from a3c_bench.training.exchange.handoff import observe_one
from a3c_bench.training.exchange.hosts import Meeting
from a3c_bench.training.exchange.memory import NEVER
from a3c_bench.training.needs import require_room
from a3c_bench.training.pool import POLL_SECONDS, Keep, Pool
from a3c_bench.training.worker import Job

AGAIN_SECONDS = 0.5
"""Between two looks whether there is a head."""
TELL_SECONDS = 1.0
"""Between two times that the head is told how much this host waits."""
SIOCGIFADDR = 0x8915
LOOPBACK = "127."
Identify = Callable[[Config, str, int], Mapping[str, Any]]
"""What must be the same on all hosts, of a training."""
Copies = Callable[[Config, str, int], AbstractContextManager[Keep]]
"""Keeps the checkpoints that the head sends, of a training, until that is complete."""


class StoppedByHeadError(Exception):
    """The head has all hosts begin again, or has ended."""


def address_of(interface: str, head: str) -> str:
    """The IPv4 address of an interface; raises `BadInputError` where it is missing, or cannot reach `head`."""
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        raise BadInputError(f"--interface: {interface!r} is missing; this machine has {', '.join(names)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError as error:
            raise BadInputError(f"--interface: {interface} has no IPv4 address ({error.strerror})") from None
    address = socket.inet_ntoa(answer[20:24])
    if address.startswith(LOOPBACK) and not head.startswith(LOOPBACK):
        raise BadInputError(f"--interface: {interface} is loopback ({address}), from which {head} cannot be reached")
    return address


class Joiner:
    """Joins every training of one head."""

    def __init__(
        self,
        head: tuple[str, int],
        address: str,
        secret: bytes,
        identify: Identify,
        copies: Copies,
        workers: int | None = None,
        patience: float | None = None,
    ) -> None:
        """address: this host's own. workers: how many, if others than the head's params say. patience: see `run`."""
        self._head, self._address, self._secret = head, address, secret
        self._identify, self._copies, self._workers = identify, copies, workers
        self._copied: Checkpoint | None = None
        """Of the head's last."""
        self._patience = math.inf if patience is None else patience
        self._name = f"{socket.gethostname()} ({address})"

    @property
    def _where(self) -> str:
        return ":".join(map(str, self._head))

    def run(self) -> None:
        """Join, and wait for the next; return when there is none for `patience` seconds.

        Raises `BadInputError` where it is refused, or there was none at all.
        """
        joined = False
        while (channel := self._connected()) is not None:
            joined = True
            try:
                self._join(channel)
            except (EOFError, OSError) as error:
                how = "has ended" if isinstance(error, EOFError) else "is lost"
                say(f"the head at {self._where} {how}{self._left()}")
            except StrangerError as error:
                raise BadInputError(f"the head at {self._where}: {error}") from None
            finally:
                channel.close()
        if not joined:
            raise BadInputError(f"HEAD:PORT: there was no training at {self._where} in {self._patience:g} s")
        say(f"leaves: there was no further training at {self._where} in {self._patience:g} s")

    def _connected(self) -> Channel | None:
        """A connection with the head, as soon as there is one; None where patience ends before."""
        told, deadline = False, time.monotonic() + self._patience
        while time.monotonic() < deadline:
            connection = socket.socket()
            try:
                connection.bind((self._address, 0))
                connection.settimeout(GREETING_SECONDS)
                connection.connect(self._head)
                key = greet(connection, self._secret, True)
                return Channel(connection, self._where, key, joined=True)
            except StrangerError as error:
                connection.close()
                raise BadInputError(f"the head at {self._where}: {error}") from None
            except (OSError, EOFError):
                connection.close()
                if not told:
                    say(f"waits for a training at {self._where}")
                    told = True
                time.sleep(AGAIN_SECONDS)
        return None

    def _left(self) -> str:
        """What is left of the head here, in words."""
        if self._copied is None:
            return ""
        return f"; its checkpoint at turn {self._copied.turn:,} is kept here too: this machine can be the head instead"

    def _join(self, channel: Channel) -> None:
        job, self._copied = self._agreed(channel), None
        say(f"joins {job.algorithm} seed {job.seed} of {self._where}")
        with self._copies(job.config, job.algorithm, job.seed) as keep:
            while (message := channel.receive_word()).kind != Word.COMPLETE:
                if message.kind == Word.START:
                    self._train(job, channel, message, keep)
                elif message.kind == Word.STOP:
                    channel.send(Message(Word.STOPPED))
                elif message.kind == Word.CHECKPOINT:
                    self._keep_copy(keep, message)
        say(f"{job.algorithm} seed {job.seed} of {self._where} is complete")

    def _keep_copy(self, keep: Keep, message: Message) -> None:
        self._copied = Checkpoint(**message.arrays)
        keep(self._copied)

    def _agreed(self, channel: Channel) -> Job:
        """What is trained, once it is known that both sides compute the same."""
        offer = channel.receive_word()
        if offer.kind != Word.OFFER:
            raise StrangerError("does not say what it trains")
        channel.be_heard(offer.values["silence"])
        self._wait = offer.values["wait"]
        try:
            job = self._job(offer.values)
        except BadInputError as error:
            channel.send(Message(Word.DIFFERS, {"what": str(error)}))
            raise
        channel.send(Message(Word.AGREED, {"name": self._name}))
        return job

    def _job(self, offer: Mapping[str, Any]) -> Job:
        """Raises `BadInputError` where this host would compute something else, or cannot compute it."""
        config = parse_config(offer["params"], Path(f"params of {self._where}"))
        config = config if self._workers is None else config.changed(workers=self._workers)
        algorithm, seed = offer["algorithm"], offer["seed"]
        differing = differences(offer["identity"], self._identify(config, algorithm, seed))
        if differing:
            raise BadInputError(f"this host would not compute what the head does: {'; '.join(differing)}")
        environment = describe(config.recipe)
        require_room(config, environment, [algorithm])
        return Job(config, algorithm, seed, environment)

    def _train(self, job: Job, channel: Channel, message: Message, keep: Keep) -> None:
        share, port, start = as_start(message)
        meeting = Meeting(self._address, self._head[0], port, self._wait, channel.silence + 1)
        actors = share.actors(job.settings.actors)
        turn = start.turn if start else 0
        say(f"host {share.number} of {share.hosts}: actors {actors.start} – {actors.stop - 1} from turn {turn:,} on")
        try:
            with JoinedPool(replace(job, share=share), start, Company(meeting, share), channel) as pool:
                pool.train(lambda message: self._keep_copy(keep, message))
        except StoppedByHeadError:
            channel.send(Message(Word.STOPPED))
        except LostWorkerError as error:
            channel.send(Message(Word.LOST, {"message": str(error)}))
        except TrainingError as error:
            channel.send(Message(Word.FAILED, {"message": str(error)}))


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words."""
    keys = sorted({*theirs, *ours})
    return [
        f"{key} is {_short(ours.get(key))}, and the head's {_short(theirs.get(key))}"
        for key in keys
        if theirs.get(key) != ours.get(key)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


class JoinedPool(Pool):
    """The workers of a host that is not the head: what they tell is passed on to it."""

    def __init__(self, job: Job, start: Any, company: Company, head: Channel) -> None:
        super().__init__(job, start, company=company)
        self._head, self._kept_after, self._told_of_pinned = head, NEVER, False

    def train(self, copied: Callable[[Message], None]) -> None:
        """Return when all turns are taken; raises `StoppedByHeadError` when the head says so.

        copied: is given every checkpoint that the head sends.
        """
        due = time.monotonic()
        while self.speakers:
            self._hear_head(copied)
            self.receive(POLL_SECONDS)
            self._pass_on()
            if time.monotonic() > due:
                self._tell_waiting()
                due = time.monotonic() + TELL_SECONDS
        self._pass_on()
        self._tell_waiting()
        self._head.send(Message(Word.DONE))

    def _tell_waiting(self) -> None:
        self._head.send(Message(Word.WAITED, {"share": self.waiting_share()}))

    def take_episodes(self, episodes: NDArray[np.void]) -> NDArray[np.float64]:
        """Pass episodes (`EPISODE`) on to the head."""
        self._head.send(Message(Word.EPISODES, {}, {"episodes": episodes}))
        return episodes["return"]

    def _hear_head(self, copied: Callable[[Message], None]) -> None:
        while wait([self._head.connection], 0):
            message = self._head.receive()
            if message.kind == Word.STOP:
                raise StoppedByHeadError
            if message.kind == Word.CHECKPOINT:
                copied(message)
        if self._head.is_silent:
            raise TimeoutError

    def _pass_on(self) -> None:
        """Send the head this host's part of the checkpoint that is being taken, once it is complete."""
        if not self.has_checkpoints and not self._told_of_pinned:
            self._head.send(Message(Word.PINNED))
            self._told_of_pinned = True
        after = observe_one(self.tables.keep_after, 0)
        part = kept_part(self.tables, self.job.actors) if after != self._kept_after else None
        if part is not None:
            # What the workers told of before it became complete is on its way.
            while wait([speaker.source for speaker in self.speakers], 0):
                self.receive(0)
            self._head.send(part)
            self._kept_after = after
