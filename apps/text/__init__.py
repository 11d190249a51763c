"""Applications that read text."""
