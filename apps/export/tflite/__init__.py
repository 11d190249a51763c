"""TFLite files for phones, single-board computers and microcontrollers with TensorFlow Lite.

    from apps.export.tflite import export_tflite
    done = export_tflite(application, folder, goldens, "int8")

What becomes a file is `step`, with its states as inputs and outputs, where the application reads
streams, and the model on prepared tensors elsewhere: one row, a fixed number of steps
(`small_model`). LSTMs become plain products (`recurrence`); no operation is left that needs
TensorFlow (`conversion`). The file is opened in TensorFlow's interpreter and compared
(`interpreter`).
"""

from apps.export.tflite.files import KINDS, TfliteExport, export_tflite

__all__ = ["KINDS", "TfliteExport", "export_tflite"]
