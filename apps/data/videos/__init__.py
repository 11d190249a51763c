"""Videos: clips, how files of them are probed and decoded, and how corpora lay them out."""
