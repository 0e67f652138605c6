"""One thin module per command of `a3c-bench`."""
