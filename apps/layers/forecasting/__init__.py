"""Networks that forecast series: what was, and what is known of the time to come, to quantiles."""
