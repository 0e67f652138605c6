"""The gate: whether a change made the code slower, judged on one machine, in turns."""
