"""A reproducible benchmark pipeline for shared-model, multi-process actor-critic (A3C)."""
