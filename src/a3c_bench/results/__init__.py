"""Where results lie, and how they are written and read: canonically, and all of a stage's or none."""
