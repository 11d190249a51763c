"""Runs the contract over the catalogue."""

from contract import ApplicationContract


class TestContract(ApplicationContract):
    """Every application, every promise."""
