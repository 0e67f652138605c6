"""The errors that a user is meant to read: one line each, no traceback."""


class BadInputError(Exception):
    """Something the user gave is wrong: the message names it, its value, and what is allowed (exit code 2)."""


class TrainingError(Exception):
    """Training stopped before its end: a worker died or a loss was not finite (exit code 1)."""


class LostWorkerError(TrainingError):
    """A worker died; what the others did since the last checkpoint is lost with it."""
