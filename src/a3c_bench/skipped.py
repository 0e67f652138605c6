"""`a3c-bench log`: what DVC skipped is logged to MLflow from the files that were there already.

A fresh clone has the files of the committed evaluations, films, profile and report, but not the models: its first
`make repro` trains and skips the rest, of which MLflow would otherwise know nothing.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import pandas as pd

from a3c_bench.config import Config
from a3c_bench.params import read_plain
from a3c_bench.results.files import PROFILE, evaluate_folder, film_path
from a3c_bench.results.tables import read_csv
from a3c_bench.stages import report
from a3c_bench.stages.profile import LOGGED, Point
from a3c_bench.tracking import presence
from a3c_bench.tracking.direct import logged_runs
from a3c_bench.tracking.store import OFF, how_to_track
from a3c_bench.tracking.tracker import Tracker, pipeline_key, run_name

PROFILE_FILES = tuple(PROFILE / name for name in ("samples.csv", "points.csv", "metrics.json", "scaling.csv"))


class Stage(NamedTuple):
    """One execution of a stage, by the name that DVC has for it, and how its files are logged."""

    dvc_name: str
    log: Callable[[Tracker], None]
    algorithm: str | None = None
    seed: int | None = None

    @property
    def stage(self) -> str:
        """Of all its executions."""
        return self.dvc_name.partition("@")[0]


def log(config: Config) -> int:
    """Log the stages that have no run in the pipeline of the commit and the params; returns how many.

    Nothing is logged where no stage of that pipeline ran, or while others log to MLflow; and of a stage that DVC would
    run again, as its files are of another state. Raises what MLflow and DVC raise.
    """
    if how_to_track() == OFF or not presence.wait_for_all():
        return 0
    with presence.alone():
        logged = logged_runs(pipeline_key(config))
        missing = [one for one in stages(config) if run_name(one.stage, one.algorithm, one.seed) not in logged]
        if not logged or not missing:
            return 0
        from dvc.repo import Repo

        with Repo() as repository:
            # What has changed of each and of all that it depends on; a stage that always runs changes nothing by that.
            states = [repository.status([one.dvc_name], with_deps=True).values() for one in missing]
        skipped = [
            one for one, state in zip(missing, states, strict=True) if all(why == ["always changed"] for why in state)
        ]
        for one in skipped:
            with Tracker(one.stage, config, one.algorithm, one.seed, from_files=True) as tracker:
                one.log(tracker)
    return len(skipped)


def stages(config: Config) -> Iterator[Stage]:
    """All but the trainings, whose models are in no clone."""
    for algorithm in config.algorithms:
        for seed in config.seeds:
            yield Stage(f"evaluate@{algorithm}-{seed}", partial(_evaluation, algorithm, seed), algorithm, seed)
        yield Stage(f"film@{algorithm}", partial(_film, algorithm), algorithm, config.seeds[0])
    yield Stage("profile", _profile)
    yield Stage("report", partial(_report, config))


def _evaluation(algorithm: str, seed: int, tracker: Tracker) -> None:
    files = [evaluate_folder(algorithm, seed) / name for name in ("episodes.csv", "metrics.json")]
    tracker.evaluation(json.loads(read_plain(files[-1])), files)


def _film(algorithm: str, tracker: Tracker) -> None:
    tracker.artifacts([film_path(algorithm)])


def _profile(tracker: Tracker) -> None:
    columns = list(Point._fields)
    seconds = read_csv(PROFILE / "samples.csv").groupby(columns)["seconds"].sum().to_dict()
    figures, varied, took = {}, {}, {}
    for row in read_csv(PROFILE / "points.csv").to_dict("records"):
        point = Point(**{column: row[column] for column in columns})
        name = str(point)
        # An empty cell is read as not a number.
        figures[name] = {key: None if pd.isna(row[key]) else row[key] for key in LOGGED}
        varied[name], took[name] = point._asdict(), float(seconds[tuple(point)])
    tracker.points(figures, varied, took)
    tracker.artifacts(PROFILE_FILES)


def _report(config: Config, tracker: Tracker) -> None:
    tables = report.aggregate(config)
    report.log(tracker, report.gather(config, tables), tables)
