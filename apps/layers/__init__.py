"""Recurrent layers on the fused path."""

from apps.layers.lstm import LSTM
from apps.layers.stack import LSTMStack

__all__ = ["LSTM", "LSTMStack"]
