"""TFLite graphs: reads the operators and weights of a small .tflite file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError

Array = NDArray[Any]

_NUMBER_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
}
_OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """One operator: its name, its tensors by number and its options."""

    name: str
    inputs: tuple[int, ...]
    output: int
    options: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A graph in execution order.

    Attributes:
        operators: all but the unpacking of weights.
        constants: weights and tables by tensor number, 16-bit ones widened to float32.
        shapes: shape of every tensor.
        input: number of the image tensor.
        outputs: output tensors in the order of their names.
    """

    operators: tuple[Operator, ...]
    constants: dict[int, Array]
    shapes: dict[int, tuple[int, ...]]
    input: int
    outputs: tuple[int, ...]


def read_graph(path: Path) -> Graph:
    """Read a .tflite file.

    Raises:
        ModelError: if the file cannot be read as a graph of these operators.
    """
    try:
        content = path.read_bytes()
        if content[4:8] != b'TFL3':
            raise ValueError('not a TFLite file')
        return _graph(schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)))
    except ModelError:
        raise
    except Exception as error:  # A damaged file fails in any way inside the generated reader.
        raise ModelError(
            f'model {path} cannot be read ({error}): fetch it again with `hand-pose models install`'
        ) from error


def _graph(model: Any) -> Graph:
    subgraph = model.subgraphs[0]
    names = [
        _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    constants = {
        index: _constant(tensor, model.buffers[tensor.buffer].data)
        for index, tensor in enumerate(subgraph.tensors)
        if model.buffers[tensor.buffer].data is not None
    }
    operators = []
    for item in subgraph.operators:
        name, output = names[item.opcodeIndex], int(item.outputs[0])
        inputs = tuple(int(index) for index in item.inputs if index >= 0)
        if name == 'DEQUANTIZE':
            constants[output] = constants[inputs[0]].astype(np.float32)
            continue
        operators.append(
            Operator(name=name, inputs=inputs, output=output, options=item.builtinOptions)
        )
    outputs = sorted(subgraph.outputs, key=lambda index: subgraph.tensors[index].name)
    return Graph(
        operators=tuple(operators),
        constants=constants,
        shapes={
            index: tuple(int(length) for length in tensor.shape)
            for index, tensor in enumerate(subgraph.tensors)
        },
        input=int(subgraph.inputs[0]),
        outputs=tuple(int(index) for index in outputs),
    )


def _constant(tensor: Any, data: Array) -> Array:
    number_type = _NUMBER_TYPES.get(tensor.type)
    if number_type is None:
        raise ModelError(f'tensor type {tensor.type} is unknown: use the float models of the store')
    return np.frombuffer(data.tobytes(), number_type).reshape(tensor.shape).copy()
