"""Audio inside the graph: features, their normalisation, and augmentation in training."""
