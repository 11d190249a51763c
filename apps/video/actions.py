"""Actions: what happens in a clip of video, whole or as a stream goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Adaptation, Baseline, Outputs, Pace, Shortcut, Tensors
from apps.configuration import changed, fixed
from apps.data import Examples
from apps.data.sequences import fetched
from apps.errors import UserError
from apps.inputs.clips import Clips
from apps.layers.attention import AttentionPooling
from apps.layers.stream_chain import prefixed, unprefixed
from apps.layers.streaming import StreamWindows
from apps.layers.video.augmentation import ClipAugmentation
from apps.layers.video.joints import JointMotion
from apps.layers.video.motion import FrameMotion
from apps.layers.video.sampling import RandomFrames
from apps.report.sections import Section
from apps.report.video.sections import clip_sections
from apps.tasks.classification import Classification
from apps.video.encoders import LSTM, OWN, EncoderConfig, frame_encoder, recurrent
from apps.video.features import FEATURES, features_shortcut
from apps.video.sample_clips import sample_clips
from apps.video.unordered_baseline import FramesWithoutOrder

_SIDES = re.compile(r"(?i)(?<![a-z])(left|right|links|rechts|clockwise)(?![a-z])")


@dataclass(frozen=True)
class ActionsConfig(EncoderConfig):
    """Hyperparameters of the action model; `searched` ones are what tuning varies.

    In training, clips are shifted by up to `shift` of their side, mirrored, and changed in contrast
    by up to `contrast`. It goes on to its end: with few clips to choose by, the loss often rises
    before the averaged weights fall into place.
    """

    learning_rate: float = changed(2e-3)
    batch_size: int = changed(16, span=(8, 64))
    epochs: int = changed(40)
    patience: int = changed(100)
    updates: int = changed(700)
    averaging: float = changed(0.98)
    weight_decay: float = changed(1e-2)
    validation_fraction: float = changed(0.15)
    attention: int = fixed(32, low=1, high=4096)
    shift: float = fixed(0.1, low=0.0, high=0.5)
    mirror: bool = fixed(True)
    contrast: float = fixed(0.3, low=0.0, high=1.0)


class Actions(Application):
    """Convolutions over each frame's movement, an LSTM over the frames, attention over its steps.

    Donahue et al. 2015, "Long-term recurrent convolutional networks for visual recognition and
    description", section 4. A stream is answered frame by frame, each time from as many frames as
    a clip has, so that what the model was trained on is what it sees.
    """

    name = "actions"
    input: Clips = Clips("video")
    task = Classification("label")
    Config = ActionsConfig
    config: ActionsConfig
    _short: Shortcut | None = None

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_clips(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        small = {"units": 8, "channels": 4, "size": 16, "frames": 6, "attention": 4}
        schedule = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "averaging": 0.0}
        return Tiny(sample_clips(0, rows=96), {**small, **schedule})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        # A mirrored wave of the left hand is one of the right.
        sided = any(_SIDES.search(re.sub(r"[_\W]+", " ", label)) for label in set(units["label"]))
        return {"mirror": False} if sided else {}

    def adapt(self, examples: Examples) -> Adaptation:
        if self.input.poses and (self.config.recurrence, self.config.backbone) != (LSTM, OWN):
            raise UserError(
                "joints are no pictures: leave recurrence and backbone out, or give videos"
            )
        return Adaptation({}, tensors=self.input.drawn_from(examples))

    def build(self) -> keras.Model:
        config, seed = self.config, self.seed
        given, steps = self._joint_steps() if self.input.poses else self._frame_steps()
        x = recurrent(config, seed, steps)
        x = AttentionPooling(config.attention, seed=seed, name="attention")(x)
        x = keras.layers.Dropout(config.output_dropout, seed=seed, name="output_dropout")(x)
        logits = keras.layers.Dense(len(self.labels), name="logits")(x)
        return keras.Model({given.name: given}, logits)

    def _frame_steps(self) -> tuple[keras.KerasTensor, Any]:
        """Frames, and a vector for each step from one to the next."""
        config, seed, size = self.config, self.seed, self.config.size
        frames = keras.Input((None, size, size, 3), dtype="uint8", name="frames")
        x = RandomFrames(config.frames, seed, dtype="uint8", name="drawn")(frames)
        x = ClipAugmentation(
            config.shift,
            mirror=config.mirror,
            contrast=config.contrast,
            seed=seed,
            name="augmentation",
        )(x)
        x = FrameMotion(config.motion, name="motion")(x)
        return frames, frame_encoder(config, seed)(x)

    def _joint_steps(self) -> tuple[keras.KerasTensor, Any]:
        """Joints, and how they stand and move at each step."""
        config, seed, sampler = self.config, self.seed, self.adapted["sampler"]
        shape = (None, sampler.joints, sampler.dims)
        joints = keras.Input(shape, dtype="float32", name="joints")
        x = RandomFrames(config.frames, seed, dtype="float32", name="drawn")(joints)
        return joints, JointMotion(config.mirror, seed, name="motion")(x)

    def paces(self) -> Sequence[Pace]:
        config = self.config
        tuned = config.backbone != OWN and config.fine_tune != "no"
        return (Pace(("encoder",), 0.1, config.fine_tune_from),) if tuned else ()

    def shortcut(self) -> Shortcut | None:
        config = self.config
        alone = config.backbone != OWN and config.motion == "picture" and config.cache_gb > 0
        self._short = None
        if alone and not self.model.get_layer("encoder").trainable_variables:
            environment.say(
                f"{config.backbone} stays as it is: what it makes of each frame is kept on disk, "
                "and training sees clips as they are, neither shifted nor mirrored"
            )
            self._short = features_shortcut(
                self.model, ("lstm", "attention", "output_dropout", "logits")
            )
        return self._short

    def forward(self, batch: Tensors) -> Outputs:
        if self._short is None:
            return super().forward(batch)
        return self._short.model({FEATURES: batch[FEATURES]}, training=True)

    def baselines(self) -> dict[str, Baseline]:
        unordered = FramesWithoutOrder(self.input, self.labels, self.seed)
        return {**super().baselines(), "frames_without_order": unordered}

    def _windows(self) -> StreamWindows:
        """A clip's steps, moved on by one frame at a time."""
        return StreamWindows(self.config.frames - 1, 1)

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        if self.config.recurrence != LSTM or self.input.poses:
            return {}
        width = self.model.get_layer("encoder").width
        shapes = self._windows().state_shapes(width)
        window = {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}
        motion = self.model.get_layer("motion").state_specs(self.config.size)
        return {
            **prefixed("motion", motion, as_spec=True),
            **prefixed("window", window, as_spec=True),
        }

    def small_chunk(self) -> dict[str, tf.TensorSpec]:
        side = self.config.size
        return {"frames": tf.TensorSpec((1, 1, side, side, 3), tf.uint8, "frames")}

    def step(self, *, frames: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """Answers for every frame of a chunk that has a whole clip of frames behind it.

        Args:
            frames: the next frames, `(batch, time, height, width, 3)` uint8.
            lengths: real frames of each row of them, `(batch,)`.
            **states: what the call before gave.

        Returns:
            `probabilities` `(batch, steps, classes)`, zeros beyond a row's steps; `steps`
            `(batch,)`, how many each row has, perhaps none; and the states for the next chunk.
        """
        model, size = self.model, self.config.frames - 1
        motion, layers = model.get_layer("motion"), ("lstm", "attention", "logits")
        pictures = model.get_layer("augmentation")(self.adapted["sampler"].scaled(frames))
        own = unprefixed("motion", motion.state_specs(self.config.size), states)
        x, steps, own = motion.step(pictures, tf.cast(lengths, tf.int32), own)
        features, _, _ = model.get_layer("encoder").step(x, steps, {})
        before = unprefixed("window", ("buffer", "count"), states)
        signal, steps, buffer, count = self._windows().push(features, steps, **before)
        most = tf.shape(signal)[1] - size + 1
        places = tf.range(most)[:, None] + tf.range(size)[None, :]
        x = tf.reshape(tf.gather(signal, places, axis=1), [-1, size, signal.shape[2]])
        for name in layers:
            x = model.get_layer(name)(x)
        probabilities = tf.nn.softmax(tf.cast(x, tf.float32))
        probabilities = tf.reshape(probabilities, [-1, most, len(self.labels)])
        real = tf.sequence_mask(steps, most, tf.float32)
        after = {"buffer": buffer, "count": count}
        return {
            "probabilities": probabilities * real[..., None],
            "steps": steps,
            **prefixed("motion", own),
            **prefixed("window", after),
        }

    def track(self, example: Examples) -> Mapping[str, Any]:
        """What the last layer says of each step of one clip, and the step's weight."""
        model = self.model
        lstm = keras.Model(model.input, model.get_layer("lstm").output)
        states = lstm(fetched(self.input.tensors(example), np.arange(1)))
        by_step = tf.nn.softmax(model.get_layer("logits")(states)).numpy()[0]
        weights = model.get_layer("attention").weights_of(states).numpy()[0]
        return {"probabilities": by_step.tolist(), "weights": weights.tolist()}

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return [*super().sections(rows)[:2], *clip_sections(rows, self.labels)]
