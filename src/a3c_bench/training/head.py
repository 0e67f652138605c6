"""The head of a training over hosts: it listens for others, and starts them together, again where one is lost."""

import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

from a3c_bench.config import Config
from a3c_bench.errors import BadInputError, TrainingError, printable, say
from a3c_bench.training.checkpoint import Checkpoint
from a3c_bench.training.company import Company, LateHostError, OtherHost, Word, as_message
from a3c_bench.training.exchange.channel import Channel, Message, StrangerError, greet, read_secret
from a3c_bench.training.exchange.hosts import Meeting
from a3c_bench.training.share import Share

HEAD, HOSTS = "A3C_BENCH_HEAD", "A3C_BENCH_HOSTS"
STOPPING_SECONDS = 10.0
"""For ending the workers of another host."""
LOOK_SECONDS = 0.2


def asked(config: Config) -> Config:
    """The config with as many hosts as the environment variable asks for, if it does."""
    value = os.environ.get(HOSTS, "")
    if not value:
        return config
    if not re.fullmatch("[0-9]{1,4}", value):
        raise BadInputError(f"{HOSTS}: {value[:60]!r} is not allowed: a number of hosts")
    return config.changed(hosts=int(value))


def require_hosts(config: Config, algorithms: Iterable[str]) -> None:
    """Raise `BadInputError` where params or variables do not allow so many hosts for trainings of `algorithms`."""
    if config.hosts == 1:
        return
    if config.schedule != "ordered":
        raise BadInputError(
            f"schedule: {config.schedule} is not allowed with hosts {config.hosts}: each host has a model of its own, "
            "which stay equal only where all take the turns in one order; use ordered, or one host"
        )
    for name in algorithms:
        actors = config.algorithm(name).actors
        if config.hosts > actors:
            raise BadInputError(f"hosts: {config.hosts} are more than {name} has actors, which are {actors}")
    address_of_head()
    read_secret()


def address_of_head() -> tuple[str, int]:
    """Where the head listens: an address of this machine, and a port."""
    value = os.environ.get(HEAD, "")
    if not value:
        raise BadInputError(f"{HEAD}: missing; with several hosts it is the head's own ADDRESS:PORT, which others join")
    return parse_address(HEAD, value)


def parse_address(name: str, value: str) -> tuple[str, int]:
    """`ADDRESS:PORT`, the address looked up; raises `BadInputError` that names where it is from."""
    address, _, port = value.rpartition(":")
    if not address or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise BadInputError(f"{name}: {value[:100]!r} is not allowed: ADDRESS:PORT, for example 10.0.0.1:29400")
    try:
        found = socket.gethostbyname(address)
    except (OSError, UnicodeError):
        raise BadInputError(f"{name}: {printable(address[:100])} is no address, nor a name that is known") from None
    if found == "0.0.0.0":  # refused
        raise BadInputError(f"{name}: {address} is not allowed: it would open a port on every interface; name one")
    return found, int(port)


class Head:
    """Listens at one address while its training lasts, to nobody else's benefit who does not know the secret."""

    def __init__(self, config: Config, algorithm: str, seed: int, identity: Mapping[str, Any]) -> None:
        """identity: what must be the same on all hosts."""
        require_hosts(config, [algorithm])
        self.hosts, self._joining = config.hosts, config.joining
        self._address, self._secret = address_of_head(), read_secret()
        about = {"params": config.params(), "algorithm": algorithm, "seed": seed, "identity": dict(identity)}
        self._offer = Message(Word.OFFER, {**about, "silence": config.joining.silence, "wait": config.joining.wait})
        self._waiting: list[Channel] = []
        """Hosts that agreed and are in no company."""
        self._arrival = threading.Condition()
        self._together: list[OtherHost] = []
        self._company: Company | None = None
        self._came_late: set[str] = set()
        """Hosts for which training began again: for each once, or one that comes and goes would use up all restarts."""
        self._begun = False
        self._actors, self._seconds = config.algorithm(algorithm).actors, config.checkpoint.seconds
        self._copies_due, self._copying = time.monotonic() + self._seconds, list[threading.Thread]()

    def __enter__(self) -> "Head":
        where = ":".join(map(str, self._address))
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(self._address)
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise BadInputError(f"{HEAD}: this machine cannot listen at {where} ({error.strerror})") from None
        threading.Thread(target=self._accept, name="head", daemon=True).start()
        say(f"waits at {where} for {self.hosts - 1} more: there, a3c-bench join {where} --interface NAME")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that waits for it would keep it open.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._arrival:
            for channel in [*self._waiting, *(host.channel for host in self._together)]:
                if kind is None:
                    with suppress(OSError):
                        channel.send(Message(Word.COMPLETE))
                channel.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, (address, _) = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._welcome, args=(connection, address), daemon=True).start()

    def _welcome(self, connection: socket.socket, address: str) -> None:
        """Hear who it is, and whether it computes the same."""
        try:
            channel = Channel(connection, address, greet(connection, self._secret, False), joined=False)
            channel.send(self._offer)
            channel.be_heard(self._joining.silence)
            answer = channel.receive_word()
        except StrangerError as error:
            connection.close()
            say(f"{address} is refused: {error}")
        except (EOFError, OSError, ValueError):
            connection.close()
        else:
            if answer.kind == Word.AGREED:
                channel.name = str(answer.values["name"])
                with self._arrival:
                    self._waiting.append(channel)
                    self._arrival.notify()
            else:
                say(f"host {address} is refused: {answer.values.get('what')}")
                channel.close()

    def gather(self, start: Checkpoint | None) -> Company | None:
        """Start all hosts that are there, with this one; waits for as many as are asked for, the first time only.

        None where none is there any more.
        """
        deadline = time.monotonic() + self._joining.wait
        self._disband()
        while not self._begun and len(self._waiting) < self.hosts - 1:
            if time.monotonic() > deadline:
                there = ", ".join(channel.name for channel in self._waiting) or "none"
                raise TrainingError(
                    f"hosts: {self.hosts - 1} others are asked for, and after {self._joining.wait:g} s there are: "
                    f"{there}; more time: joining.wait"
                )
            with self._arrival:
                self._arrival.wait(LOOK_SECONDS)
            self._drop_the_lost()
        self._begun = True
        self._drop_the_lost()
        return self._start(start) if self._waiting else None

    def _start(self, start: Checkpoint | None) -> Company:
        with self._arrival:
            channels, self._waiting = self._waiting[: self.hosts - 1], self._waiting[self.hosts - 1 :]
        self._together = [
            OtherHost(channel, Share(number, 1 + len(channels))) for number, channel in enumerate(channels, 1)
        ]
        address = self._address[0]
        listener = socket.socket()
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        meeting = Meeting(address, address, port, self._joining.wait, self._joining.silence + 1, listener)
        company = Company(meeting, Share(0, 1 + len(channels)), list(self._together), self._taken)
        self._company = company
        for host in self._together:
            # One that is gone is found to be so when it is listened to.
            with suppress(OSError):
                host.channel.send(as_message(start, host.share, port))
        return company

    def _taken(self, checkpoint: Checkpoint) -> None:
        """Have all hosts keep a checkpoint, now and then; raise `LateHostError` where one more could take part."""
        if time.monotonic() > self._copies_due and not any(copying.is_alive() for copying in self._copying):
            copy = Message(Word.CHECKPOINT, {}, vars(checkpoint))
            # Training does not wait for a slow network.
            self._copying = [
                threading.Thread(target=send_or_part, args=(host.channel, copy), daemon=True) for host in self._together
            ]
            for copying in self._copying:
                copying.start()
            self._copies_due = time.monotonic() + self._seconds
        if len(self._together) < self.hosts - 1:
            self._drop_the_lost()
            late = [channel.name for channel in self._waiting if channel.name not in self._came_late]
            if late:
                self._came_late.update(late)
                raise LateHostError(f"host {late[0]} takes part from here on")

    def hosts_now(self) -> list[dict[str, Any]]:
        """Of every host that trains: its name, how many actors it has, and the share of their time its workers wait."""
        company = self._company
        if company is None:
            return []
        shares = [company.share, *(host.share for host in company.hosts)]
        waiting = [company.waiting, *(host.waiting for host in company.hosts)]
        names = ["the head", *(host.channel.name for host in company.hosts)]
        return [
            {"name": name, "actors": len(share.actors(self._actors)), "waiting": part}
            for name, share, part in zip(names, shares, waiting, strict=True)
        ]

    def _disband(self) -> None:
        """Have all hosts stop that train together, and wait for those that do."""
        for host in self._together:
            with suppress(OSError):
                host.channel.send(Message(Word.STOP))
        back = [host.channel for host in self._together if has_stopped(host.channel)]
        with self._arrival:
            self._waiting = back + self._waiting

    def _drop_the_lost(self) -> None:
        """Close the connections on which nothing is heard any more."""
        with self._arrival:
            self._waiting = [channel for channel in self._waiting if is_there(channel)]


def send_or_part(channel: Channel, message: Message) -> None:
    """Send a message; one that cannot be sent whole is the last: whoever listens to the other side finds it gone."""
    try:
        channel.send(message)
    except OSError:
        with suppress(OSError):
            channel.connection.shutdown(socket.SHUT_RDWR)


def is_there(channel: Channel) -> bool:
    """Whether a host that has nothing to say is heard."""
    try:
        while wait([channel.connection], 0):
            channel.receive()
    except (EOFError, OSError, StrangerError):
        channel.close()
        return False
    if channel.is_silent:
        channel.close()
    return not channel.is_silent


def has_stopped(channel: Channel) -> bool:
    """Wait until a host says that it has stopped; False where it is gone."""
    deadline = time.monotonic() + channel.silence + STOPPING_SECONDS
    try:
        while channel.receive().kind != Word.STOPPED:
            if time.monotonic() > deadline:
                raise EOFError
    except (EOFError, OSError, StrangerError):
        channel.close()
        return False
    return True
