"""Training, the run folder and the report."""
