"""What may stand in an LSTM's place: GRU, linear recurrences, attention."""
