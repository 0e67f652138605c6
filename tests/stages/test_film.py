"""The filmed episodes, and the window."""

import io
import sys
from pathlib import Path
from typing import ClassVar
from unittest.mock import MagicMock

import gymnasium
import numpy as np
import pytest
from conftest import small_config
from gymnasium.envs.classic_control import CartPoleEnv
from PIL import Image

from a3c_bench import pictures
from a3c_bench.commands import watch
from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe
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
    assert film.record("", policy, trained.recipe, 0, "rgb_array").returns[-1] == evaluated.returns[0]


class Plain(CartPoleEnv):
    """Shows nothing."""

    metadata: ClassVar = {"render_modes": []}

    def __init__(self, render_mode=None):
        super().__init__(render_mode)

    def render(self):
        return None


class Picture(Plain):
    metadata: ClassVar = {"render_modes": ["human", "rgb_array"], "render_fps": 10}

    def render(self):
        return np.full((4, 6, 3), 100, np.uint8)


class Pictures(Picture):
    metadata: ClassVar = {"render_modes": ["rgb_array_list"]}

    def render(self):
        return [np.zeros((4, 6, 3), np.uint8), super().render()]


class Grey(Picture):
    def render(self):
        return super().render()[:, :, 0]


class Shares(Picture):
    """As MinAtar's."""

    def render(self):
        return super().render() / 255


class Words(Plain):
    metadata: ClassVar = {"render_modes": ["human", "ansi"]}

    def render(self):
        return "SFFF\nF\x1b[41mH\x1b[0mFG\n"


class Window(Plain):
    metadata: ClassVar = {"render_modes": ["human"]}


class Nothing(Picture):
    def render(self):
        return None


class WithoutLibrary(Picture):
    def render(self):
        raise ImportError("no library\nof pictures")


class NotMade(Picture):
    def __init__(self, render_mode=None):
        if render_mode:
            raise OSError("no screen")
        super().__init__()


@pytest.fixture
def recipe_of(trained):
    """Registers a class, and gives the recipe of its environments; a policy of CartPole's can play in them."""

    def recipe_of(made):
        name = f"{made.__name__}-v0"
        gymnasium.register(name, made, max_episode_steps=500)
        names.append(name)
        return Recipe(name)

    names = []
    yield recipe_of
    for name in names:
        del gymnasium.registry[name]


GREY = (100, 100, 100)


@pytest.mark.parametrize(
    ("made", "mode", "why", "colors"),
    [
        (Picture, "rgb_array", "", {GREY}),
        (Pictures, "rgb_array_list", "", {GREY}),
        (Grey, "rgb_array", "", {GREY}),
        (Shares, "rgb_array", "", {GREY}),
        (Words, "ansi", "", None),
        (Plain, None, "it has no render mode that gives one", None),
        (Window, None, "it has no render mode that gives one", None),
        (Nothing, None, "rgb_array: ", None),
        (WithoutLibrary, None, "rgb_array: ImportError: no library of pictures", None),
        (NotMade, None, "rgb_array: OSError: no screen", None),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_render_mode_is_filmed_and_where_there_is_none_the_actions_are(
    trained, recipe_of, made, mode, why, colors
):
    recipe = recipe_of(made)
    found, reason = pictures.render_mode(recipe)
    assert found == mode and reason.startswith(why) and "\n" not in reason
    policy = load_policy(trained, "nstep", 0, describe(trained.recipe))
    take = film.record("", policy, recipe, 0, found)
    assert len(take.frames) == len(take.returns) > 1
    assert all(frame.size == film.PANEL for frame in take.frames)
    shown = [{color for _, color in frame.getcolors(99999)} for frame in take.frames]
    if colors:
        assert set.union(*shown) == colors
    else:
        ink = Image.new("RGB", (1, 1), film.INK).getpixel((0, 0))
        assert ink in shown[-1]
    content = film.encode([take] * 3, film.milliseconds(recipe))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width == 3 * film.PANEL[0] + 2 * film.GAP


def test_a_film_says_why_it_shows_actions(trained, monkeypatch, capsys):
    monkeypatch.setattr(CartPoleEnv, "metadata", {"render_modes": []})
    film.run(trained, "nstep")
    assert "actions, as CartPole-v1 gives no picture (it has no render mode that gives one)" in capsys.readouterr().out


def test_what_a_terminal_would_colour_is_marked():
    plain, marked = pictures._written("AHB"), pictures._written("A\x1b[41mH\x1b[0mB")
    columns = (np.array(plain) != np.array(marked)).any(axis=(0, 2)).nonzero()[0]
    assert plain.width // 3 <= columns.min() and columns.max() < plain.width * 2 // 3


def test_a_plot_of_actions_grows_with_the_episode_and_has_a_band_for_each_number():
    ink = np.array(Image.new("RGB", (1, 1), film.INK))
    actions = np.array([[0.0, 5.0], [1.0, 5.0], [0.0, 5.0]])
    inked = [(np.array(pictures.plot_of(actions, taken)) == ink).all(axis=2) for taken in range(4)]
    widths = [np.ptp(one.any(axis=0).nonzero()[0]) if one.any() else 0 for one in inked]
    assert widths[0] == 0 and 0 < widths[1] < widths[2] < widths[3]
    upper, lower = np.split(inked[3], 2)
    assert len(upper.any(axis=1).nonzero()[0]) > 20, "two values stand apart"
    assert len(lower.any(axis=1).nonzero()[0]) == 1, "one value is a line"
    many = pictures.plot_of(np.zeros((2, 17)), 2)
    assert many.size == film.PANEL


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
