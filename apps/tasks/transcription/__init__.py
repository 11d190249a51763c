"""Text from recordings: CTC, its decoders, its error rates."""
