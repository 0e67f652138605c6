"""The actor-critic itself: pure computation, no processes and no files."""
