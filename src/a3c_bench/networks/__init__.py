"""Differentiable functions on a flat vector of parameters."""
