"""What a detector of anomalies is made of: scaling as rows come, forecasts, surprise."""
