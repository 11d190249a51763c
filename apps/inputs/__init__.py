"""What a user hands in: one file an input."""
