"""`make contribute`: time committed trainings on this machine, and write the file that says so."""

from hashlib import md5

from safetensors.numpy import save

from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.machine import cores, fingerprint
from a3c_bench.processes import start_server
from a3c_bench.progress import Progress, conclude
from a3c_bench.repository import last_commit
from a3c_bench.results.files import json_bytes, model_path, write_all
from a3c_bench.results.machines import Contribution, Timed, check, committed_models, rate
from a3c_bench.training import pool
from a3c_bench.training.needs import require_room
from a3c_bench.training.outcome import Outcome

REPEATS = 3
MOST_WORKERS = 64


def run(config: Config) -> None:
    """Train the first seed of every algorithm with 1, 2, 4 … workers up to the cores, and write the times."""
    start_server()
    environment = describe(config.recipe)
    counts = worker_counts(cores())
    require_room(config.changed(workers=counts[-1]), environment, config.algorithms)
    models = committed_models()
    plan = [(name, workers) for name in config.algorithms for workers in counts]
    timed: dict[tuple[str, int], list[Outcome]] = {point: [] for point in plan}
    with Progress("contribute", len(plan) * REPEATS) as progress:
        for repeat in range(REPEATS):
            for place, (name, workers) in enumerate(plan):
                progress.show(repeat * len(plan) + place, f"{name}, {workers} workers")
                # Bits are promised under `ordered` only.
                work = config.changed(workers=workers, schedule="ordered")
                outcome = pool.train(work, name, config.seeds[0], environment=environment)
                _require_committed(config, name, outcome, models)
                timed[name, workers].append(outcome)
    machine = fingerprint()
    found = Contribution.model_validate(
        {
            **{key: machine[key] for key in ("cpu", "cores", "system", "python", "kernels", "libraries")},
            "commit": last_commit(),
            "trainings": [_summary(config, *point, outcomes, models) for point, outcomes in timed.items()],
        }
    )
    write_all({found.path: json_bytes(found.model_dump())})
    check(found.path, models)
    rates = [f"{one.algorithm}, {one.workers} workers: {one.env_steps_per_second:,.0f}" for one in found.trainings]
    conclude("contribute", "\n".join([str(found.path), *rates]), file=str(found.path))


def worker_counts(available: int) -> list[int]:
    """Powers of two up to the cores, and the cores themselves."""
    most = min(available, MOST_WORKERS)
    return sorted({most, *(2**power for power in range(most.bit_length()))} & set(range(1, most + 1)))


def _require_committed(config: Config, name: str, outcome: Outcome, models: dict[str, str]) -> None:
    path = model_path(name, config.seeds[0]).as_posix()
    layout = config.algorithm(name).layout(describe(config.recipe))
    digest = md5(save(layout.tensors(outcome.parameters)), usedforsecurity=False).hexdigest()
    if models.get(path) != digest:
        raise BadInputError(
            f"contribute: {path} came out as {digest}, not as the committed {models.get(path)}: another computation "
            "was timed; `make restore` brings the committed params back, `make verify` says what differs"
        )


def _summary(config: Config, name: str, workers: int, outcomes: list[Outcome], models: dict[str, str]) -> Timed:
    path = model_path(name, config.seeds[0]).as_posix()
    env_steps, seconds = outcomes[0].env_steps, [outcome.seconds for outcome in outcomes]
    return Timed(
        algorithm=name,
        model=path,
        md5=models[path],
        workers=workers,
        env_steps=env_steps,
        seconds=seconds,
        env_steps_per_second=rate(env_steps, seconds),
    )
