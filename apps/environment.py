"""The process: settings made before TensorFlow is imported, and where progress is printed."""

import os
import sys


def prepare() -> None:
    """Set what the user has not: oneDNN products on every processor, and a quieter log."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def import_tensorflow_quietly() -> None:
    """Import TensorFlow and open its devices while its C++ code is silenced.

    That code writes notes on drivers and processors straight to file descriptor 2 before its own
    log levels apply; they would bury the one line that a command prints. Python errors still get
    through.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        # TensorFlow calls the loader deprecated that TensorFlow Serving itself uses.
        tf.get_logger().setLevel("ERROR")
        tf.config.list_physical_devices("GPU")
        tf.transpose(tf.constant([[0, 1]], tf.int64)).numpy()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def say(line: str) -> None:
    """Print a line of progress to standard error; standard output is for answers."""
    print(line, file=sys.stderr, flush=True)
