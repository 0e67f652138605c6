"""From result files to tables over seeds, figures and pages."""
