"""Streams: a chunk and a state in, answers and the next state out."""
