"""Many trainings over many machines: cells by number, and what hands them out."""
