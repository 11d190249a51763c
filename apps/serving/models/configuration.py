"""Which models a folder serves: from its `models.config`, or from its subfolders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as model_server

from apps.errors import UserError

CONFIG_FILE = "models.config"
_PLATFORMS = ("", "tensorflow")
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class ModelSettings:
    """One model of a server's configuration.

    Attributes:
        name: under which requests ask for it.
        base: the folder of its versions.
        latest: how many of its latest versions to serve; `None` for all of `specific`, or for all
            there are.
        specific: the versions to serve; `None` where `latest` or all is meant.
        labels: versions by label.
    """

    name: str
    base: Path
    latest: int | None = 1
    specific: frozenset[int] | None = None
    labels: Mapping[str, int] = field(default_factory=dict)

    def choose(
        self, versions: Mapping[int, Path], usable: Callable[[int, Path], bool]
    ) -> dict[int, Path]:
        """The versions to serve.

        Args:
            versions: the folders there are, by version.
            usable: tells whether a version can be served; asked for no more of them than needed.
        """
        chosen: dict[int, Path] = {}
        for number in sorted(versions, reverse=True):
            if self.latest is not None and len(chosen) == self.latest:
                break
            wanted = self.specific is None or number in self.specific
            if wanted and usable(number, versions[number]):
                chosen[number] = versions[number]
        return chosen


def versions_in(base: Path) -> dict[int, Path] | None:
    """The version folders of a model: those named by an integer.

    Returns:
        Folders by version, or `None` where `base` itself cannot be listed now.
    """
    try:
        entries = list(base.iterdir())
    except OSError:
        return None
    named = [entry for entry in entries if entry.name.isascii() and entry.name.isdecimal()]
    folders = {int(entry.name): entry for entry in sorted(named) if entry.is_dir()}
    return {number: entry for number, entry in folders.items() if number <= _LARGEST_VERSION}


def read_models(folder: str | os.PathLike[str]) -> dict[str, ModelSettings]:
    """The models of a folder by name.

    A `models.config` says which; its `base_path`, which names a place in a container, is looked
    for beside it where it does not exist. Without one, a folder that holds integer-named versions
    is a model, and so is every such subfolder.

    Args:
        folder: of all models, or of one.

    Raises:
        UserError: `models.config` cannot be used; the message names the line or the model.
    """
    place = Path(folder)
    config = place / CONFIG_FILE
    if config.is_file():
        return _configured(place, config)
    if versions_in(place):
        return {place.resolve().name: ModelSettings(place.resolve().name, place)}
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return {}
    found = [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return {base.name: ModelSettings(base.name, base) for base in found if versions_in(base)}


def _configured(folder: Path, file: Path) -> dict[str, ModelSettings]:
    message = model_server.ModelServerConfig()
    try:
        text_format.Parse(file.read_text(encoding="utf-8"), message)
    except text_format.ParseError as error:
        raise UserError(f"{file}: line {error.GetLine()}: {error}; mend it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); mend it") from None
    if message.WhichOneof("config") is None:
        # An editor that empties a file before it writes must not unload every model.
        raise UserError(f"{file}: holds no model_config_list; add one")
    if message.WhichOneof("config") == "custom_model_config":
        raise UserError(f"{file}: custom_model_config is not supported; use model_config_list")
    models: dict[str, ModelSettings] = {}
    for number, model in enumerate(message.model_config_list.config, 1):
        if not model.name or not model.base_path:
            raise UserError(f"{file}: model {number} needs both a name and a base_path; add them")
        if model.name in models:
            raise UserError(f"{file}: duplicate model name {model.name}; rename one")
        if model.model_platform not in _PLATFORMS:
            raise UserError(
                f"{file}: model {model.name} has the platform {model.model_platform!r}; "
                'only "tensorflow" is served'
            )
        models[model.name] = _settings(folder, model)
    return models


def _settings(folder: Path, model: model_server.ModelConfig) -> ModelSettings:
    base = Path(model.base_path)
    if not (base.is_absolute() and base.is_dir()):
        base = folder / PurePosixPath(model.base_path).name
    labels = dict(model.version_labels)
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return ModelSettings(model.name, base, None, None, labels)
    if choice == "specific":
        wanted = frozenset(policy.specific.versions)
        return ModelSettings(model.name, base, None, wanted, labels)
    return ModelSettings(model.name, base, max(policy.latest.num_versions, 1), None, labels)
