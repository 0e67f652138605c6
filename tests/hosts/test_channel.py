"""Messages between hosts: whole, sealed, and from nobody who does not know the secret."""

import socket
import threading

import numpy as np
import pytest

from a3c_bench.errors import BadInputError
from a3c_bench.training.exchange import channel
from a3c_bench.training.exchange.channel import Channel, Message, StrangerError, greet
from a3c_bench.training.exchange.memory import TURN

SECRET = b"what only these two know"


@pytest.fixture
def sockets():
    with socket.create_server(("127.0.0.1", 0)) as server:
        joined = socket.create_connection(server.getsockname())
        led, _ = server.accept()
    yield joined, led
    for one in (joined, led):
        one.close()


def greeted(sockets, secrets=(SECRET, SECRET)):
    """What each side makes of the other: a key, or an exception."""
    found = [None, None]

    def meet(side):
        try:
            found[side] = greet(sockets[side], secrets[side], side == 0)
        except (StrangerError, EOFError, OSError) as error:
            found[side] = error
            sockets[side].close()

    threads = [threading.Thread(target=meet, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture
def channels(sockets):
    keys = greeted(sockets)
    return tuple(
        Channel(one, "other", key, joined=side == 0) for side, (one, key) in enumerate(zip(sockets, keys, strict=True))
    )


def test_a_message_arrives_as_it_was_sent(channels):
    turns = np.zeros(3, TURN)
    turns["update"] = [1, 2, 3]
    arrays = {"turns": turns, "model": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2], "none": np.empty(0)}
    channels[0].send(Message("kind", {"a": [1, None], "ß": True}, arrays))
    received = channels[1].receive()
    assert (received.kind, received.values) == ("kind", {"a": [1, None], "ß": True})
    for name, array in arrays.items():
        assert received.arrays[name].dtype == array.dtype
        assert np.array_equal(received.arrays[name], array)


def test_both_sides_make_one_key_and_another_each_time(sockets):
    first = greeted(sockets)
    assert first[0] == first[1]
    assert greeted(sockets)[0] != first[0]


@pytest.mark.parametrize("ignorant", [0, 1])
def test_who_does_not_know_the_secret_is_found_out(sockets, ignorant):
    secrets = [SECRET, SECRET]
    secrets[ignorant] = b"something else"
    found = greeted(sockets, secrets)
    assert all(isinstance(one, StrangerError | EOFError | OSError) for one in found)
    assert isinstance(found[1], StrangerError)


def test_a_proof_that_was_heard_is_of_no_use(sockets):
    """The head's own proof, sent back to it, is not a joining host's."""
    numbers = b"0" * channel.NONCE

    def echo():
        sockets[0].sendall(numbers)
        own = sockets[0].recv(channel.NONCE)
        sockets[0].sendall(channel.hmac.digest(SECRET, b"leads" + numbers + own, "sha256"))

    thread = threading.Thread(target=echo)
    thread.start()
    with pytest.raises(StrangerError):
        greet(sockets[1], SECRET, False)
    thread.join()


@pytest.mark.parametrize("what", ["changed", "again", "back"])
def test_a_message_that_is_not_the_next_of_the_other_side_is_refused(channels, sockets, what):
    joined, led = channels
    joined.send(Message("first"))
    sent = sockets[1].recv(1 << 16)
    if what == "changed":
        sockets[0].sendall(sent.replace(b"first", b"f1rst"))
    elif what == "again":
        sockets[0].sendall(sent + sent)
        assert led.receive().kind == "first"
    else:
        sockets[1].sendall(sent)
        led = joined
    with pytest.raises(StrangerError, match="was changed"):
        led.receive()


def test_objects_are_not_unpickled(channels):
    array = np.array([print], object)
    with pytest.raises(ValueError, match="OBJECT"):
        channels[0].send(Message("kind", {}, {"x": array}))
        channels[1].receive()


def test_a_side_that_is_not_heard_is_silent(channels):
    joined, led = channels
    led.be_heard(0.2)
    joined.be_heard(0.2)
    for _ in range(20):
        assert led.receive().kind == channel.BEAT
        assert not led.is_silent
    joined.close()
    with pytest.raises((EOFError, OSError)):
        while True:
            led.receive()


def test_a_secret_that_others_can_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.write_text("0123456789abcdef\n")
    monkeypatch.delenv(channel.SECRET, raising=False)
    monkeypatch.setenv(channel.SECRET_FILE, str(path))
    path.chmod(0o640)
    with pytest.raises(BadInputError, match=r"open to other users; `chmod 600"):
        channel.read_secret()
    path.chmod(0o600)
    assert channel.read_secret() == b"0123456789abcdef"
