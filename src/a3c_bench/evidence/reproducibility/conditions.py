"""The rows of the proof: everything that is varied, one thing at a time.

After Nagarajan, Warnell and Stone, "Deterministic Implementations for Reproducibility in Deep Reinforcement Learning",
2018, who release one source of nondeterminism at a time and measure what it does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from a3c_bench.algorithms.base import Settings
from a3c_bench.config import Checkpoint
from a3c_bench.evidence.reproducibility.roots import ARM, DEBIAN_13, PYTHONS, System

WORKERS = (1, 2, 3, 4, 7)
THREADS = (2, 4)
CPU_MODELS = ("Nehalem", "Haswell", "Skylake-Client-noTSX-IBRS", "EPYC-Rome")
"""The first has no AVX: it is the least that numpy's wheels run on."""
ARM_MODELS = {"neoverse-n1": "Neoverse N1", "cortex-a57": "Cortex-A57"}
"""Each has OpenBLAS take other kernels; the second has neither half-precision arithmetic nor atomic instructions."""
AVX512 = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
OPENBLAS = ("Prescott", "Sandybridge", "SkylakeX")
"""Kernels of OpenBLAS: SSE3, AVX, AVX-512."""
ENVIRONMENTS = ("Acrobot-v1", "LunarLander-v3")
"""Others than the params': one without a vector version, and one whose state is packed by replaying its actions."""
OTHER_ROUNDS = 30
LARGE = "rollouts that threads share"
OFTEN = Checkpoint(seconds=0.02)


@dataclass(frozen=True)
class Condition:
    """One row: what is done to a run that is otherwise the reference."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Top-level params."""
    large: bool = False
    """Rollouts that threads can share."""
    promised: bool = True
    """The design promises the reference's bits; the others are there as contrast."""
    rounds: int = 100
    """Updates of every actor."""
    reference: str = "reference"
    """The row whose bits and rate this one is compared with."""
    trial: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Trial`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    loaded: bool = False
    """Two busy loops per core run beside it."""
    elsewhere: bool = False
    """In another folder, as another user."""
    cpu_model: str | None = None
    """Emulated."""
    system: System | None = None
    """Another processor, C library or Python; what trains is the same source."""


def conditions(settings: Settings) -> Iterator[Condition]:
    """The rows of one algorithm, in the order of the table; the first is the reference."""
    yield Condition("reference")
    yield Condition("repeated")
    yield from (Condition(f"workers {count}", {"workers": count}) for count in WORKERS)
    yield from (Condition(f"threads {count}", {"threads": count}) for count in THREADS)
    if settings.with_work_for_threads() is not None:
        for count in (1, *THREADS):
            name, reference = f"threads {count}, {LARGE}", f"threads 1, {LARGE}"
            yield Condition(name, {"threads": count}, large=True, rounds=20, reference=reference)
    yield Condition("two busy loops per core beside it", loaded=True)
    yield Condition("workers delayed at random", trial={"delayed": True})
    yield Condition("one worker slowed down: its actors move", trial={"slow": 0})
    yield Condition("pinned to one core", trial={"one_core": True})
    yield from (Condition(f"start method {name}", trial={"start_method": name}) for name in ("spawn", "fork"))
    yield from (Condition(f"PYTHONHASHSEED={seed}", variables={"PYTHONHASHSEED": seed}) for seed in ("0", "12345"))
    yield Condition("PYTHONMALLOC=malloc", variables={"PYTHONMALLOC": "malloc"})
    yield Condition("another folder and user", elsewhere=True)
    yield Condition("killed, and gone on from a checkpoint", {"checkpoint": OFTEN}, trial={"kills": 1})
    for name in ENVIRONMENTS:
        other = {"env": name, "checkpoint": OFTEN}
        yield Condition(name, {**other, "workers": 1}, rounds=OTHER_ROUNDS, reference=name)
        for done, trial in (("its actors move", {"slow": 0}), ("killed, and gone on", {"kills": 1})):
            yield Condition(f"{name}: {done}", other, rounds=OTHER_ROUNDS, reference=name, trial=trial)
    yield from processors_and_systems()
    yield Condition("hogwild", {"schedule": "hogwild"}, promised=False)


def processors_and_systems() -> Iterator[Condition]:
    """What is below the program: processors, the kernels that libraries choose by them, C library and Python."""
    yield from (Condition(f"emulated CPU: {model}", cpu_model=model) for model in CPU_MODELS)
    yield from (on_arm(model) for model in ARM_MODELS)
    yield Condition("AVX-512 off", variables=AVX512)
    yield from (Condition(f"OpenBLAS kernels: {name}", variables={"OPENBLAS_CORETYPE": name}) for name in OPENBLAS)
    yield Condition("Debian 13: glibc 2.41, Python 3.13", system=DEBIAN_13)
    yield from (Condition(f"Python {system.python}", system=system) for system in PYTHONS)


def on_arm(model: str) -> Condition:
    """An emulated ARM64 processor, with a Debian of its own."""
    return Condition(f"ARM64 ({ARM_MODELS.get(model, model)}), emulated", cpu_model=model, system=ARM)
