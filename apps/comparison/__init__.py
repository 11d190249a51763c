"""LSTMs and what may stand in their place, compared on a user's own data."""
