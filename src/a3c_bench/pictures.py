"""Pictures of an environment: what it draws, what it writes, or else a plot of the actions that it was given."""

import re
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium import Env
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from a3c_bench.arrays import Doubles
from a3c_bench.environments.make import make_shown
from a3c_bench.environments.recipe import LONGEST_REASON, Recipe
from a3c_bench.errors import describe_error

PANEL = (300, 200)
PAPER, INK, QUIET, LINE = "#fefefe", "#1b1f24", "#59636e", "#d5dae0"
MODES = ("rgb_array", "rgb_array_list", "ansi", "ansi_list")
"""The render modes that give a picture, the best first; all others show nothing, or open a window."""
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
LARGEST_LETTER = 20
LARGEST_COUNT = 8
"""Numbers of an action that are plotted; a panel has no room for more."""
MARGIN, FOOT = 40, 18


def render_mode(recipe: Recipe) -> tuple[str | None, str]:
    """The first render mode that gives a picture here, tried; else None, and why there is none.

    An environment may name a mode for which something is missing, such as a graphics library.
    """
    with warnings.catch_warnings():
        # What is missing is said here, in one line.
        warnings.simplefilter("ignore")
        return _render_mode(recipe)


def _render_mode(recipe: Recipe) -> tuple[str | None, str]:
    environment = make_shown(recipe)
    offered = environment.metadata.get("render_modes") or ()
    environment.close()
    reason = "it has no render mode that gives one"
    for mode in MODES:
        if mode not in offered:
            continue
        try:
            environment = make_shown(recipe, mode)
            environment.reset(seed=0)
            picture(environment)
            environment.close()
        except Exception as error:  # Whatever its code raises: a film of the actions is better than none.
            reason = f"{mode}: {describe_error(error)}"[:LONGEST_REASON]
        else:
            return mode, ""
    return None, reason


def picture(environment: Env[Any, Any]) -> Image.Image:
    """The environment as it is now, fitted into a panel; raises whatever its own `render` does."""
    drawn = environment.render()
    if isinstance(drawn, list | tuple):
        drawn = drawn[-1]
    image = _written(drawn) if isinstance(drawn, str) else Image.fromarray(_bytes(np.asarray(drawn))).convert("RGB")
    # A picture of few pixels keeps its squares.
    smaller = image.width < PANEL[0] and image.height < PANEL[1]
    fitted = ImageOps.contain(image, PANEL, Image.Resampling.NEAREST if smaller else Image.Resampling.BICUBIC)
    panel = Image.new("RGB", PANEL, PAPER)
    panel.paste(fitted, ((PANEL[0] - fitted.width) // 2, (PANEL[1] - fitted.height) // 2))
    return panel


def _bytes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels as they are, or shares of white (MinAtar's) as numbers up to 255."""
    return np.rint(pixels * 255).astype(np.uint8) if pixels.dtype.kind == "f" and pixels.max() <= 1 else pixels


def _written(text: str) -> Image.Image:
    """Text in letters of one width; what a terminal would colour is marked."""
    lines = text.expandtabs().strip("\n").splitlines() or [""]
    longest = max(len(ESCAPE.sub("", line)) for line in lines)
    height = max(6, min(LARGEST_LETTER, PANEL[1] // len(lines), PANEL[0] * 5 // 3 // max(longest, 1)))
    width, font = height * 3 // 5, ImageFont.load_default(height * 4 // 5)
    image = Image.new("RGB", (max(longest, 1) * width, len(lines) * height), PAPER)
    draw, marked = ImageDraw.Draw(image), False
    for row, line in enumerate(lines):
        column = 0
        for place, part in enumerate(ESCAPE.split(line)):
            if place % 2:
                marked = part.strip("0;") != ""
                continue
            for letter in part:
                left, top = column * width, row * height
                if marked:
                    draw.rectangle((left, top, left + width - 1, top + height - 1), INK)
                ink = PAPER if marked else INK
                draw.text((left + width / 2, top + height / 2), letter, ink, font, anchor="mm")
                column += 1
    return image


class Acted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that keeps the actions that it is given, each as a row of numbers."""

    def __init__(self, environment: Env[Any, Any]) -> None:
        super().__init__(environment)
        self.actions: list[Doubles] = []

    def step(self, action: Any) -> Any:
        """The environment's own `step`."""
        self.actions.append(np.ravel(action).astype(np.float64))
        return super().step(action)


def plot_of(actions: Doubles, taken: int) -> Image.Image:
    """The first `taken` of an episode's actions (steps, numbers) over its steps: one band for each number.

    Every band reaches from the least to the greatest of the whole episode, so that the plots of an episode are alike.
    """
    panel = Image.new("RGB", PANEL, PAPER)
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(10)
    count = min(actions.shape[1], LARGEST_COUNT)
    left, right, foot = MARGIN, PANEL[0] - 4, PANEL[1] - FOOT
    for number in range(count):
        top, bottom = (4 + (foot - 8) * edge / count for edge in (number + 0.1, number + 0.9))
        values = actions[:, number]
        low, high = float(values.min()), float(values.max())
        heights = bottom - (values - low) / (high - low or 1) * (bottom - top)
        places = left + np.arange(len(values) + 1) / len(values) * (right - left)
        draw.line((left, bottom, right, bottom), LINE)
        for value, height in ((high, top), (low, bottom)) if high > low else ((low, bottom),):
            draw.text((left - 4, height), f"{value:.3g}", QUIET, font, anchor="rm")
        for step in range(taken):
            draw.line((places[step], heights[step], places[step + 1], heights[step]), INK)
            if step:
                draw.line((places[step], heights[step - 1], places[step], heights[step]), INK)
    left_out = f", {count} of {actions.shape[1]} numbers" if count < actions.shape[1] else ""
    draw.text((left, PANEL[1] - FOOT / 2), f"actions of steps 1 – {len(actions)}{left_out}", QUIET, font, anchor="lm")
    return panel
