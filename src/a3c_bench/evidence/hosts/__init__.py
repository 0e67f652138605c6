"""One training over several hosts, shown on one machine: the same bits, faults, and what it costs."""
