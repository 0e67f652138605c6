"""Bad inputs through the command line: what is wrong with each must be told in one line, soon, and nothing hangs."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from a3c_bench.algorithms.registry import settings_class
from a3c_bench.config import Config
from a3c_bench.evidence.chaos.bad_environments import MODULE, NAME, NAMES, bad_environments
from a3c_bench.evidence.chaos.bad_networks import NO_NETWORKS, TARGET, bad_networks
from a3c_bench.evidence.chaos.surroundings import kill_session
from a3c_bench.evidence.chaos.victim import SOURCE, inherited
from a3c_bench.params import PARAMS_FILE, flatten
from a3c_bench.progress import Progress
from a3c_bench.results.files import BAD_INPUTS, csv_bytes

AT_ONCE = 4
CPU_SECONDS, WALL_SECONDS = 5, 30.0
TRACKING_SECONDS = 120.0
"""After its end: the process that logs to MLflow takes only what others leave over of the CPU, here little."""
LONGEST_LINE = 1000
BAD_INPUT, FAILED = 2, 1
"""Exit codes: an input that is wrong, and a training that failed."""
UPDATES = 1000
COLUMNS = ("kind", "tried", "told_in_one_line")
COMMANDS = ("check", "train", "check", "evaluate", "check", "film")
"""That have to look at an environment first; in turns."""
WRONG_VALUES: tuple[Any, ...] = (
    None,
    {"a": {"b": 1}},
    [[1], None],
    float("nan"),
    "no such",
    -1,
    [],
    "1e999",
    -(10**30),
    "\ud800",
    "x" * 10_000,
)
"""Each is wrong for every key."""
OPTIONAL = {key for key, field in Config.model_fields.items() if not field.is_required()}
"""Keys that may be missing."""
NO_PARAMS = {
    "empty": b"",
    "one NUL": b"\0",
    "many NULs": bytes(10_000),
    "UTF-16": "env: CartPole-v1".encode("utf-16"),
    "Latin-1": "env: Käfig".encode("latin-1"),
    "a list": b"- 1\n- 2\n",
    "a text": b"just text",
    "a number": b"5",
    "a date": b"2026-11-23",
    "two documents": b"--- {}\n--- {}\n",
    "a YAML that there is not": b"%YAML 9.9\n---\nenv:\n",
    "not closed": b"env: [1, 2",
    "a tabulator": b"env:\n\t- 1\n",
    "a key twice": b"env: a\nenv: b\n",
    "an object of Python": b"env: !!python/object/apply:os.getcwd []\n",
    "an alias of nothing": b"env: *nowhere\n",
    "a list in itself": b"&a [*a]\n",
    "nested too deeply": b"[" * 20_000,
    "aliases without end": b"a: &a [x]\n"
    + b"".join(b"a%d: &a [%s]\n" % (i, b",".join([b"*a"] * 9)) for i in range(12)),
    "a number of 10,000 digits": b"workers: " + b"9" * 10_000,
}
NO_FILE: Mapping[str, Callable[[Path], object]] = {
    "missing": Path,
    "a folder": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/ptmx"),
    "a named pipe": os.mkfifo,
}
"""Each makes something else in the place of the file."""
GIVEN: Mapping[str, Sequence[Any]] = {
    "max_episode_steps": (0, -1, 1.5, "long", [5]),
    "env_kwargs": ("none", [1], {"no": 1}, {"1": None}, {"self": 1}),
    "wrappers": ("os:getcwd", [1], ["no.such:Name"], ["os:nothing"], ["os.path:join"], ["no colon"], ["builtins:repr"]),
}
"""Wrong values of what is given with the environment's name."""
NETWORK = "network"
"""The key that names one, of the algorithms that take any."""
NO_SEEDS = ("x", "''", "' '", "-1", "1.5", "1e3", "0x1", "4294967296", "٣", "1,2", "9" * 5000)
NO_ALGORITHMS = ("nobody", "''", "' '", "../x", "'two words'", "$(true)", "x" * 5000)
NO_COUNTS = ("0", "-1", "1.5", "x", "''", "9" * 5000 + "x")
COUNTED = ("chaos --faults", "watch --episodes", "verify --workers")
ARGUMENTS = (
    "fly",
    "''",
    "Check",
    "--no",
    "-x check",
    "check more",
    "check --no",
    "check -q",
    "--log check",
    "--log xml check",
    "--log '' check",
    "--quiet=perhaps check",
    "train --seed",
    "train --algorithm",
    "train --fresh=perhaps",
    "train 0",
    "machine more",
    "report more",
    "watch --moment late",
    "watch --moment",
    "verify --seeds x",
    "verify --schedule",
    "verify more",
    "bench-check --budget 0",
    "bench-check --budget x",
    *(f"{command} --seed {seed}" for seed, command in zip(NO_SEEDS, cycle(("train", "evaluate")), strict=False)),
    *(f"{command} --algorithm {name}" for name, command in zip(NO_ALGORITHMS, cycle(("train", "film")), strict=False)),
    *(f"{option} {count}" for option in COUNTED for count in NO_COUNTS),
)
VARIABLES = (
    {"A3C_BENCH_LOG": "xml"},
    {"A3C_BENCH_QUIET": "perhaps"},
    {"A3C_BENCH_FRESH": "perhaps"},
    {"NPY_DISABLE_CPU_FEATURES": "X86_V2"},
    {"NPY_DISABLE_CPU_FEATURES": "X86_V4", "NPY_ENABLE_CPU_FEATURES": "X86_V3"},
)


@dataclass(frozen=True)
class BadInput:
    """A command, and what is wrong with it or with what it finds in its folder."""

    kind: str
    name: str
    arguments: Sequence[str]
    params: bytes
    module: bytes | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    place: Callable[[Path], object] | None = None
    """Makes something else in the place of the file of params."""
    exit_code: int = BAD_INPUT


def bad_inputs(config: Config) -> list[BadInput]:
    """All of them; the params differ from the config's in what is wrong only."""
    params = good_params(config)
    makers = (_environments, _names, _given, _networks, _values, _keys, _files, _options)
    return [made for maker in makers for made in maker(params)]


def sample(inputs: Sequence[BadInput], count: int | None) -> Sequence[BadInput]:
    """So many of them, of as many kinds as that allows."""
    return inputs if count is None else inputs[:: -(-len(inputs) // count)]


def good_params(config: Config) -> dict[str, Any]:
    """The config's, for one short training, by rewards that mean something everywhere.

    No restarts: each would be told in a line of its own.
    """
    required = {key: value for key, value in config.with_budget(UPDATES).params().items() if key not in OPTIONAL}
    params = {**required, "seeds": [0], "max_restarts": 0}
    for section in params.values():
        if isinstance(section, dict) and "reward" in section:
            section["reward"] = "env"
    return params


def as_yaml(params: Mapping[str, Any]) -> bytes:
    """JSON is YAML."""
    return json.dumps(params).encode()


def _environments(params: dict[str, Any]) -> Iterator[BadInput]:
    text = as_yaml({**params, "env": NAME})
    for environment, command in zip(bad_environments(), cycle(COMMANDS), strict=False):
        code = FAILED if environment.too_late else BAD_INPUT
        arguments = ["train"] if environment.too_late else [command]
        yield BadInput(environment.kind, environment.name, arguments, text, environment.module, exit_code=code)


def _names(params: dict[str, Any]) -> Iterator[BadInput]:
    for name, command in zip(NAMES, cycle(COMMANDS), strict=False):
        yield BadInput("environment that there is not", repr(name), [command], as_yaml({**params, "env": name}))


def _given(params: dict[str, Any]) -> Iterator[BadInput]:
    wrong = [(key, value) for key, values in GIVEN.items() for value in values]
    for (key, value), command in zip(wrong, cycle(COMMANDS), strict=False):
        text = as_yaml({**params, key: value})
        yield BadInput("environment made with what it does not take", f"{key}: {value!r}", [command], text)


def _networks(params: dict[str, Any]) -> Iterator[BadInput]:
    section = next(
        (key for key, value in params.items() if key in params["algorithms"] and NETWORK in taken(value)), ""
    )
    if section:
        modules = [(TARGET, name, module) for name, module in bad_networks()]
        names = [(target, repr(target), b"") for target in NO_NETWORKS]
        for (target, name, module), command in zip([*modules, *names], cycle(COMMANDS), strict=False):
            named = {**params, section: {**params[section], "hidden": None, NETWORK: target}}
            yield BadInput("network that cannot be trained", name, [command], as_yaml(named), module)


def taken(section: Mapping[str, Any]) -> Collection[str]:
    """The keys that a section of this kind may have."""
    return settings_class(section["kind"]).model_fields


def _values(params: dict[str, Any]) -> Iterator[BadInput]:
    for (key, _), value, command in zip(flatten(params), cycle(WRONG_VALUES), cycle(COMMANDS), strict=False):
        text = as_yaml(changed(params, key, lambda section, last, value=value: section.update({last: value})))
        yield BadInput("params with a wrong value", f"{key}: {value!r}", [command], text)


def _keys(params: dict[str, Any]) -> Iterator[BadInput]:
    for number, (key, _) in enumerate(flatten(params)):
        if number % 3 == 0:
            yield BadInput("params without a key", key, ["check"], as_yaml(changed(params, key, dict.pop)))
        elif number % 3 == 1:
            text = as_yaml(changed(params, key, lambda section, last: section.update({f"{last}s ": section.pop(last)})))
            yield BadInput("params with a misspelt key", key, ["check"], text)


def changed(params: dict[str, Any], key: str, change: Callable[..., object]) -> dict[str, Any]:
    """A copy; `change` is called with the section that has the key, and the key's last part."""
    copy = deepcopy(params)
    *path, last = key.split(".")
    section = copy
    for part in path:
        section = section[part]
    change(section, last)
    return copy


def _files(params: dict[str, Any]) -> Iterator[BadInput]:
    for name, content in NO_PARAMS.items():
        yield BadInput("a file that is no params", name, ["check"], content)
    for name, place in NO_FILE.items():
        yield BadInput("no file of params", name, ["check"], as_yaml(params), place=place)


def _options(params: dict[str, Any]) -> Iterator[BadInput]:
    text = as_yaml(params)
    for line in ARGUMENTS:
        yield BadInput("wrong arguments", line, shlex.split(line), text)
    for variables in VARIABLES:
        name = ", ".join(f"{key}={value}" for key, value in variables.items())
        yield BadInput("wrong variables", name, ["train"], text, variables=variables)


def answered(bad: BadInput) -> str:
    """What is wrong with how the command answers it; nothing if it is told as it has to be."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as name:
        folder = Path(name)
        place = bad.place or partial(Path.write_bytes, data=bad.params)
        place(folder / PARAMS_FILE)
        if bad.module is not None:
            (folder / MODULE).write_bytes(bad.module)
        with _start(bad, folder) as process:
            try:
                process.wait(WALL_SECONDS)  # one line fits into a pipe, whoever reads it
                said, errors = process.communicate(timeout=TRACKING_SECONDS)
            except subprocess.TimeoutExpired:
                if process.poll() is None:
                    return f"it is there after {WALL_SECONDS:g} s"
                return f"a process of its is there {TRACKING_SECONDS:g} s after its end"
            finally:
                kill_session(process)
    return judged(bad, process.returncode, *(text.decode(errors="replace") for text in (said, errors)))


def _start(bad: BadInput, folder: Path) -> "subprocess.Popen[bytes]":
    # A shell sets the limit: between fork and exec Python must not, where there are threads.
    limited = ["sh", "-c", f'ulimit -t {CPU_SECONDS} && exec "$@"', "sh"]
    return subprocess.Popen(
        [*limited, sys.executable, "-m", "a3c_bench", *bad.arguments],
        cwd=folder,
        env={**inherited(), "PYTHONPATH": str(SOURCE), "TMPDIR": str(folder), **bad.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def judged(bad: BadInput, code: int, said: str, errors: str) -> str:
    """What is wrong with an answer; nothing if it is one line, and the exit code is the right one."""
    lines, start = errors.splitlines(), " ".join(errors.split())[:200]
    if "Traceback" in said + errors:
        return f"a traceback, exit code {code}: {lines[-1] if lines else said[-200:]}"
    if code != bad.exit_code:
        return f"exit code {code} in place of {bad.exit_code}: {start}"
    if len(lines) != 1:
        return f"{len(lines)} lines: {start}"
    if not lines[0].startswith("a3c-bench: ") or len(lines[0]) > LONGEST_LINE:
        return f"not a line of ours: {start}"
    return ""


def try_all(inputs: Sequence[BadInput]) -> list[str]:
    """What `answered` says of each, a few at a time."""
    found = []
    with Progress("bad inputs", len(inputs)) as progress, ThreadPoolExecutor(AT_ONCE) as executor:
        for answer in executor.map(answered, inputs):
            found.append(answer)
            progress.show(len(found), f"{found.count('')} told in one line")
    return found


def counts(inputs: Sequence[BadInput], answers: Sequence[str]) -> bytes:
    """How many of each kind were told in one line, as CSV."""
    tried = Counter(bad.kind for bad in inputs)
    told = Counter(bad.kind for bad, answer in zip(inputs, answers, strict=True) if not answer)
    return csv_bytes(COLUMNS, [(kind, number, told[kind]) for kind, number in tried.items()])


def answers_told(inputs: Sequence[BadInput], answers: Sequence[str]) -> bool:
    """Say which were answered otherwise than in one line, and how many were; returns whether all were."""
    for bad, answer in zip(inputs, answers, strict=True):
        if answer:
            print(f"{bad.kind}, {' '.join(bad.arguments)[:80]}, {bad.name[:80]}: {answer}")
    print(f"{BAD_INPUTS}: {len(inputs)} bad inputs tried, {answers.count('')} told in one line")
    return not any(answers)
