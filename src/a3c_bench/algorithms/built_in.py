"""Imports all that is built in: the fork server does so, that no worker has to when it is told what to train."""

from importlib import import_module

from a3c_bench.algorithms.registry import BUILT_IN

for _target in BUILT_IN.values():
    import_module(_target.partition(":")[0])
