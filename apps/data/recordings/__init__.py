"""Recordings: clips, how files of them are decoded, and how corpora lay them out."""
