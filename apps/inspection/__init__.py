"""What the gates of a run's LSTMs do with an input, and what its answer comes from."""
