"""The choice between a CPU's and a GPU's kernel, made when the graph runs."""

import uuid
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import control_flow_util

Kernel = Callable[..., tuple[tf.Tensor, ...]]


def in_xla() -> bool:
    """Whether the operations being traced will be compiled by XLA, which has no fused LSTM."""
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )


def call_for_device(cpu: Kernel, gpu: Kernel, arguments: Sequence[tf.Tensor]) -> tuple:
    """Call `cpu` or `gpu`, whichever suits the device that the call runs on.

    Eagerly that device is known. In a graph the call goes to a function that names the other
    one as an equal implementation; the graph optimiser of the process that runs the graph swaps
    the two, in the forward pass and in the gradient, where the call is placed on a GPU.

    Args:
        cpu: takes `arguments`, returns a tuple of tensors.
        gpu: the same outputs, computed with operations that need a GPU.
        arguments: every tensor that the kernels read; they must not capture any.

    Returns:
        The kernel's outputs.
    """
    if tf.executing_eagerly():
        return (gpu if _eager_device_is_gpu() else cpu)(*arguments)
    # Equal implementations are paired by name over a whole graph, into which other models, saved
    # by other processes, may be loaded: no two calls may share one.
    name = f"lstm_{uuid.uuid4().hex}"
    called, other = _implementation(cpu, name, "CPU"), _implementation(gpu, name, "GPU")
    outputs = called(*arguments)
    alternative = other.get_concrete_function(*arguments)
    alternative.add_to_graph()
    alternative.add_gradient_functions_to_graph()
    # In a session, which is how TensorFlow Serving runs a SavedModel, a function with an output
    # that nobody reads is specialised before the swap, and is then no longer swapped. Here
    # something reads them all.
    return tuple(tf.raw_ops.IdentityN(input=outputs))


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
