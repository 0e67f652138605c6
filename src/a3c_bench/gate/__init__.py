"""The gate: whether a change made the code slower, judged on one machine, in turns.

It knows nothing of the rest of this package: it times any repository whose benchmarks are pytest-benchmark's.
"""
