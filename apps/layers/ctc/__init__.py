"""Connectionist temporal classification: loss and decoders."""

from apps.layers.ctc.beam import BeamDecoder
from apps.layers.ctc.decoder import Decoder, join
from apps.layers.ctc.greedy import GreedyDecoder
from apps.layers.ctc.loss import ctc_loss, steps_needed

__all__ = ["BeamDecoder", "Decoder", "GreedyDecoder", "ctc_loss", "join", "steps_needed"]
