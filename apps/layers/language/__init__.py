"""Language models of words: estimation, ARPA files."""
