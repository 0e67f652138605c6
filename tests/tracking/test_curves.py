"""What of a training's curves is shown: on a grid that its seeds share."""

from types import SimpleNamespace

import numpy as np
import pytest

from a3c_bench.tracking import curves


@pytest.mark.parametrize(
    ("env_steps", "spacing"), [(1, 1), (200, 1), (201, 4), (12_800, 64), (12_801, 256), (2_000_000, 16_384)]
)
def test_a_curve_has_at_most_200_points(env_steps, spacing):
    assert curves.spacing(env_steps) == spacing
    assert env_steps / spacing <= curves.CURVE_POINTS


def outcome(env_steps, ended, returns):
    """A training of so many turns of 10 env steps."""
    turns = np.zeros(env_steps // 10, [("env_steps", "i8"), *((name, "f4") for name in curves.UPDATES)])
    turns["env_steps"], turns["entropy"] = 10, np.arange(len(turns))
    episodes = np.array([(value,) for value in returns], [("return", "f4")])
    return SimpleNamespace(turns=turns, episodes=episodes, episode_env_steps=np.array(ended), env_steps=env_steps)


def test_seeds_of_other_lengths_have_points_in_the_same_places():
    """Else MLflow's mean over seeds jumps from the curve of one to that of another."""
    steps = []
    for length in (3_300, 9_990):
        trained = outcome(length, range(1, length, 10), np.ones(len(range(1, length, 10))))
        assert {step for _, _, step in curves.returns(trained)} <= {step for _, _, step in curves.updates(trained)}
        steps.append(sorted({step for _, _, step in curves.updates(trained)}))
    assert steps[1][: len(steps[0])] == steps[0]


def test_a_point_is_the_mean_of_the_last_100_episodes():
    trained = outcome(12_800, range(1, 201), [1.0] * 100 + [3.0] * 100)
    shown = {step: value for name, value, step in curves.returns(trained)}
    assert 64 not in shown  # fewer than 100 had ended
    assert shown[128] == pytest.approx((72 * 1 + 28 * 3) / 100)
    assert shown[12_800] == 3.0


def test_updates_are_means_over_the_turns_since_the_point_before():
    entropy = {step: value for name, value, step in curves.updates(outcome(12_800, [], [])) if name == "policy/entropy"}
    assert entropy[64] == np.mean(range(6))
    assert entropy[128] == np.mean(range(6, 12))
    assert len(entropy) == 200


def test_a_training_without_an_episode_has_no_curve():
    assert curves.returns(outcome(1000, np.empty(0, np.int64), [])) == []
