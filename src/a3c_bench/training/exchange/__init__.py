"""How gradients, snapshots and actors get from one worker to another."""
