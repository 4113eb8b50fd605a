"""ONNX Runtime: its native RNN, GRU and LSTM operators, for inference."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPERATORS = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM"}
# Where ONNX has elman's gates: i o f c for i f g o, z r h for r z n.
GATES = {"simple": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}
OPSET = 17


class Peer:
    name = "onnx"
    train = None

    @staticmethod
    def takes(workload):
        return workload.lengths is None and not workload.bidirectional

    def __init__(self, workload, weights, n_threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model_of(workload, weights).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        x, _ = workload.data()
        self.x = np.ascontiguousarray(x.swapaxes(0, 1))
        self.one = np.ascontiguousarray(self.x[:, :1])

    def predict(self, n_batches):
        for _ in range(n_batches):
            (outputs,) = self.session.run(None, {"X": self.x})
        return outputs

    def predict_one(self, n_calls):
        for _ in range(n_calls):
            (outputs,) = self.session.run(None, {"X": self.one})
        return outputs

    def close(self):
        pass


def model_of(workload, weights):
    """X (n_timesteps, batch, n_channels), as the operators want it, to (batch, 1)."""
    n = workload.n_units
    constants = {"head.W": weights["head.W"], "head.b": weights["head.b"]}
    nodes, h = [], "X"
    for k in range(workload.n_layers):
        arrays = recurrent_arrays(workload.cell, k, n, weights)
        names = {name: f"{name}{k}" for name in arrays}
        constants.update({names[name]: array for name, array in arrays.items()})
        attributes = {"linear_before_reset": 1} if workload.cell == "gru" else {}
        nodes.append(
            helper.make_node(
                OPERATORS[workload.cell],
                [h, *names.values()],
                [f"every{k}", f"last{k}"],
                hidden_size=n,
                **attributes,
            )
        )
        # (n_timesteps, directions, batch, n_units): the one direction goes.
        nodes.append(helper.make_node("Squeeze", [f"every{k}", "one"], [f"h{k}"]))
        h = f"h{k}"
    constants["one"], constants["zero"] = np.array([1]), np.array([0])
    nodes += [
        helper.make_node("Squeeze", [f"last{workload.n_layers - 1}", "zero"], ["last"]),
        helper.make_node("Gemm", ["last", "head.W", "head.b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", workload.n_channels])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 1])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=onnx.IR_VERSION_2023_5_5)


def recurrent_arrays(cell, layer, n_units, weights):
    """W, R and B of an operator: gates in ONNX's order, units first."""

    def reorder(array):
        gates = np.split(array, len(GATES[cell]), axis=-1)
        return np.concatenate([gates[g] for g in GATES[cell]], axis=-1)

    prefix = f"layers.{layer}."
    of_input = reorder(weights[prefix + "b_h"])
    of_state = np.zeros_like(of_input)
    if cell == "gru":
        of_state[-n_units:] = weights[prefix + "b_hn"]
    return {
        "W": reorder(weights[prefix + "W_xh"]).T[None].copy(),
        "R": reorder(weights[prefix + "W_hh"]).T[None].copy(),
        "B": np.concatenate([of_input, of_state])[None],
    }
