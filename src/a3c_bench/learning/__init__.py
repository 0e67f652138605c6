"""What algorithms share: rollouts, episodes, returns, the optimizer."""
