"""The errors that a user is meant to read, and how they are told: one line each, no traceback."""

import re
import sys

LONGEST, LONGEST_WORD = 800, 300
"""Of what is longer the middle is left out: what a line is about comes first, and what to do last."""


class BadInputError(Exception):
    """Something the user gave is wrong: the message names it, its value, and what is allowed (exit code 2)."""


class TrainingError(Exception):
    """Training stopped before its end: a worker died or a loss was not finite (exit code 1)."""

    def __str__(self) -> str:
        # What follows the message is a worker's traceback, for those who ask for it.
        return str(self.args[0]) if self.args else ""


class LostWorkerError(TrainingError):
    """A worker died; what the others did since the last checkpoint is lost with it."""


def say(line: str) -> None:
    """Tell the user."""
    print(f"a3c-bench: {printable(line)}", file=sys.stderr)


def printable(text: str) -> str:
    """One line that does nothing to a terminal, whatever names are in it."""
    words = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: _cut(word[0], LONGEST_WORD // 2), text)
    # Cut before too: a name can be larger than anything that is worth escaping.
    return _cut("".join(map(_shown, _cut(words, LONGEST))), LONGEST)


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 :]}"


def describe_error(error: BaseException) -> str:
    """What somebody else's code raised: its type and what it says, if it can say it."""
    try:
        said = " ".join(str(error).split())
    except BaseException:  # its own code too may raise anything
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error)
