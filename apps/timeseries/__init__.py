"""Applications that read series of numbers."""
