"""Examples of what comes in from outside, with no edit of the package."""
