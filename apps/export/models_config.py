"""`models.config`: the models that a TensorFlow Serving server reads, and their folders."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from apps.atomic import write_atomically
from apps.errors import UserError

FILE = "models.config"
MOUNT = "/models"


def read(folder: Path) -> model_server_config_pb2.ModelServerConfig:
    """The configuration in a folder of models, empty where there is none.

    Raises:
        UserError: the file is not a ModelServerConfig; the message names the line.
    """
    config = model_server_config_pb2.ModelServerConfig()
    file = folder / FILE
    try:
        text_format.Parse(file.read_text(encoding="utf-8"), config)
    except FileNotFoundError:
        pass
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file}: not a ModelServerConfig ({error}); correct it, or remove it and export again"
        ) from None
    return config


def add(folder: Path, model: str) -> None:
    """Add a model, with its path in the folder that TensorFlow Serving's container mounts.

    Existing entries are kept, so that version policies and labels can be edited by hand.

    Args:
        folder: the folder of all models.
        model: the name of the model, and of its folder.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        config = read(folder)
        if any(entry.name == model for entry in config.model_config_list.config):
            return
        config.model_config_list.config.add(
            name=model, base_path=f"{MOUNT}/{model}", model_platform="tensorflow"
        )
        text = text_format.MessageToString(config).encode()
        write_atomically(folder / FILE, lambda stream: stream.write(text))
    finally:
        os.close(handle)
