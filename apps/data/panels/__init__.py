"""Tables of time series: from cells as they were written to series of numbers."""
