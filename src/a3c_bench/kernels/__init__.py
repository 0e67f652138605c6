"""The arithmetic of acting and learning, compiled, with one order for every sum: the same bits on every CPU.

The C sources say what is computed, in what order; `build` compiles them, and `library` calls them on numpy's arrays.
"""
