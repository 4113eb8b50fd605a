"""One step at a time: a stream's step beside a call of ONNX Runtime that hands on the states.

ONNX Runtime is called in two ways, with arrays and with memory that was bound before; the shorter
one counts. Both get the states of the step before, and have to give the same outputs.
"""

import warnings

import elman
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.exceptions import ConvergenceWarning

from bench.measure import in_turn, spread
from bench.peers.onnx_peer import OPERATORS, OPSET, recurrent_arrays

SIZES = [(cell, 2, 20, n) for cell in OPERATORS for n in (1, 1000)]
SIZES += [("lstm", 1, 64, 1), ("lstm", 1, 512, 1)]


def measure(n_rounds):
    """Rows of microseconds and ratios, a cell, size and number of streams each."""
    for cell, n_layers, n_units, n_streams in SIZES:
        model = fitted(cell, n_layers, n_units)
        ours, peer = Elman(model, n_streams), OnnxPeer(model, n_streams)
        for _ in range(3):
            outputs = ours.step(1), peer.step(1), peer.step_bound(1)
            if max(np.abs(outputs[0] - other).max() for other in outputs[1:]) > 1e-5:
                raise RuntimeError(f"outputs differ: {cell} {n_layers} x {n_units}")
        times = in_turn(
            {
                "step": ours.step,
                "step with out": ours.step_out,
                "onnx": peer.step,
                "onnx bound": peer.step_bound,
            },
            n_rounds,
        )
        best = min(times["onnx"], times["onnx bound"], key=lambda of_one: of_one.median)
        ratios = best.over(times["step"])
        yield {
            "cell": cell,
            "n_layers": n_layers,
            "n_units": n_units,
            "n_streams": n_streams,
            "us": {name: 1e6 * of_one.median for name, of_one in times.items()},
            "best_us": {name: 1e6 * min(of_one.seconds) for name, of_one in times.items()},
            "ratio": float(np.median(ratios)),
            "spread": spread(ratios),
        }


def text(row):
    """One line."""
    us, best = row["us"], row["best_us"]
    each = f"{1e3 * us['step'] / row['n_streams']:8.0f} ns a stream"
    return (
        f"{row['cell']:<7}{row['n_layers']} x {row['n_units']:<4}{row['n_streams']:5} streams  "
        f"step {us['step']:8.2f} us (best {best['step']:.2f}), with out {us['step with out']:8.2f} "
        f"(best {best['step with out']:.2f}), {each}  onnx {us['onnx']:8.2f}, "
        f"bound {us['onnx bound']:8.2f}, {row['ratio']:.1f}x ±{row['spread']:.0%}"
    )


def fitted(cell, n_layers, n_units):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 5, 1)).astype(np.float32)
    model = elman.RNNRegressor(
        cell=cell, hidden_layer_sizes=[n_units] * n_layers, max_iter=1, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, X[:, :, :1].cumsum(axis=1))


def one_step(n_streams):
    return np.random.default_rng(1).normal(size=(n_streams, 1)).astype(np.float32)


class Elman:
    def __init__(self, model, n_streams):
        self.stream = model.set_params(n_jobs=1).stream(n_streams)
        self.x = one_step(n_streams)
        self.out = np.empty((n_streams, 1), np.float32)

    def step(self, n_calls):
        step, x = self.stream.step, self.x
        for _ in range(n_calls):
            y = step(x)
        return y

    def step_out(self, n_calls):
        step, x, out = self.stream.step, self.x, self.out
        for _ in range(n_calls):
            step(x, out)
        return out


class OnnxPeer:
    def __init__(self, model, n_streams):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        onnx_model, names = step_model(model)
        self.session = onnxruntime.InferenceSession(
            onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.x, self.names = one_step(n_streams)[None], names
        shape = (1, n_streams, np.ravel(model.hidden_layer_sizes)[0])
        self.states = [np.zeros(shape, np.float32) for _ in names]
        self._bind(shape)

    def _bind(self, shape):
        """Two bindings, each of which reads the states that the other writes."""
        make = onnxruntime.OrtValue.ortvalue_from_numpy
        self.x_value = make(self.x)
        self.y_value = make(np.zeros((shape[1], 1), np.float32))
        states = [[make(np.zeros(shape, np.float32)) for _ in self.names] for _ in range(2)]
        self.bindings = []
        for read, written in (states, states[::-1]):
            binding = self.session.io_binding()
            binding.bind_ortvalue_input("x", self.x_value)
            binding.bind_ortvalue_output("y", self.y_value)
            for name, before, after in zip(self.names, read, written, strict=True):
                binding.bind_ortvalue_input(name, before)
                binding.bind_ortvalue_output(f"next_{name}", after)
            self.bindings.append(binding)

    def step(self, n_calls):
        run, feed = self.session.run, {"x": self.x}
        for _ in range(n_calls):
            feed.update(zip(self.names, self.states, strict=True))
            y, *self.states = run(None, feed)
        return y

    def step_bound(self, n_calls):
        run = self.session.run_with_iobinding
        for _ in range(n_calls):
            self.x_value.update_inplace(self.x)
            run(self.bindings[0])
            self.bindings.reverse()
        return self.y_value.numpy()


def step_model(model):
    """x (1, n, 1) and the states to y (n, 1) and the next states; the states' names."""
    weights, cell = model.weights_, model.cell
    constants = {"head.W": weights["head.W"], "head.b": weights["head.b"], "zero": np.array([0])}
    nodes, names, h = [], [], "x"
    for k, n_units in enumerate(model.hidden_layer_sizes):
        arrays = recurrent_arrays(cell, k, n_units, weights)
        constants.update({f"{name}{k}": array for name, array in arrays.items()})
        states = [f"h{k}", f"c{k}"] if cell == "lstm" else [f"h{k}"]
        nodes.append(
            helper.make_node(
                OPERATORS[cell],
                [h, *(f"{name}{k}" for name in arrays), "", *states],
                ["", *(f"next_{state}" for state in states)],
                hidden_size=n_units,
                **({"linear_before_reset": 1} if cell == "gru" else {}),
            )
        )
        names += states
        h = f"next_h{k}"
    nodes += [
        helper.make_node("Squeeze", [h, "zero"], ["last"]),
        helper.make_node("Gemm", ["last", "head.W", "head.b"], ["y"]),
    ]

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    units = dict.fromkeys(names, model.hidden_layer_sizes[0])
    graph = helper.make_graph(
        nodes,
        "step",
        [value("x", [1, "n", 1]), *(value(name, [1, "n", units[name]]) for name in names)],
        [value("y", ["n", 1]), *(value(f"next_{name}", [1, "n", units[name]]) for name in names)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=onnx.IR_VERSION_2023_5_5
    ), names
