"""The field of the page for clips: a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from apps.errors import UserError
from apps.page_field import PageField

# What is sent; the model scales each frame to its own size.
_FRAMES, _SIDE = 32, 224


class ClipField(PageField):
    """Takes a clip, and sends evenly spread frames of it as JPEG files."""

    signature = "jpeg"

    def make(self, name: str) -> Any:
        import gradio as gr

        return gr.Video(label="Clip", sources=["upload"], include_audio=True)

    def read(self, name: str, value: Any) -> list[bytes]:
        from PIL import Image

        from apps.data.videos.probing import probe

        if not value:
            raise UserError("there is no clip yet; choose a file")
        clip, _ = probe(Path(value))
        if clip.fault:
            raise UserError(clip.fault)
        files = []
        for frame in clip.sampled(_FRAMES, _SIDE):
            content = io.BytesIO()
            Image.fromarray(frame).save(content, format="JPEG", quality=95)
            files.append(content.getvalue())
        return files
