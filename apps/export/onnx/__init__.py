"""ONNX files whose LSTMs are fused, masks and both directions included.

    from apps.export.onnx import export_onnx
    done = export_onnx(application, folder)

While the model is traced, every LSTM is a placeholder (`recurrence`) that becomes ONNX's `LSTM`
(`handlers`, `directions`). Operations that tf2onnx would leave in or get wrong are refused
(`conversion`). The file is kept only if onnxruntime's answers agree with TensorFlow's
(`comparison`).
"""

from apps.export.onnx.files import KINDS, OnnxExport, export_onnx

__all__ = ["KINDS", "OnnxExport", "export_onnx"]
