"""What is asked of an input: one file or folder a task."""
