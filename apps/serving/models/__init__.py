"""What the local server serves: versions of models, watched, gated, batched and drained."""
