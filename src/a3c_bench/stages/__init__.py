"""The pipeline: one module per DVC stage. Only these read and write files."""
