"""Sections of reports on recordings: players, spectrograms, errors by speaker, length, word."""
