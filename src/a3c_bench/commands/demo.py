"""`a3c-bench demo`: the first minute."""

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Seed, chosen
from a3c_bench.errors import BadInputError

if TYPE_CHECKING:
    from a3c_bench.config import Config

FOLDER = Path("demo")
PAGE, CURVE = Path("index.html"), Path("learning.png")


def run(algorithm: Algorithm = None, seed: Seed = None) -> None:
    """Train, evaluate and film one seed, and time it beside the textbook loop; writes the folder demo only."""
    start = time.monotonic()
    config = checked(trains=True)
    algorithm, number = chosen(config, algorithm, seed)
    from a3c_bench.tracking.store import OFF, VARIABLE

    # Nothing is to go on after the last line, and MLflow's page is for the whole pipeline.
    os.environ[VARIABLE] = OFF
    speed = show(config.changed(algorithms=(algorithm,), seeds=(number,)))
    conclude_with(speed, time.monotonic() - start)


def show(config: "Config") -> dict[str, float]:
    """Run the stages for the one algorithm and seed of `config`, and write the page; returns the speeds."""
    from a3c_bench.stages import evaluate, film, train

    algorithm, seed = config.algorithms[0], config.seeds[0]
    with _inside(FOLDER):
        train.run(config, algorithm, seed)
        evaluate.run(config, algorithm, seed)
        film.run(config, algorithm)
    # From here: what runs as a program of its own finds the source by a path from here.
    speed = measure(config)
    with _inside(FOLDER):
        write_page(config, speed)
    return speed


def conclude_with(speed: dict[str, float], seconds: float) -> None:
    """Say how fast it was, where to look, and what to try next."""
    from a3c_bench.progress import conclude

    page = FOLDER / PAGE
    said = f"{speed['rate']:,.0f} env steps/s while training, {speed['ratio']:.0f} × the textbook loop"
    where = f"{page} has the curve and the film ({seconds:.0f} s in all). Next: `make repro` runs all of it"
    conclude("demo", f"{said}\n{where}", page=str(page), seconds=seconds, **speed)


def measure(config: "Config") -> dict[str, float]:
    """Env steps per second of the algorithm, of the textbook loop with as many processes, and their ratio."""
    from a3c_bench.environments.make import describe
    from a3c_bench.stages.profile import TEXTBOOK, Point
    from a3c_bench.stages.profile import measure as measure_points

    ours = Point(config.algorithms[0], config.schedule, config.workers, config.threads)
    textbook = Point(TEXTBOOK, "hogwild", config.workers, 1)
    once = config.changed(profile=config.profile.changed(repeats=1))
    measured = measure_points(once, describe(config.recipe), [ours, textbook])
    rate, slow = (measured[point].samples[0].rate for point in (ours, textbook))
    return {"rate": rate, "textbook_rate": slow, "ratio": rate / slow}


def write_page(config: "Config", speed: dict[str, float]) -> None:
    """The page, with the learning curve and the film in it; the curve is a picture of its own, too."""
    from a3c_bench.environments.make import describe
    from a3c_bench.report.aggregate import learning_tables
    from a3c_bench.report.figures import returns
    from a3c_bench.report.figures.style import for_page, render, use_style
    from a3c_bench.report.pages import render_template
    from a3c_bench.results.files import evaluate_folder, read_json, train_folder, write_all
    from a3c_bench.stages.report import films

    algorithm, seed = config.algorithms[0], config.seeds[0]
    trained = read_json(train_folder(algorithm, seed) / "metrics.json")
    use_style()
    bands, title = learning_tables(config), f"{algorithm} on {config.env}, seed {seed}"
    drawn = render(returns.learning(*bands, describe(config.recipe).reward_threshold, title))
    context: dict[str, Any] = {
        "title": title,
        "config": config,
        "trained": trained,
        "evaluated": read_json(evaluate_folder(algorithm, seed) / "metrics.json"),
        "speed": speed,
        "curve": for_page(drawn["svg"]),
        "film": films(config)[algorithm],
    }
    write_all({PAGE: render_template("demo.html.j2", context), CURVE: drawn["png"]})


def _inside(folder: Path) -> "contextlib.chdir[Path]":
    """Makes a folder the current one, for the length of a block; raises `BadInputError` where it cannot be made."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{folder}: cannot be made ({error.strerror}); rename what has its name") from None
    return contextlib.chdir(folder)
