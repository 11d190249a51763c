"""Sections of reports on recordings: players, spectrograms, errors by speaker, length and word."""
