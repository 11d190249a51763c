"""The parts of an application: an input, a task, and baselines to compare with.

An input says what a user hands in; a task says what the model is asked about it. Both are declared
once in the class of an application and know nothing of one another. For each training they are
bound to its config, its seed and `adapted`, the layers made from the training rows.
"""

from apps.components.adaptation import ASSETS, Adaptation
from apps.components.baseline import Baseline
from apps.components.component import Component, Tensors
from apps.components.input import Input
from apps.components.pace import Pace
from apps.components.shortcut import Shortcut
from apps.components.task import Batches, Outputs, Task

__all__ = [
    "ASSETS",
    "Adaptation",
    "Baseline",
    "Batches",
    "Component",
    "Input",
    "Outputs",
    "Pace",
    "Shortcut",
    "Task",
    "Tensors",
]
