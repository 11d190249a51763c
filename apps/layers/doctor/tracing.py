"""Trace a model as hosts with and without a GPU would, and record each layer's kernels."""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from apps.errors import cause_of
from apps.layers.doctor.diagnosis import UNKNOWN
from apps.layers.doctor.graph import LOOPS, Functions, Kernel
from apps.layers.kernels.dispatch import forward_only

Device = Literal["GPU", "CPU"]
DEVICES: tuple[Device, Device] = ("GPU", "CPU")


@dataclass(frozen=True)
class Place:
    """Where a layer stands in a model.

    Attributes:
        layer: the layer.
        path: names from the model's outermost layers down to this one.
        direction_of: path of the `keras.layers.Bidirectional` that runs it, if one does.
    """

    layer: keras.layers.Layer
    path: str
    direction_of: str | None = None


@dataclass
class Sighting:
    """What tracing the calls of one layer showed.

    Attributes:
        kernels: kernels by device and by whether the call was in training, in the order found.
        masked: whether a mask reached the layer.
        refusal: message of the error that a call raised, by device.
        failure: why the layer could not be traced at all; empty if it could.
        alone: why the layer was traced outside its model; empty if it was traced in it.
    """

    kernels: dict[tuple[Device, bool], list[Kernel]] = field(default_factory=dict)
    masked: bool = False
    refusal: dict[Device, str] = field(default_factory=dict)
    failure: str = ""
    alone: str = ""

    def on(self, device: Device) -> list[Kernel]:
        """The kernels on a kind of device, in training or not."""
        return [k for (where, _), found in self.kernels.items() if where == device for k in found]

    @property
    def cudnn(self) -> bool:
        """Whether a GPU runs the layer on cuDNN."""
        kernels = [] if "GPU" in self.refusal else self.on("GPU")
        return bool(kernels) and all(kernel.cudnn for kernel in kernels)

    def label(self, device: Device) -> str:
        """The kernels on a kind of device in words."""
        if self.failure:
            return UNKNOWN
        if device in self.refusal:
            return "refused"
        running, training = (
            " + ".join(dict.fromkeys(k.label for k in self.kernels.get((device, mode), [])))
            for mode in (False, True)
        )
        return running if running == training else f"{running} ({training} in training)"


def places(model: keras.layers.Layer) -> list[Place]:
    """List every layer inside a model, at any depth, once.

    Args:
        model: a model or a layer.

    Returns:
        The layers in the order in which their owners hold them, `model` itself first.
    """
    found: dict[int, Place] = {}

    def visit(place: Place) -> None:
        if id(place.layer) in found:
            return
        found[id(place.layer)] = place
        directions: list[Any] = []
        if isinstance(place.layer, keras.layers.Bidirectional):
            directions = [place.layer.forward_layer, place.layer.backward_layer]
        children = place.layer._flatten_layers(include_self=False, recursive=False)
        for child in directions or children:
            path = child.name if place.layer is model else f"{place.path}/{child.name}"
            visit(Place(child, path, place.path if directions else None))

    visit(Place(model, model.name))
    return list(found.values())


@contextlib.contextmanager
def host_with(device: Device) -> Iterator[list[Device]]:
    """Make Keras trace as on a host with a GPU, or as on one without.

    Args:
        device: the best device of the host.

    Yields:
        A list that is empty until Keras asks for the device, on which the trace then hangs.
    """
    # The package also has a function of this name, which hides the module from `from … import`.
    recurrent: Any = importlib.import_module("keras.src.backend.tensorflow.rnn")
    actual = recurrent._is_gpu_available
    asked: list[Device] = []

    def is_gpu_available() -> bool:
        asked.append(device)
        return device == "GPU"

    recurrent._is_gpu_available = is_gpu_available
    try:
        yield asked
    finally:
        recurrent._is_gpu_available = actual


def trace(
    model: keras.layers.Layer,
    call: Callable[..., Any],
    signature: tuple[Any, ...],
    seen: dict[int, Sighting],
) -> None:
    """Trace a call on hosts of both kinds, in training and not, and record each layer's kernels.

    Nothing is run, and the layers are left as they were.

    Args:
        model: the layers to watch are this one and those inside it.
        call: takes tensors and `training`, calls the model.
        signature: the specs of `call`'s tensors for `tf.function`.
        seen: sightings by the layer's `id`; the trace adds to it.
    """
    watched = [place.layer for place in places(model)]
    supports_jit = [layer.supports_jit for layer in watched]
    for training in (False, True):
        devices: tuple[Device, ...] = DEVICES
        while devices:
            observer = _Observer(devices, training, seen)
            traced = tf.function(
                lambda *tensors, training=training: call(*tensors, training=training),
                autograph=False,
            )
            try:
                with host_with(devices[0]) as asked, forward_only(), observer.watch(watched):
                    traced.get_concrete_function(*signature)
            finally:
                # Keras marks layers for which it chose cuDNN; here the choice was only simulated.
                for layer, supported in zip(watched, supports_jit, strict=True):
                    layer.supports_jit = supported
            # A trace that no layer's choice hangs on is the same for all devices.
            devices = devices[1:] if asked or observer.refused else ()
            for sighting in seen.values():
                for device in devices:
                    sighting.kernels.pop((device, training), None)


class _Observer:
    """Wraps the `call` of layers, and reads the operations that each call adds to the graph."""

    def __init__(self, devices: tuple[Device, ...], training: bool, seen: dict[int, Sighting]):
        # The first one is that of the host.
        self._devices = devices
        self._training = training
        self._seen = seen
        self.refused = False
        # For each call in progress, the devices for which a layer inside it was recorded.
        self._claimed: list[set[Device]] = []

    @contextlib.contextmanager
    def watch(self, layers: list[keras.layers.Layer]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for layer in layers:
                methods = _without_tf_function(layer)
                methods["call"] = self._observed(layer, methods.get("call", layer.call))
                stack.enter_context(_standing_in(layer, methods))
            yield

    def _observed(self, layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(call)

        def observed(*args: Any, **kwargs: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            before = len(graph.get_operations())
            self._claimed.append(set())
            try:
                result = self._run(layer, call, args, kwargs)
            finally:
                claimed = self._claimed.pop()
            added = _nodes_from(graph, before)
            functions = Functions(added.library)
            recurrent = isinstance(layer, keras.layers.RNN)
            for device in self._devices:
                kernels = functions.kernels(added.node, device)
                if recurrent and not kernels:
                    kernels = [Kernel(_manner(layer, added), "RNN", "")]
                if recurrent or (kernels and device not in claimed):
                    mask = signature.bind(*args, **kwargs).arguments.get("mask")
                    self._record(layer, device, kernels, mask is not None)
                    claimed.add(device)
            if self._claimed:
                self._claimed[-1] |= claimed
            return result

        # Keras and users inspect the parameters of `call`.
        observed.__signature__ = signature  # type: ignore[attr-defined]
        return observed

    def _run(self, layer, call, args, kwargs):
        try:
            return call(*args, **kwargs)
        except ValueError as error:
            if getattr(layer, "use_cudnn", None) is not True:
                raise
            # The refusal is the finding; with the loop, the rest of the model can be traced.
            self._sighting(layer).refusal[self._devices[0]] = cause_of(error)
            self.refused = True
            layer.use_cudnn = False
            try:
                return call(*args, **kwargs)
            finally:
                layer.use_cudnn = True

    def _sighting(self, layer: keras.layers.Layer) -> Sighting:
        return self._seen.setdefault(id(layer), Sighting())

    def _record(
        self, layer: keras.layers.Layer, device: Device, kernels: list[Kernel], masked: bool
    ) -> None:
        sighting = self._sighting(layer)
        sighting.masked |= masked
        sighting.kernels.setdefault((device, self._training), []).extend(kernels)


@contextlib.contextmanager
def _standing_in(
    layer: keras.layers.Layer, methods: dict[str, Callable[..., Any]]
) -> Iterator[None]:
    """Replace methods of a layer for a while, bypassing Keras's tracking of attributes."""
    own = {name: layer.__dict__[name] for name in methods if name in layer.__dict__}
    layer.__dict__.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del layer.__dict__[name]
        layer.__dict__.update(own)


def _without_tf_function(layer: keras.layers.Layer) -> dict[str, Callable[..., Any]]:
    """The methods of a layer that are wrapped in `tf.function`, unwrapped.

    A `tf.function` would keep its trace for the simulated host and run it later.
    """
    methods: dict[str, Callable[..., Any]] = {}
    for name in dir(type(layer)):
        method = inspect.getattr_static(type(layer), name)
        if isinstance(method, tf.types.experimental.GenericFunction):
            methods[name] = method.python_function.__get__(layer)
    for name, function in list(layer.__dict__.items()):
        if isinstance(function, tf.types.experimental.GenericFunction):
            methods[name] = function.python_function
    return methods


def _manner(layer: keras.layers.RNN, graph: graph_pb2.GraphDef) -> str:
    """How a recurrent layer runs whose graph shows no product of its state."""
    if any(node.op in LOOPS for node in graph.node):
        return "while loop"
    return "unrolled steps" if layer.unroll else "plain operations"


def _nodes_from(graph: tf.Graph, first: int) -> graph_pb2.GraphDef:
    """The operations of a graph from the `first` on, and all its functions."""
    names = {operation.name for operation in graph.get_operations()[first:]}
    whole = graph.as_graph_def()
    part = graph_pb2.GraphDef(library=whole.library)
    part.node.extend(node for node in whole.node if node.name in names)
    return part
