"""What the experiment says of itself: its kind, a description, and views of the runs with columns and charts chosen."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from a3c_bench.tracking.curves import RETURNS
from a3c_bench.tracking.store import MODEL_TRAINING, retried

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "a3c-bench"
NOTE = "mlflow.note.content"
VIEW = "mlflow.sharedViewState."
"""MLflow's page keeps its saved views in tags with this prefix."""
SECTIONS = ("return", "evaluate", "train", "speed", "policy", "loss", "gradient", "System metrics")
RATE = "profile/env_steps_per_second"
DESCRIPTION = """\
Look at: [trainings by algorithm]({trainings}) · [pipelines]({pipelines}) · [throughput]({throughput})

One run per execution of the pipeline; below it, one per training, evaluation, film and point of the profile.

To compare, tick two runs and choose **Compare**. A pipeline's run has its figures and its report as artifacts; \
the report of the results in the repository is `reports/index.html`, and `make compare` puts experiments on one page. \
What is to be seen where: `docs/mlflow.md`.
"""


class View(NamedTuple):
    """A saved view: what its link opens, and the state of MLflow's page of runs."""

    name: str
    mode: str
    state: dict[str, Any]


def describe(client: "MlflowClient", experiment: str, algorithms: Sequence[str]) -> None:
    """Set its tags. What somebody wrote into the description stays; the views are kept up to date.

    algorithms: all that the params have a section for.
    """
    found, views = client.get_experiment(experiment), _views(algorithms)
    links = {key: _link(experiment, key, view.mode) for key, view in views.items()}
    wanted = {**MODEL_TRAINING, NOTE: DESCRIPTION.format(**links), **found.tags}
    for place, (key, view) in enumerate(views.items()):
        # The page lists the newest first.
        made = (found.creation_time or 0) - place
        saved = {"name": view.name, "createdAt": made, "state": json.dumps(view.state)}
        wanted[f"{VIEW}{key}"] = json.dumps(saved)
    for key, value in wanted.items():
        if found.tags.get(key) != value:
            retried(partial(client.set_experiment_tag, experiment, key, value))


def _link(experiment: str, key: str, mode: str) -> str:
    # The page is in the mode of its address, whatever the experiment's kind.
    mode_of_page = "workflowType=machine_learning"
    return f"#/experiments/{experiment}/runs?{mode_of_page}&viewStateShareKey={key}&compareRunsMode={mode}"


def _views(algorithms: Sequence[str]) -> dict[str, View]:
    return {
        "trainings": View("Trainings by algorithm", "CHART", _trainings()),
        "pipelines": View("Pipelines", "TABLE", _pipelines(algorithms)),
        "throughput": View("Throughput", "CHART", _throughput()),
    }


def _trainings() -> dict[str, Any]:
    return {
        "searchFilter": "tags.stage = 'train'",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "algorithm"}]},
        "selectedColumns": [
            *_columns("metrics", RETURNS, "evaluate/greedy_mean", "train/steps_to_threshold"),
            *_columns("metrics", "speed/env_steps_per_second"),
            *_columns("params", "seed", "env", "schedule", "workers"),
            *_columns("attributes", "Models"),
        ],
        **_sections(SECTIONS),
    }


def _pipelines(algorithms: Sequence[str]) -> dict[str, Any]:
    figures = ("greedy_iqm", "env_steps_per_second", "speedup")
    shown = list(_columns("metrics", *(f"{algorithm}/{figure}" for algorithm in algorithms for figure in figures)))
    return {
        "searchFilter": "tags.stage = 'pipeline'",
        "selectedColumns": [
            *shown,
            *_columns("params", "env", "schedule", "workers", "threads"),
            *_columns("tags", "machine"),
        ],
        # Wide enough for their names.
        "columnOrder": shown,
        "columnWidths": dict.fromkeys(shown, 230),
    }


def _throughput() -> dict[str, Any]:
    chart = {
        "type": "SCATTER",
        "uuid": "rate-by-workers",
        "metricSectionId": "profile",
        "displayName": "Env steps per second by workers",
        "xaxis": {"key": "workers", "type": "PARAM"},
        "yaxis": {"key": RATE, "type": "METRIC"},
        "runsCountToCompare": 100,
    }
    return {
        "searchFilter": "tags.stage = 'profile' AND tags.algorithm LIKE '%'",
        "orderByKey": f"metrics.`{RATE}`",
        "orderByAsc": False,
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": [
            *_columns("params", "algorithm", "schedule", "workers", "threads"),
            *_columns("metrics", RATE, "profile/speedup", "profile/times_textbook", "profile/peak_memory_mib"),
        ],
        **_sections(["profile"], chart),
    }


def _columns(kind: str, *names: str) -> Iterator[str]:
    return (f"{kind}.`{name}`" for name in names)


def _sections(names: Sequence[str], *charts: dict[str, Any]) -> dict[str, Any]:
    """The sections of charts, in this order; every metric without a chart gets one in the section of its prefix.

    Those come after `charts` in a section that is reordered, and by name otherwise.
    """
    return {
        "compareRunSections": [
            {"uuid": name, "name": name, "display": name != "System metrics", "isReordered": bool(charts), "columns": 2}
            for name in names
        ],
        "compareRunCharts": list(charts),
        "isAccordionReordered": True,
    }
