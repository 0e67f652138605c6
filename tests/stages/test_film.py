"""The filmed episodes, and the window."""

import io
import sys
from pathlib import Path
from unittest.mock import MagicMock

import gymnasium
import numpy as np
import pytest
from conftest import small_config
from PIL import Image

from a3c_bench.commands import watch
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.evaluation import evaluate
from a3c_bench.results.models import load_policy
from a3c_bench.stages import film, train


@pytest.fixture
def trained(workspace, monkeypatch):
    for stage in (train, film):
        monkeypatch.setattr(stage, "Tracker", MagicMock())
    config = small_config()
    train.run(config, "nstep", 0)
    return config


def test_a_film_is_a_small_animated_picture_of_three_episodes(trained, capsys):
    film.run(trained, "nstep")
    content = Path("reports/film/nstep.webp").read_bytes()
    assert len(content) <= film.LARGEST_BYTES
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.n_frames > 1
        assert picture.width == 3 * film.PANEL[0] + 2 * film.GAP
    assert "returns" in capsys.readouterr().out
    film.run(trained, "nstep")
    assert Path("reports/film/nstep.webp").read_bytes() == content, "the same models must give the same bytes"


def test_the_filmed_episode_is_the_first_of_the_evaluation(trained):
    environment = describe(trained.recipe)
    policy = load_policy(trained, "nstep", 0, environment)
    # A single environment and a vector of them draw the same first state from the same seed.
    evaluated = evaluate(policy, environment, 1, 0, sampled=False)
    assert film.record("", policy, trained.recipe, 0).returns[-1] == evaluated.returns[0]


def test_an_environment_without_pictures_leaves_the_panel_empty(trained, monkeypatch):
    monkeypatch.setattr(gymnasium.envs.classic_control.CartPoleEnv, "metadata", {"render_modes": []})
    policy = load_policy(trained, "nstep", 0, describe(trained.recipe))
    take = film.record("", policy, trained.recipe, 0)
    assert {color for frame in take.frames for _, color in frame.getcolors()} == {(254, 254, 254)}


def test_a_long_film_is_made_smaller(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (8, *film.PANEL[::-1], 3), dtype=np.uint8)
    take = film.Take("noise", [Image.fromarray(frame) for frame in noise], list(range(8)))
    whole = film.encode([take] * 3, 40)
    monkeypatch.setattr(film, "LARGEST_BYTES", len(whole) - 1)
    assert len(film.encode([take] * 3, 40)) < len(whole)


def test_watch_plays_in_a_window(trained, monkeypatch, capsys):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    watch.show(trained, "nstep", 0, "early", 2)
    assert capsys.readouterr().out.count("nstep seed 0, early: episode") == 2


def test_watch_without_a_screen_says_what_to_do(trained, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nothing of this name")
    sys.modules["pygame"].display.quit()
    with pytest.raises(BadInputError, match=r"no window can be opened .*reports/film/nstep.webp"):
        watch.show(trained, "nstep", 0, "end", 1)
