"""The report's parts for video."""
