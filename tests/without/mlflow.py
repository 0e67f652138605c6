"""In place of MLflow, which takes seconds to import: for the commands of tests that are about other things."""

raise ImportError("this test leaves it out")
