"""The ONNX project's node tests for RNN, GRU and LSTM, read by `from_onnx`: the table in the docs.

    python tests/onnx_nodes.py

writes the table into docs/onnx.md anew; `test_from_onnx.py` fails where it is not the same.
"""

import re
from pathlib import Path

import numpy as np
from elman import from_onnx
from onnx import TensorProto, helper, numpy_helper
from test_onnx_nodes import CASES

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "onnx.md"
ROW = re.compile(r"\| `(test_\w+)` \| (.*) \|")
INPUTS = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
OUTPUTS = ["Y", "Y_h", "Y_c"]


def named(order, given):
    """Names in the order of the operator, empty where one is left out."""
    names = [name if name in given else "" for name in order]
    while not names[-1]:
        names.pop()
    return names


def model_of(name):
    """The node as a model whose weights are in the file, its inputs and its outputs."""
    operator, attributes, inputs, outputs = CASES[name].values
    plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    node = helper.make_node(operator, named(INPUTS, inputs), named(OUTPUTS, outputs), **plain)
    infos = [
        helper.make_tensor_value_info(key, TensorProto.FLOAT, value.shape)
        for key, value in outputs.items()
    ]
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, inputs["X"].shape)
    weights = [numpy_helper.from_array(v, k) for k, v in inputs.items() if k != "X"]
    graph = helper.make_graph([node], name, [X], infos, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    return model, attributes, inputs["X"], outputs


def check(name):
    """Read a node and compare all of its outputs with those that are right."""
    proto, attributes, X, outputs = model_of(name)
    model = from_onnx(proto)
    is_batch_first = bool(attributes.get("layout", 0))
    X = X if is_batch_first else X.swapaxes(0, 1)
    y, states = model.predict(X, return_state=True)
    for key, expected in outputs.items():
        if key == "Y":
            steps = expected if is_batch_first else expected.transpose(2, 0, 1, 3)
            np.testing.assert_allclose(y, steps.reshape(*y.shape), rtol=1e-5, atol=1e-6)
            continue
        by_sample = expected if is_batch_first else expected.swapaxes(0, 1)
        of_kind = [state for state_name, state in states.items() if state_name.endswith(key[-1])]
        some = np.stack(of_kind[-by_sample.shape[1] :], axis=1)  # one that reads backwards is last
        np.testing.assert_allclose(some, by_sample, rtol=1e-5, atol=1e-6)
        if key == "Y_h" and "Y" not in outputs:
            np.testing.assert_allclose(y, by_sample.reshape(y.shape), rtol=1e-5, atol=1e-6)


def verdict(name):
    """What the table says of a node test."""
    try:
        check(name)
    except ValueError as error:
        got, expected = re.fullmatch(r".*\) got (.*), expected (.*)", str(error)).groups()
        return f"refused: got {got}, expected {expected}"
    return "passes"


def table():
    """Verdicts in the document, by name."""
    return dict(ROW.findall(DOCUMENT.read_text(encoding="utf-8")))


if __name__ == "__main__":
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if ROW.fullmatch(line))
    kept = [line for line in lines if not ROW.fullmatch(line)]
    kept[first:first] = [f"| `{name}` | {verdict(name)} |" for name in CASES]
    DOCUMENT.write_text("\n".join(kept) + "\n", encoding="utf-8")
