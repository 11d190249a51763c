"""The choice between the CPU kernel and the GPU kernel, made when the graph runs."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import control_flow_util

Kernel = Callable[..., tuple[tf.Tensor, ...]]
Substitute = Callable[[Kernel, Sequence[tf.Tensor]], tuple[tf.Tensor, ...]]

_substitute: ContextVar[Substitute | None] = ContextVar("substitute", default=None)
_stays: ContextVar[bool] = ContextVar("stays", default=False)
_forward_only: ContextVar[bool] = ContextVar("forward_only", default=False)


@contextlib.contextmanager
def kernels_as(substitute: Substitute) -> Iterator[None]:
    """Trace a substitute for the kernels, for a format that has neither of them.

    Args:
        substitute: takes the CPU kernel and its arguments, returns the same outputs.
    """
    before = _substitute.set(substitute)
    try:
        yield
    finally:
        _substitute.reset(before)


@contextlib.contextmanager
def for_this_process() -> Iterator[None]:
    """Trace one kernel alone where there is no GPU, for graphs that no other process will run.

    It is faster to trace and to optimise by half.
    """
    before = _stays.set(True)
    try:
        yield
    finally:
        _stays.reset(before)


@contextlib.contextmanager
def forward_only() -> Iterator[None]:
    """Trace the kernels without their gradients, for graphs that will not be differentiated."""
    before = _forward_only.set(True)
    try:
        yield
    finally:
        _forward_only.reset(before)


def in_xla() -> bool:
    """Whether the operations being traced will be compiled by XLA, which has no fused LSTM."""
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def call_for_device(cpu: Kernel, gpu: Kernel, arguments: Sequence[tf.Tensor]) -> tuple:
    """Call `cpu` or `gpu`, whichever suits the device that the call runs on.

    In eager mode the device is known. In a graph the call goes to the CPU function, which names the
    GPU function as an equivalent implementation. Where the call is placed on a GPU, the graph
    optimiser of the process that runs the graph swaps the two, in the forward pass and in the
    gradient.

    Args:
        cpu: takes `arguments`, returns a tuple of tensors.
        gpu: the same outputs, computed with operations that need a GPU.
        arguments: every tensor that the kernels read; they must not capture others.

    Returns:
        The kernel's outputs.
    """
    substitute = _substitute.get()
    if substitute is not None:
        return substitute(cpu, arguments)
    if _stays.get() and not tf.config.list_logical_devices("GPU"):
        return cpu(*arguments)
    if tf.executing_eagerly():
        return (gpu if _eager_device_is_gpu() else cpu)(*arguments)
    # The optimiser pairs implementations by name over the whole graph, into which models saved by
    # other processes may be loaded too, so no two calls may share a name.
    name = f"lstm_{uuid.uuid4().hex}"
    called, other = _implementation(cpu, name, "CPU"), _implementation(gpu, name, "GPU")
    arguments = [_not_constant(argument) for argument in arguments]
    outputs = called(*arguments)
    alternative = other.get_concrete_function(*arguments)
    alternative.add_to_graph()
    if not _forward_only.get():
        alternative.add_gradient_functions_to_graph()
    # TensorFlow Serving runs a SavedModel in a session, which specialises a function with an unread
    # output before the swap and then no longer swaps it. IdentityN reads every output.
    return tuple(tf.raw_ops.IdentityN(input=outputs))


def _not_constant(tensor: tf.Tensor) -> tf.Tensor:
    """Hide that a tensor is constant, such as the zero states of a batch of fixed size.

    A session also specialises a function for its constant arguments before the swap.
    """
    if tf.get_static_value(tensor) is None:
        return tensor
    return tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tensor.shape)


def _implementation(kernel: Kernel, name: str, device: str):
    return tf.function(
        kernel,
        autograph=False,
        experimental_attributes={"api_implements": name, "api_preferred_device": device},
    )


def _eager_device_is_gpu() -> bool:
    if not tf.config.list_logical_devices("GPU"):
        return False
    device = context.context().device_spec.device_type
    return device is None or device.upper() == "GPU"
