"""Layers that take frames of video: sampling, augmentation, motion, convolutions."""
