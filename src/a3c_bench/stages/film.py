"""Stage `film`: an episode early in training, half-way and at its end, side by side in one animated picture."""

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Env
from PIL import Image, ImageDraw, ImageFont, ImageOps

from a3c_bench.algorithms.base import Policy
from a3c_bench.config import Config
from a3c_bench.environments.make import describe, make_shown
from a3c_bench.environments.recipe import Recipe
from a3c_bench.evaluation import evaluation_start, play
from a3c_bench.progress import Progress, conclude
from a3c_bench.results.files import Moment, film_path, train_folder, write_all
from a3c_bench.results.models import load_policy, moments
from a3c_bench.results.tables import read_csv
from a3c_bench.tracking.tracker import Tracker

WORDS: dict[Moment, str] = {"early": "early in training", "half": "half-way", "end": "at the end"}
PANEL = (300, 200)
LABEL_HEIGHT, GAP = 44, 10
FRAMES = 170
"""At most so many of an episode that lasts as long as any may."""
LAST_FRAME_MILLISECONDS = 2000
USUAL_FRAMES_PER_SECOND = 30
LARGEST_BYTES = 1_500_000
QUALITIES = (60, 30, 10)
PAPER, INK, QUIET = "#fefefe", "#1b1f24", "#59636e"


@dataclass(frozen=True)
class Take:
    """What was filmed of one moment: pictures, and the return so far at each."""

    title: str
    frames: Sequence[Image.Image]
    returns: Sequence[float]


def run(config: Config, algorithm: str) -> None:
    """Film an episode of each moment, from the same start, and write the picture."""
    # No screen is needed to draw, and none is opened.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    seed, environment = config.seeds[0], describe(config.recipe)
    with Tracker("film", config, algorithm, seed) as tracker:
        digests = read_csv(train_folder(algorithm, seed) / "digests.csv").drop_duplicates("turn")
        takes = []
        with Progress(f"film {algorithm}", len(WORDS)) as progress:
            for done, (moment, row) in enumerate(moments(len(digests)).items()):
                progress.show(done, WORDS[moment])
                title = f"{WORDS[moment]}: {digests['env_step'].iloc[row]:,} env steps"
                policy = load_policy(config, algorithm, seed, environment, moment)
                takes.append(record(title, policy, config.recipe, seed))
        target = film_path(algorithm)
        write_all({target: encode(takes, milliseconds(config.recipe))})
        finals = ", ".join(f"{take.returns[-1]:g} {WORDS[moment]}" for moment, take in zip(WORDS, takes, strict=True))
        conclude(f"film {algorithm}", f"{target}: returns {finals}", file=str(target))
        tracker.artifacts([target])


def record(title: str, policy: Policy, recipe: Recipe, seed: int) -> Take:
    """Film one greedy episode; of an environment that draws no pictures the panel stays empty."""
    modes = make_shown(recipe).metadata.get("render_modes", ())
    environment = make_shown(recipe, "rgb_array" if "rgb_array" in modes else None)
    frames, returns, total = [], [], 0.0
    for step, total in enumerate(play(policy, environment, evaluation_start(seed))):
        if step % stride(environment) == 0:
            frames.append(picture(environment))
            returns.append(total)
    environment.close()
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


def picture(environment: Env[Any, Any]) -> Image.Image:
    """The environment as it is now, fitted into a panel."""
    panel = Image.new("RGB", PANEL, PAPER)
    if environment.render_mode is not None:
        drawn = ImageOps.contain(Image.fromarray(np.asarray(environment.render())), PANEL)
        panel.paste(drawn, ((PANEL[0] - drawn.width) // 2, (PANEL[1] - drawn.height) // 2))
    return panel


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
