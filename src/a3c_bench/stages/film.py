"""Stage `film`: an episode early in training, half-way and at its end, side by side in one animated picture."""

import io
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Env
from PIL import Image, ImageDraw, ImageFont

from a3c_bench.algorithms.base import Policy
from a3c_bench.config import Config
from a3c_bench.environments.make import describe, make_shown
from a3c_bench.environments.recipe import Recipe
from a3c_bench.evaluation import evaluation_start, play
from a3c_bench.pictures import INK, PANEL, PAPER, QUIET, Acted, picture, plot_of, render_mode
from a3c_bench.progress import Progress, conclude
from a3c_bench.results.files import Moment, film_path, train_folder, write_all
from a3c_bench.results.models import load_policy, moments
from a3c_bench.results.tables import read_csv
from a3c_bench.tracking.tracker import Tracker

WORDS: dict[Moment, str] = {"early": "early in training", "half": "half-way", "end": "at the end"}
LABEL_HEIGHT, GAP = 44, 10
FRAMES = 170
"""At most so many of an episode that lasts as long as any may."""
LAST_FRAME_MILLISECONDS = 2000
USUAL_FRAMES_PER_SECOND = 30
LARGEST_BYTES = 1_500_000
QUALITIES = (60, 30, 10)


@dataclass(frozen=True)
class Take:
    """What was filmed of one moment: pictures, and the return so far at each."""

    title: str
    frames: Sequence[Image.Image]
    returns: Sequence[float]


def run(config: Config, algorithm: str) -> None:
    """Film an episode of each moment, from the same start, and write the picture."""
    draw_without_a_screen()
    seed, environment = config.seeds[0], describe(config.recipe)
    with Tracker("film", config, algorithm, seed) as tracker:
        digests = read_csv(train_folder(algorithm, seed) / "digests.csv").drop_duplicates("turn")
        takes, (mode, why) = [], render_mode(config.recipe)
        with Progress(f"film {algorithm}", len(WORDS)) as progress:
            for done, (moment, row) in enumerate(moments(len(digests)).items()):
                progress.show(done, WORDS[moment])
                title = f"{WORDS[moment]}: {digests['env_step'].iloc[row]:,} env steps"
                policy = load_policy(config, algorithm, seed, environment, moment)
                takes.append(record(title, policy, config.recipe, seed, mode))
        target = film_path(algorithm)
        write_all({target: encode(takes, milliseconds(config.recipe))})
        finals = ", ".join(f"{take.returns[-1]:g} {WORDS[moment]}" for moment, take in zip(WORDS, takes, strict=True))
        without = f"; actions, as {config.env} gives no picture ({why})" if why else ""
        conclude(f"film {algorithm}", f"{target}: returns {finals}{without}", file=str(target))
        tracker.artifacts([target])


def draw_without_a_screen() -> None:
    """No screen is needed to draw, and none is opened: pygame and MuJoCo learn so from variables."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if sys.platform == "linux" and not os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}:
        # By default MuJoCo asks for a window, and ends the process when it gets none the second time.
        os.environ.setdefault("MUJOCO_GL", "egl")


def record(title: str, policy: Policy, recipe: Recipe, seed: int, mode: str | None) -> Take:
    """Film one greedy episode in a render mode; without one its actions are plotted."""
    environment = Acted(make_shown(recipe, mode))
    every = stride(environment)
    frames, returns, total = [], [], 0.0
    for step, total in enumerate(play(policy, environment, evaluation_start(seed))):
        if step % every == 0:
            returns.append(total)
            if mode is not None:
                frames.append(picture(environment))
    environment.close()
    if mode is None:
        actions = np.array(environment.actions)
        frames = [plot_of(actions, index * every) for index in range(len(returns))]
        # The whole of it, whether or not its last step is one of those that are filmed.
        frames[-1] = plot_of(actions, len(actions))
    return Take(title, frames, [*returns[:-1], total])


def stride(environment: Env[Any, Any]) -> int:
    """Env steps from one picture to the next."""
    limit: int = (environment.spec.max_episode_steps if environment.spec else None) or FRAMES
    return math.ceil(limit / FRAMES)


def milliseconds(recipe: Recipe) -> int:
    """How long a picture is shown, so that time runs as in the environment."""
    environment = make_shown(recipe)
    rate: float = environment.metadata.get("render_fps", USUAL_FRAMES_PER_SECOND)
    return round(1000 * stride(environment) / rate)


def encode(takes: Sequence[Take], frame_milliseconds: int) -> bytes:
    """The takes side by side as an animated WebP picture, in the best quality that is small enough."""
    count = max(len(take.frames) for take in takes)
    first, *others = [side_by_side(takes, index) for index in range(count)]
    durations = [frame_milliseconds] * (count - 1) + [LAST_FRAME_MILLISECONDS]
    content = b""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        first.save(buffer, "WEBP", save_all=True, append_images=others, duration=durations, quality=quality, loop=0)
        content = buffer.getvalue()
        if len(content) <= LARGEST_BYTES:
            break
    return content


def side_by_side(takes: Sequence[Take], index: int) -> Image.Image:
    """Picture `index` of every take, under its title and the return so far; one that has ended stands still."""
    width = len(takes) * (PANEL[0] + GAP) - GAP
    canvas = Image.new("RGB", (width, PANEL[1] + LABEL_HEIGHT), PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, take in enumerate(takes):
        left, mine = place * (PANEL[0] + GAP), min(index, len(take.frames) - 1)
        draw.text((left, 2), take.title, INK, ImageFont.load_default(15))
        ending = " · the episode is over" if mine == len(take.frames) - 1 else ""
        draw.text((left, 23), f"return {take.returns[mine]:g}{ending}", QUIET, ImageFont.load_default(14))
        canvas.paste(take.frames[mine], (left, LABEL_HEIGHT))
    return canvas
