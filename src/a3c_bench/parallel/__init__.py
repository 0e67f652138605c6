"""The shared model, the two schedules, the worker's loop, and the pool that starts, watches and stops workers."""
