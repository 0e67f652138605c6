"""The command `a3c-bench`."""

import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from a3c_bench import numerics, supervision
from a3c_bench.config import AlgorithmName, Config, ScheduleName, load_config
from a3c_bench.errors import BadInputError, TrainingError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A reproducible benchmark pipeline for shared-model, multi-process actor-critic (A3C).",
)

LogFormat = Literal["text", "json"]
Moment = Literal["early", "half", "end"]
Algorithm = Annotated[AlgorithmName | None, typer.Argument(help="A section of params.yaml: nstep or episodic.")]
SeedArgument = Annotated[int | None, typer.Argument(min=0, help="The training run's seed.")]


def prepare() -> Config:
    """Validate params.yaml and pin the math libraries; everything that imports numpy comes after this."""
    require_own_source()
    config = load_config()
    numerics.pin(config.numerics)
    return config


def require_own_source() -> None:
    """In a checkout, its own source must be what runs: not another checkout's, through an editable install."""
    own, running = Path.cwd() / "src" / "a3c_bench", Path(__file__).parent
    if own.is_dir() and not running.samefile(own):
        raise BadInputError(f"{running} would run, but this checkout has its own source; set PYTHONPATH=src")


def checked() -> Config:
    """`prepare`, and check what needs Gymnasium and numpy to be checked."""
    config = prepare()
    from a3c_bench.environments.make import describe

    describe(config.env)
    numerics.verify(config.numerics)
    return config


@app.callback()
def options(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", envvar="A3C_BENCH_QUIET", help="Say nothing but errors.")
    ] = False,
    log: Annotated[
        LogFormat, typer.Option(envvar="A3C_BENCH_LOG", help="How progress is told: for people, or as JSON lines.")
    ] = "text",
) -> None:
    """Options of every command; they reach the stages that DVC starts through the environment."""
    os.environ |= {"A3C_BENCH_QUIET": str(int(quiet)), "A3C_BENCH_LOG": log}


@app.command()
def check() -> None:
    """Check params.yaml and this machine, and change nothing."""
    config = checked()
    print(
        f"params.yaml: valid; {config.env}, {', '.join(config.algorithms)}, {len(config.seeds)} seed(s), "
        f"{config.schedule}, workers {config.workers}, threads {config.threads}, {config.numerics}"
    )


@app.command()
def train(
    algorithm: Algorithm = None,
    seed: SeedArgument = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", envvar="A3C_BENCH_FRESH", help="Begin anew, whatever checkpoint there is.")
    ] = False,
) -> None:
    """Stage: train one model; goes on from its checkpoint where it was interrupted."""
    config = checked()
    from a3c_bench.stages import train as stage

    stage.run(config, *chosen(config, algorithm, seed), fresh)


@app.command()
def evaluate(algorithm: Algorithm = None, seed: SeedArgument = None) -> None:
    """Stage: evaluate one trained model."""
    config = checked()
    from a3c_bench.stages import evaluate as stage

    stage.run(config, *chosen(config, algorithm, seed))


@app.command()
def film(algorithm: Algorithm = None) -> None:
    """Stage: film an episode early in training, half-way and at its end."""
    config = checked()
    from a3c_bench.stages import film as stage

    item = algorithm or os.environ.get("DVC_STAGE", "").partition("@")[2]
    if item not in config.algorithms:
        raise BadInputError(f"which algorithm? It is an argument; allowed: {', '.join(config.algorithms)}")
    stage.run(config, item)


@app.command()
def watch(
    algorithm: Annotated[AlgorithmName, typer.Argument(help="A section of params.yaml.")] = "nstep",
    seed: Annotated[int, typer.Argument(min=0, help="The training run's seed.")] = 0,
    moment: Annotated[Moment, typer.Option(help="When in training: early, half-way or at the end.")] = "end",
    episodes: Annotated[int, typer.Option(min=1, help="So many.")] = 3,
) -> None:
    """Watch a trained policy play, in a window."""
    config = checked()
    from a3c_bench.commands import watch as command

    command.run(config, algorithm, seed, moment, episodes)


@app.command()
def compare(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(help="DVC experiments or git revisions; by default the current commit and its experiments."),
    ] = None,
) -> None:
    """Put experiments side by side on a page: params that differ, figures, curves, hashes of the models."""
    prepare()
    from a3c_bench.report import compare as command

    command.run(experiments or [])


def chosen(config: Config, algorithm: AlgorithmName | None, seed: int | None) -> tuple[AlgorithmName, int]:
    """The algorithm and seed that are asked for: by argument, or by the name of the stage that DVC runs."""
    if algorithm is not None and seed is not None:
        return algorithm, seed
    _, _, item = os.environ.get("DVC_STAGE", "").partition("@")
    for choice in itertools.product(config.algorithms, config.seeds):
        if item == "-".join(map(str, choice)):
            return choice
    raise BadInputError("which algorithm and seed? They are arguments, for example nstep 0")


@app.command()
def machine() -> None:
    """Stage: write the machine's fingerprint."""
    config = checked()
    from a3c_bench.stages import machine as stage

    stage.run(config)


@app.command()
def profile() -> None:
    """Stage: measure throughput over the grid."""
    config = checked()
    from a3c_bench.stages import profile as stage

    stage.run(config)


@app.command()
def report() -> None:
    """Stage: render the report from the results."""
    config = checked()
    from a3c_bench.stages import report as stage

    stage.run(config)


@app.command()
def verify(
    workers: Annotated[int | None, typer.Option(min=1, help="Train with this many workers.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Train with this many threads.")] = None,
    schedule: Annotated[ScheduleName | None, typer.Option(help="Train under this schedule.")] = None,
    seeds: Annotated[str, typer.Option(help="Only these seeds, with commas between them.")] = "",
    algorithms: Annotated[str, typer.Option(help="Only these algorithms, with commas between them.")] = "",
) -> None:
    """Make the committed results again from nothing, in a clone, and compare them with dvc.lock."""
    require_own_source()
    config = load_config()
    from a3c_bench.evidence.reproducibility import verify as command

    asked = {"workers": workers, "threads": threads, "schedule": schedule}
    changes = {key: value for key, value in asked.items() if value is not None}
    chosen_seeds = [_as_seed(seed) for seed in _listed(seeds)] or config.seeds
    if not command.run(config, changes, chosen_seeds, _listed(algorithms) or config.algorithms):
        raise typer.Exit(1)


@app.command()
def proof() -> None:
    """Train under every condition that must not change the bits, and write the table to reports/reproducibility."""
    config = checked()
    from a3c_bench.evidence.reproducibility import proof as command

    if not command.run(config):
        raise typer.Exit(1)


@app.command()
def chaos(
    faults: Annotated[int | None, typer.Option(min=1, help="So many; by default each kind four times.")] = None,
) -> None:
    """Strike trainings with faults at random moments, and compare what they end with."""
    config = checked()
    from a3c_bench.evidence.chaos import table as command

    if not command.run(config, faults):
        raise typer.Exit(1)


@app.command()
def speed() -> None:
    """Measure the figures of speed in one run, and write them to reports/speed."""
    config = checked()
    from a3c_bench.evidence.speed import table as command

    command.run(config)


@app.command()
def peers(
    seeds: Annotated[int | None, typer.Option(min=1, help="At most so many seeds of each system.")] = None,
) -> None:
    """Train other systems beside this one, and write the comparison to reports/peers and the README."""
    require_own_source()
    load_config()
    from a3c_bench.evidence.speed import peers as command

    command.run(seeds)


@app.command("bench-check")
def bench_check(
    base: Annotated[
        str | None, typer.Option(help="The revision to compare with; by default where main was left.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Only benchmarks whose name contains this.")] = None,
    budget: Annotated[float | None, typer.Option(min=1, help="Seconds to spend, where noise asks for more.")] = None,
) -> None:
    """Time the current commit beside another revision, in turns; exit code 1 if it is slower."""
    require_own_source()
    from a3c_bench.gate import check as command

    if not command.run(base, select, budget):
        raise typer.Exit(1)


@app.command("bench-proof")
def bench_proof(
    runs: Annotated[int | None, typer.Option(min=1, help="At most so many more; by default all.")] = None,
) -> None:
    """Measure how often bench-check raises a false alarm and which slowdowns it finds; writes reports/gate."""
    require_own_source()
    from a3c_bench.gate import proof as command

    command.run(runs)


@app.command("bench-history")
def bench_history(
    results: Annotated[Path, typer.Argument(help="What pytest-benchmark wrote.")] = Path("benchmarks.json"),
) -> None:
    """Log the benchmarks of a commit of the main branch to MLflow."""
    require_own_source()
    from a3c_bench.gate import history as command

    command.run(results)


@app.command()
def search() -> None:
    """Search for nstep's fastest hyper-parameters, and write the best to reports/speed."""
    config = checked()
    from a3c_bench.evidence.speed import search as command

    command.run(config)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _as_seed(value: str) -> int:
    if not value.isdecimal():
        raise BadInputError(f"seeds: {value!r} is not allowed: whole numbers with commas between them")
    return int(value)


def main() -> None:
    """The entry: errors a user is meant to read become one line and an exit code."""
    # The switches of the tools' own reporting home: the pipeline needs no network.
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    supervision.watch()
    try:
        app()
    except BadInputError as error:
        fail(with_notes(str(error), error), 2)
    except TrainingError as error:
        message, *trace = error.args
        for line in trace:
            print(line, file=sys.stderr)
        fail(with_notes(message, error), 1)
    except supervision.StoppedError as stopped:
        fail(with_notes(stopped.reason, stopped), stopped.exit_code)


def with_notes(message: str, error: BaseException) -> str:
    """The message, and what was noted on the error's way up."""
    return "; ".join([message, *getattr(error, "__notes__", [])])


def fail(message: str, exit_code: int) -> NoReturn:
    """Print one line and exit."""
    if "DVC_STAGE" in os.environ:
        message += "; what DVC removed comes back with `git checkout reports` and `dvc checkout`"
    print(f"a3c-bench: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if "multiprocessing.util" in sys.modules:
        # The fork server's socket: nothing else removes it on this way out.
        shutil.rmtree(sys.modules["multiprocessing.util"].get_temp_dir(), ignore_errors=True)
    # At once: MLflow's threads may take seconds to wind up, and whoever stopped the stage is waiting for its end.
    os._exit(exit_code)
