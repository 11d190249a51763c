"""The field of the page for recordings: a microphone, or a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from apps.errors import UserError
from apps.page_field import PageField


class RecordingField(PageField):
    """Records or uploads, and sends whatever it was as a WAV file of 16 bits."""

    signature = "wav"

    def make(self, name: str) -> Any:
        import gradio as gr

        return gr.Audio(
            label="Recording", sources=["upload", "microphone"], type="filepath", buttons=[]
        )

    def read(self, name: str, value: Any) -> bytes:
        import soundfile

        from apps.data.recordings.decoding import decode_bytes

        if not value:
            raise UserError("there is no recording yet; record one, or choose a file")
        clip = decode_bytes(Path(value).read_bytes(), Path(value).name)
        content = io.BytesIO()
        soundfile.write(content, clip.samples, clip.rate, format="WAV", subtype="PCM_16")
        return content.getvalue()
