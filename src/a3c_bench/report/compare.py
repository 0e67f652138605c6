"""`a3c-bench compare`: DVC's experiments side by side, on one page."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from a3c_bench import repository
from a3c_bench.errors import BadInputError, reason
from a3c_bench.params import PARAMS_FILE, flatten
from a3c_bench.report.figures import returns
from a3c_bench.report.figures.style import NARROW, WIDTH, for_page, render, use_style
from a3c_bench.report.pages import render_template
from a3c_bench.results.about import GIVEN
from a3c_bench.results.files import PROFILE, REPORTS, Moment, model_path, write_all

PAGE = Path("compare") / "index.html"
LOCK = Path("dvc.lock")
SUMMARY, CURVES = REPORTS / "report" / "summary.json", REPORTS / "report" / "learning.csv"
SPEED = PROFILE / "metrics.json"


@dataclass(frozen=True)
class Experiment:
    """The results of one DVC experiment, or of another revision."""

    name: str
    commit: str
    env: str
    params: dict[str, str]
    """By dotted key."""
    summary: dict[str, dict[str, Any]]
    """By algorithm: what the report says over seeds."""
    curves: pd.DataFrame
    speed: dict[str, dict[str, float]]
    models: dict[str, str]
    """The hashes of the model files that it trained, by path."""

    def models_of(self, algorithm: str) -> dict[str, str]:
        """Those of one algorithm."""
        return {path: hash_ for path, hash_ in self.models.items() if path.startswith(f"models/{algorithm}/")}


def run(names: Sequence[str]) -> None:
    """Compare the experiments `names`, or the current commit and all of its experiments; write the page."""
    known = known_experiments(all_commits=bool(names))
    if not names and not known:
        raise BadInputError("compare: this commit has no experiments; `dvc exp run -S workers=4` makes one")
    chosen = dict.fromkeys(names) if names else {"HEAD": None, **known}
    experiments = [read(name, known.get(name) or resolve(name, known)) for name in chosen]
    if len(experiments) < 2:
        raise BadInputError(f"compare: {names[0]!r} alone has nothing beside it; name two or more")
    context = {
        "experiments": experiments,
        "params": differing_params(experiments),
        "rows": by_environment(rows(experiments)),
    }
    page = render_template("compare.html.j2", {**context, "curves": draw(experiments)})
    write_all({PAGE: page})
    show(context)
    print(PAGE)


def draw(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """The learning curves, wide and narrow, for each environment: returns of different ones share no axis."""
    figures: dict[str, list[str]] = {}
    for width in (WIDTH, NARROW):
        use_style(width)
        for env in dict.fromkeys(one.env for one in experiments):
            curves = {one.name: one.curves for one in experiments if one.env == env}
            figure = returns.overlay(curves, f"Return while training on {env}")
            figures.setdefault(env, []).append(for_page(render(figure, ("svg",))["svg"]))
    return figures


def known_experiments(all_commits: bool) -> dict[str, str]:
    """DVC's experiments, of the current commit or of all: name to commit."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repository:
            found = repository.experiments.ls(all_commits=all_commits)
    except (DvcException, OSError) as error:
        raise BadInputError(
            f"compare: DVC cannot list experiments ({' '.join(reason(error).split())}); run from the repository's root"
        ) from None
    return {name: commit for experiments in found.values() for name, commit in experiments}


def resolve(name: str, known: dict[str, str]) -> str:
    """The commit of a branch, a tag or a hash."""
    try:
        return repository.resolve(name)
    except ValueError:
        allowed = ", ".join(known) or "none yet"
        raise BadInputError(
            f"compare: {name!r} is unknown; allowed: a git revision or an experiment ({allowed})"
        ) from None


def read(name: str, commit: str) -> Experiment:
    """The results at a commit; raises `BadInputError` where they are not complete."""
    params = YAML(typ="safe").load(content(name, commit, PARAMS_FILE))
    stages = YAML(typ="safe").load(content(name, commit, LOCK))["stages"].values()
    outs = {out["path"]: out.get("md5", "") for stage in stages for out in stage.get("outs", ())}
    return Experiment(
        name,
        commit,
        ", ".join([str(params.get("env")), *(f"{key} {params[key]}" for key in GIVEN if params.get(key))]),
        {key: str(value) for key, value in flatten(params)},
        json.loads(content(name, commit, SUMMARY)),
        pd.read_csv(io.StringIO(content(name, commit, CURVES))),
        json.loads(content(name, commit, SPEED)),
        own_models(params, outs),
    )


def own_models(params: Mapping[str, Any], outs: Mapping[str, str]) -> dict[str, str]:
    """Of the outputs in `dvc.lock`, the models that the params list: it keeps those of earlier runs too."""
    listed = product(params.get("algorithms", ()), params.get("seeds", ()), get_args(Moment))
    paths = [model_path(*key).as_posix() for key in listed]
    return {path: outs[path] for path in paths if path in outs}


def content(name: str, commit: str, path: Path) -> str:
    """A file at a commit; raises `BadInputError` where it is not."""
    found = repository.content_at(commit, path)
    if found is None:
        raise BadInputError(f"{name}: has no {path}; `dvc exp run` or `make repro` makes it")
    return found


def differing_params(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """The params that are not the same in all experiments: each one's value, in order."""
    keys = dict.fromkeys(key for one in experiments for key in one.params)
    values = {key: [one.params.get(key, "–") for one in experiments] for key in keys}
    return {key: row for key, row in values.items() if len(set(row)) > 1}


def rows(experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
    """One row per algorithm and experiment: its figures, and whether its models are those of the first."""
    found = []
    for algorithm in dict.fromkeys(algorithm for one in experiments for algorithm in one.summary):
        having = [one for one in experiments if algorithm in one.summary]
        found += [
            {
                "env": one.env,
                "algorithm": algorithm,
                "experiment": one.name,
                **one.summary[algorithm],
                "env_steps_per_second": one.speed.get(algorithm, {}).get("env_steps_per_second"),
                "models": compare_models(having, one, algorithm),
            }
            for one in having
        ]
    return found


def by_environment(found: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each environment."""
    return {env: [row for row in found if row["env"] == env] for env in dict.fromkeys(row["env"] for row in found)}


def compare_models(having: Sequence[Experiment], other: Experiment, algorithm: str) -> str:
    """In words: how many of its models are the same bits as those of the first on the same environment."""
    first = next(one for one in having if one.env == other.env)
    if first is other:
        return "reference" if first is having[0] else "other environment"
    mine, theirs = first.models_of(algorithm), other.models_of(algorithm)
    common = mine.keys() & theirs.keys()
    if not common:
        return "none in common"
    same = sum(mine[path] == theirs[path] for path in common)
    return "same bits" if same == len(common) else f"{same} of {len(common)} the same"


def show(context: dict[str, Any]) -> None:
    """Print what differs, and the figures."""
    console = Console()
    experiments: Sequence[Experiment] = context["experiments"]
    table = Table("param", *(one.name for one in experiments))
    for key, values in context["params"].items():
        table.add_row(key, *values)
    if context["params"]:
        console.print(table)
    for env, found in context["rows"].items():
        console.print(results(env, found))


def results(env: str, found: Sequence[dict[str, Any]]) -> Table:
    """The figures on one environment."""
    table = Table("algorithm", "experiment", "greedy IQM", "95 % interval", "env steps/s", "models", title=env)
    for row in found:
        low, high, speed = row["greedy_iqm_low"], row["greedy_iqm_high"], row["env_steps_per_second"]
        table.add_row(
            row["algorithm"],
            row["experiment"],
            f"{row['greedy_iqm']:.1f}",
            "–" if low is None else f"[{low:.1f}, {high:.1f}]",
            "–" if speed is None else f"{speed:,.0f}",
            row["models"],
        )
    return table
