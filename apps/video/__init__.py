"""Applications on video."""
