"""Transcription by connectionist temporal classification: task, decoders, baseline."""

from apps.tasks.transcription.config import CtcConfig
from apps.tasks.transcription.task import CtcTranscription

__all__ = ["CtcConfig", "CtcTranscription"]
