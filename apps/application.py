"""The contract: all that the rest of the package knows of an application.

An application is read top to bottom in the order in which its data flows: check → learn →
prepare → build → loss → decode → measure → baselines → serve. Training, evaluation, tuning, export
and the command line use these methods and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from apps.configuration import ApplicationConfig
from apps.errors import UserError, nearest
from apps.report.quantities import metric

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from apps.data import Column, Examples, Prepared
    from apps.report.sections import Section
    from apps.signatures import Signature


class Baseline(ABC):
    """A naive competitor, fitted on the same rows, whose answers are measured in the same way.

    Its state is arrays and JSON values only, so that a run folder carries it without the data.
    """

    @abstractmethod
    def fit(self, examples: Examples) -> None:
        """Learn from the training rows."""

    @abstractmethod
    def predict(self, examples: Examples) -> np.ndarray:
        """Outputs of the form that the application's `decode` gives, one entry a row."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs; object arrays are not allowed."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""


class Application(ABC):
    """One task that an LSTM is trained for.

    Attributes:
        name: the name on the command line.
        passed_over: what is said of rows that `check` drops.
        columns: what a row of a user's data holds.
        inputs: which of the columns an answer is given for.
        Config: the dataclass of its hyperparameters.
        metrics: the names that `measure` gives.
        objective: the one of them by which early stopping and tuning choose; of an instance, the
            one that its config asks for.
        labels: the classes in the order of the outputs, where it answers with one of them.
        config: the hyperparameters of this instance.
        seed: seeds weights, dropout, data order and splits.
        model: the Keras model on prepared tensors, once `build` has been called.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, Column]]
    inputs: ClassVar[tuple[str, ...]]
    Config: ClassVar[type[ApplicationConfig]]
    metrics: ClassVar[tuple[str, ...]]
    objective: str
    stratify: ClassVar[str | None] = None
    passed_over: ClassVar[str] = "empty"
    labels: tuple[str, ...] = ()

    def __init__(self, config: ApplicationConfig, seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.model: keras.Model
        if config.objective:
            self.objective = self.checked_objective(config.objective)

    @property
    def maximise(self) -> bool:
        """Whether a larger value of the objective is the better one."""
        return metric(self.objective).better == "higher"

    @classmethod
    def checked_objective(cls, name: str) -> str:
        """The name of a metric to choose by.

        Raises:
            UserError: the application has no such metric, or it has no better side.
        """
        directed = [known for known in cls.metrics if metric(known).better != "neither"]
        if name not in directed:
            raise UserError(f"objective {name}: not a metric to choose by{nearest(name, directed)}")
        return name

    @classmethod
    @abstractmethod
    def sample(cls, seed: int) -> Examples:
        """The built-in sample, made on the spot."""

    @abstractmethod
    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """The usable rows of what a user gave.

        Args:
            examples: rows as they were read.
            learning: whether the model will learn from them; if not, whatever the trained model
                cannot be measured on (a label it never saw, say) is an error.

        Returns:
            The rows to use; what was dropped is the difference in length.

        Raises:
            UserError: rows that no model can be trained or measured on, with file, row and remedy.
        """

    def learn_labels(self, examples: Examples) -> None:  # noqa: B027  (most have none)
        """Take the classes from the training rows; nothing where answers are no classes."""

    @abstractmethod
    def learn(self, examples: Examples) -> None:
        """Set what is learnt from data before training: vocabulary, labels, scaling."""

    @abstractmethod
    def prepare(self, examples: Examples, *, targets: bool = True) -> Prepared:
        """Rows as tensors, made by the layers that will serve; with targets or without."""

    @abstractmethod
    def build(self) -> keras.Model:
        """A freshly initialised Keras model from prepared tensors to outputs."""

    @abstractmethod
    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        """Mean loss of a batch, a scalar in nats or in squared units of the target."""

    @abstractmethod
    def truth(self, examples: Examples) -> np.ndarray:
        """What `measure` compares outputs with, one entry a row."""

    def output_steps(self, lengths: np.ndarray) -> np.ndarray | None:
        """How many steps of its output count for rows of so many input steps, `(rows,)` int64.

        None where an output is one vector a row.
        """
        return None

    def calibrate(self, truth: np.ndarray, outputs: np.ndarray) -> None:  # noqa: B027
        """Choose by the validation rows what is chosen when the weights are final; often nothing.

        Args:
            truth: as `truth` gives it.
            outputs: of the final model.
        """

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """What is measured and answered, from the model's outputs, one entry a row.

        The outputs themselves, unless a search stands between the two.
        """
        return outputs

    def decoders(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """The same outputs decoded in other ways, by name, to be measured beside `decode`."""
        return {}

    @abstractmethod
    def measure(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Metrics by name of decoded outputs; a rate is a fraction."""

    @abstractmethod
    def baselines(self) -> dict[str, Baseline]:
        """What the model must beat, by name, not yet fitted."""

    @abstractmethod
    def serve(self, **raw: Any) -> dict[str, Any]:
        """Named answers from raw input, inside the graph."""

    @abstractmethod
    def raw_inputs(self) -> dict[str, Any]:
        """Symbolic Keras inputs of what a user sends, by the names that `serve` takes."""

    @abstractmethod
    def unusual(self) -> dict[str, np.ndarray]:
        """Raw inputs at the edge of what is answered: empty, odd characters, silence."""

    def about(self) -> dict[str, Any]:
        """What a client must know to make raw inputs, beside the labels; JSON values by name."""
        return {}

    @classmethod
    def raw_from(cls, examples: Examples, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Rows as a client sends them to a version that says this `about` itself."""
        return {name: np.array(examples[name], object) for name in cls.inputs}

    def raw(self, examples: Examples) -> dict[str, np.ndarray]:
        """Rows as a client sends them, by the names that `serve` takes."""
        return self.raw_from(examples, self.about())

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        """What `step` takes: a chunk's tensors, and states named `state_…` that begin as zeros.

        Empty where the application does not read streams.
        """
        return {}

    def step(self, **chunk_and_states: Any) -> dict[str, Any]:
        """Answers for a chunk, and the states for the next one under their names."""
        raise NotImplementedError(f"{self.name} does not read streams")

    @abstractmethod
    def adopt(self, served: keras.Model) -> None:
        """Take learnt layers and the model back from a served model that was loaded."""

    @abstractmethod
    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """What `predict` prints for each row of decoded outputs, ready for JSON."""

    @abstractmethod
    def predictions(self, examples: Examples, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Rows of `predictions.jsonl`: `place`, `input`, `truth` and the answer of each example.

        Args:
            examples: checked rows.
            outputs: decoded.
        """

    @abstractmethod
    def sections(self, predictions: Sequence[Mapping[str, Any]]) -> list[Section]:
        """The application's own part of the report, from the rows of `predictions.jsonl`."""

    def served(self) -> keras.Model:
        """The model that travels: raw input to named answers, learnt layers inside."""
        import keras

        raw = self.raw_inputs()
        return keras.Model(raw, self.serve(**raw), name=self.name)

    def signatures(self) -> dict[str, Signature]:
        """The entry points of the application's SavedModel, by name."""
        from apps.signatures import signatures_of

        return signatures_of(self)

    @classmethod
    def from_served(cls, config: ApplicationConfig, seed: int, served: keras.Model) -> Self:
        """The application of a run, from its served model."""
        application = cls(config, seed)
        application.adopt(served)
        return application

    @classmethod
    def untrained(cls) -> Self:
        """The application with default hyperparameters, learnt on its sample, not trained."""
        application = cls(cls.Config())
        application.learn(application.check(cls.sample(0), learning=True))
        application.build()
        return application

    def better(self, value: float, than: float | None) -> bool:
        """Whether one value of the objective beats another."""
        return than is None or (value > than if self.maximise else value < than)
