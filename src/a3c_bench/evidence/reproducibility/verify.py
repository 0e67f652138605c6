"""`make verify`: the deterministic stages, run again from nothing in a clone, against the committed `dvc.lock`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Column, Table
from ruamel.yaml import YAML

from a3c_bench.config import Config, parse_config
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.reproducibility import checkout
from a3c_bench.evidence.reproducibility.difference import changed, explain
from a3c_bench.params import PARAMS_FILE, flatten, read_yaml
from a3c_bench.repository import content_at, git
from a3c_bench.results.files import MACHINE, train_folder

LOCK = Path("dvc.lock")
DETERMINISTIC = ("train", "evaluate")
SHOWN = 10
"""Characters of an md5 that are printed."""

Lock = Mapping[str, Any]


class Compared(NamedTuple):
    """One output: the md5 that `dvc.lock` has of it, and that of the file made again."""

    stage: str
    path: str
    expected: str | None
    found: str | None

    @property
    def same(self) -> bool:
        """Made again bit for bit."""
        return self.expected is not None and self.expected == self.found


def run(config: Config, changes: Mapping[str, Any], seeds: Sequence[int], algorithms: Sequence[str]) -> bool:
    """Verify the current commit with `changes` to its params; returns whether every output is the same."""
    _require_listed("seeds", seeds, config.seeds)
    _require_listed("algorithms", algorithms, config.algorithms)
    parse_config({**read_yaml(PARAMS_FILE), **changes})  # type: ignore[dict-item]  # it was parsed before
    stages = _deterministic(algorithms, seeds)
    console = Console(soft_wrap=True, highlight=False)
    with checkout.clone() as repository:
        expected = committed_lock(repository)
        checkout.change_params(repository, changes)
        told = ", ".join(f"{key} {value}" for key, value in changes.items()) or "as committed"
        console.print(f"verifying {_describe_commit()}, params {told}")
        _reproduce(repository, stages, console)
        found = _stages((repository / LOCK).read_text(encoding="utf-8"))
        compared = list(compare(expected, found, stages))
        console.print(table(compared))
        same = all(output.same for output in compared)
        if not same:
            for line in diagnose(compared, expected, found, repository):
                console.print(line)
    verdict = f"reproduced {sum(output.same for output in compared)} of {len(compared)}"
    console.print(verdict, style="bold green" if same else "bold red")
    return same


def compare(expected: Lock, found: Lock, stages: Sequence[str]) -> Iterator[Compared]:
    """Every output of `stages`, by the `stages` sections of two lock files."""
    for stage in stages:
        before, after = (_outputs(lock.get(stage, {})) for lock in (expected, found))
        for path in before | after:
            yield Compared(stage, path, before.get(path), after.get(path))


def beside_commit(config: Config) -> list[Compared]:
    """The outputs of the params' trainings and evaluations in `dvc.lock`, by that of the commit; none without one."""
    content = content_at("HEAD", LOCK)
    if content is None or not LOCK.exists():
        return []
    expected, found = (_stages(text) for text in (content, LOCK.read_text(encoding="utf-8")))
    return list(compare(expected, found, _deterministic(config.algorithms, config.seeds)))


def table(compared: Sequence[Compared]) -> Table:
    """The outputs and their hashes, to print."""
    result = Table(Column("output", no_wrap=True), "expected", "got", "same", box=None, pad_edge=False)
    for output in compared:
        mark = "[green]yes[/]" if output.same else "[bold red]NO[/]"
        result.add_row(output.path, _short(output.expected), _short(output.found), mark)
    return result


def diagnose(compared: Sequence[Compared], expected: Lock, found: Lock, repository: Path) -> Iterator[str]:
    """What differs first, and what in the inputs and the environment differs from where `dvc.lock` was made."""
    first = next(output for output in compared if not output.same)
    yield f"first difference: {first.path}"
    if first.stage.startswith("train@"):
        name, _, seed = first.stage.removeprefix("train@").rpartition("-")
        digests = content_at("HEAD", train_folder(name, int(seed)) / "digests.csv", repository)
        yield f"first differing tensor: {explain(name, int(seed), digests, repository)}"
    inputs = changed(_inputs(expected.get(first.stage, {})), _inputs(found[first.stage]))
    yield from _section("inputs that differ from those in dvc.lock", inputs)
    yield from _section("environment that differs from reports/machine/machine.json", _environment(repository))


def _environment(repository: Path) -> list[str]:
    before = content_at("HEAD", MACHINE, repository)
    if before is None:
        return [f"{MACHINE} is not committed"]
    checkout.reproduce(repository, ["machine"], lambda stage: None)
    after = (repository / MACHINE).read_text(encoding="utf-8")
    return changed(*(dict(flatten(json.loads(content))) for content in (before, after)))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"{title}: {'none' if not lines else ''}".rstrip()
    yield from (f"  {line}" for line in lines)


def _reproduce(repository: Path, stages: Sequence[str], console: Console) -> None:
    count = 0

    def started(stage: str) -> None:
        nonlocal count
        if stage not in stages:  # what they depend on
            return
        count += 1
        status.update(f"running {stage} ({count} of {len(stages)})")
        if not console.is_terminal:
            console.print(f"running {stage} ({count} of {len(stages)})")

    with console.status("starting") as status:
        checkout.reproduce(repository, stages, started)


def committed_lock(repository: Path) -> Lock:
    """The stages of the committed `dvc.lock`; raises `BadInputError` where there is none."""
    content = content_at("HEAD", LOCK, repository)
    if content is None:
        raise BadInputError(f"{LOCK}: not committed, so there is nothing to verify; run `make repro` and commit it")
    return _stages(content)


def _stages(content: str) -> Lock:
    lock: Lock = (YAML(typ="safe", pure=True).load(content) or {}).get("stages", {})
    return lock


def _deterministic(algorithms: Sequence[str], seeds: Sequence[int]) -> list[str]:
    return [f"{stage}@{name}-{seed}" for stage in DETERMINISTIC for name in algorithms for seed in seeds]


def _describe_commit() -> str:
    dirty = " (uncommitted changes here are left out)" if git("status", "--porcelain") else ""
    return f"{git('log', '-1', '--format=%h %s')}{dirty}"


def _require_listed(key: str, asked: Sequence[Any], listed: Sequence[Any]) -> None:
    for value in asked:
        if value not in listed:
            allowed = ", ".join(map(str, listed))
            raise BadInputError(f"{key}: {value} has no results in this repository; allowed: {allowed}")


def _outputs(stage: Lock) -> dict[str, str]:
    return {output["path"]: output["md5"] for output in stage.get("outs", [])}


def _inputs(stage: Lock) -> dict[str, Any]:
    files = {dependency["path"]: dependency["md5"] for dependency in stage.get("deps", [])}
    return files | dict(flatten(stage.get("params", {})))


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:SHOWN]
