"""The promise on environments made at random: the bits of the definition, or a line that says what is not kept."""

import random

import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool

pytestmark = pytest.mark.slow

CASES = 520
IN_EVERY_RUN = 24
PER_TEST = 20


def promise_holds(case):
    """Train with 1, 3 and 7 workers, and on from a checkpoint."""
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
    return len(found) == 1 or bool(environment.warnings)


@pytest.mark.parametrize("first", range(0, IN_EVERY_RUN, PER_TEST // 5))
def test_strange_environments_keep_the_promise_or_say_that_they_do_not(first):
    assert [case for case in range(first, first + PER_TEST // 5) if not promise_holds(case)] == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(IN_EVERY_RUN, CASES, PER_TEST))
def test_many_strange_environments(first):
    assert [case for case in range(first, min(first + PER_TEST, CASES)) if not promise_holds(case)] == []
