"""The promise on environments made at random: the bits of the definition, or a line that says what is not kept."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import small_config
from disturbances import DeathInATurn

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool

pytestmark = pytest.mark.slow

CASES = 520
IN_EVERY_RUN = 24
PER_TEST = 20


def promise_holds(case):
    """Train with 1, 3 and 7 workers, with one that is killed in the middle of a turn, and on from checkpoints."""
    environment = describe(f"strange:Case{case}-v0")
    config = small_config(
        env=environment.name,
        checkpoint={"seconds": 0.001},
        nstep={"actors": 7, "envs": 2, "rollout_steps": 3, "total_steps": 7 * 2 * 3 * 30, "hidden": [8]},
    )
    found, checkpoints = set(), []
    for workers in (1, 3, 7):
        changed = config.model_copy(update={"workers": workers})
        found.add(fingerprint(pool.train(changed, "nstep", 0, environment=environment, keep=checkpoints.append), []))
    for start in random.Random(case).sample(checkpoints, min(2, len(checkpoints))):
        resumed = pool.train(config, "nstep", 0, environment=environment, start=start)
        found.add(fingerprint(resumed, []))
    with TemporaryDirectory() as folder:
        death = DeathInATurn(Path(folder), random.Random(case).randrange(2, 7 * 30))
        survived = pool.train(config, "nstep", 0, environment=environment, disturbance=death, max_restarts=1)
        assert Path(folder, "died").exists()
    found.add(fingerprint(survived, []))
    return len(found) == 1 or bool(environment.warnings)


@pytest.mark.parametrize("first", range(0, IN_EVERY_RUN, PER_TEST // 5))
def test_strange_environments_keep_the_promise_or_say_that_they_do_not(first):
    assert [case for case in range(first, first + PER_TEST // 5) if not promise_holds(case)] == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(IN_EVERY_RUN, CASES, PER_TEST))
def test_many_strange_environments(first):
    assert [case for case in range(first, min(first + PER_TEST, CASES)) if not promise_holds(case)] == []
