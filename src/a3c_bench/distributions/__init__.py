"""What a network's outputs mean as a policy."""
