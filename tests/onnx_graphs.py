"""Graphs of ONNX, written as briefly as tests want them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.shape_inference import infer_shapes
from test_onnx_nodes import GATES

INT = np.array
RNG = np.random.default_rng(0)
N_STEPS, N_SEQUENCES, N_CHANNELS, N_UNITS = 6, 4, 3, 5
X = RNG.normal(size=(N_SEQUENCES, N_STEPS, N_CHANNELS)).astype(np.float32)


def W(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def operator_weights(operator, n_inputs, n_directions=1, n_units=N_UNITS):
    n_rows = len(GATES[operator]) * n_units
    return {
        "W": RNG.normal(size=(n_directions, n_rows, n_inputs)).astype(np.float32) / 2,
        "R": RNG.normal(size=(n_directions, n_rows, n_units)).astype(np.float32) / 2,
        "B": RNG.normal(size=(n_directions, 2 * n_rows)).astype(np.float32),
    }


class Graph:
    """Nodes and constants; its one input is X, of the shape and type of x."""

    def __init__(self, x=X, opset=17):
        self.nodes, self.constants, self.opset = [], [], opset
        kind = TensorProto.INT64 if x.dtype.kind == "i" else TensorProto.FLOAT
        self.inputs = [helper.make_tensor_value_info("X", kind, x.shape)]

    def constant(self, array):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def __call__(self, operator, *inputs, n_outputs=1, **attributes):
        names = [v if isinstance(v, str) else self.constant(v) for v in inputs]
        outputs = [f"{operator}_{len(self.nodes)}_{i}" for i in range(n_outputs)]
        node = helper.make_node(operator, names, outputs, name=outputs[0][:-2], **attributes)
        self.nodes.append(node)
        return outputs[0] if n_outputs == 1 else outputs

    def recurrent(self, operator, x, n_inputs, n_directions=1, **attributes):
        arrays = operator_weights(operator, n_inputs, n_directions)
        direction = "bidirectional" if n_directions == 2 else "forward"
        attributes = {"hidden_size": N_UNITS, "direction": direction, **attributes}
        n_outputs = 3 if operator == "LSTM" else 2
        return self(operator, x, *arrays.values(), n_outputs=n_outputs, **attributes)

    def model(self, *outputs):
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, infos, self.constants)
        opset = helper.make_opsetid("", self.opset)
        return infer_shapes(helper.make_model(graph, opset_imports=[opset], ir_version=8))


def evaluate(proto, x=X):
    return ReferenceEvaluator(proto).run(None, {"X": x})[0]
