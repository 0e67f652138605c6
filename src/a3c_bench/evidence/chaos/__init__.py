"""Faults at random moments of real trainings, from outside: the code that trains has no switch for them."""
