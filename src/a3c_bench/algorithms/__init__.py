"""What is trained: one module per algorithm, with its settings, its actor and its loss."""
