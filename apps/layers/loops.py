"""Loops over steps as graphs of their own where a model runs eagerly."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import tensorflow as tf

from apps.layers.kernels.dispatch import for_this_process

_Function = TypeVar("_Function", bound=Callable[..., Any])


def as_graph(*open_axes: int) -> Callable[[_Function], _Function]:
    """Let a function of tensors be one graph where it is called eagerly.

    Eagerly, Python would run each operation of each step. In a graph the function is called as it
    is.

    Args:
        open_axes: how many of the first axes of each argument may differ from call to call, for
            which the graph is traced once. An argument is a tensor, or a dict or sequence of them.
    """

    def decorated(function: _Function) -> _Function:
        return _eager_graph(function, open_axes)

    return decorated


def method_as_graph(*open_axes: int) -> Callable[[_Function], _Function]:
    """The same for a method of a layer, whose graph is its own."""

    def decorated(method: _Function) -> _Function:
        # Were it an attribute of the layer, a SavedModel would hold it.
        graphs: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

        @functools.wraps(method)
        def call(self: Any, *arguments: Any) -> Any:
            if not tf.executing_eagerly():
                return method(self, *arguments)
            if self not in graphs:
                owner = weakref.ref(self)
                graphs[self] = _eager_graph(lambda *given: method(owner(), *given), open_axes)
            return graphs[self](*arguments)

        return cast(_Function, call)

    return decorated


def _eager_graph(function: _Function, open_axes: tuple[int, ...]) -> _Function:
    traced = tf.function(function, autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        if not tf.executing_eagerly():
            return function(*arguments)
        tensors = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        specs = [_specs(one, axes) for one, axes in zip(tensors, open_axes, strict=True)]
        with for_this_process():
            graph = traced.get_concrete_function(*specs)
        return graph(*tensors)

    return cast(_Function, call)


def _specs(argument: Any, axes: int) -> Any:
    def spec(tensor: tf.Tensor) -> tf.TensorSpec:
        shape = tensor.shape.as_list()
        return tf.TensorSpec([None] * len(shape[:axes]) + shape[axes:], tensor.dtype)

    return tf.nest.map_structure(spec, argument)
