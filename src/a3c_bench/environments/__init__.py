"""Gymnasium environments: what goes in, what comes out, how they are saved."""
