"""PyTorch's RNN, GRU and LSTM with the same random weights, where PyTorch is installed."""

import numpy as np
import pytest
from elman import _core

torch = pytest.importorskip("torch")
MODULES = {"simple": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
N_CHANNELS, N_STEPS, N_SEQUENCES = 3, 11, 7


def pair(cell, n_layers, is_bidirectional, dtype, activation="tanh"):
    torch.manual_seed(n_layers)
    options = {"nonlinearity": activation} if cell == "simple" else {}
    module = MODULES[cell](
        N_CHANNELS,
        13,
        n_layers,
        batch_first=True,
        bidirectional=is_bidirectional,
        dtype=getattr(torch, dtype),
        **options,
    )
    network = _core.Network(
        dtype=dtype,
        cell=cell,
        activation=activation,
        reset_after=True,
        hidden_layer_sizes=[13] * n_layers,
        bidirectional=[is_bidirectional] * n_layers,
        n_channels=N_CHANNELS,
        n_outputs=1,
        head=False,
    )
    flat = np.zeros(network.n_parameters, dtype)
    weights = {name: array.detach().numpy() for name, array in module.named_parameters()}
    for name, shape, offset in network.parameters:
        layer, array = name.split(".")[1], name.split(".")[-1]
        suffix = f"_l{layer}" + ("_reverse" if "reverse" in name else "")
        b_input, b_state = weights["bias_ih" + suffix], weights["bias_hh" + suffix]
        b_candidate = b_state[-13:]
        if cell == "gru":  # the candidate's recurrent bias stands apart
            b_state = np.concatenate([b_state[:-13], np.zeros(13, dtype)])
        value = {
            "W_xh": weights["weight_ih" + suffix].T,
            "W_hh": weights["weight_hh" + suffix].T,
            "b_h": b_input + b_state,
            "b_hn": b_candidate,
        }[array]
        flat[offset : offset + int(np.prod(shape))] = value.ravel()
    return module, network, flat


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize(
    ("cell", "activation"),
    [("simple", "tanh"), ("simple", "relu"), ("gru", "tanh"), ("lstm", "tanh")],
)
def test_outputs_and_states(cell, activation, n_layers, is_bidirectional, dtype):
    module, network, flat = pair(cell, n_layers, is_bidirectional, dtype, activation)
    x = np.random.default_rng(0).normal(size=(N_SEQUENCES, N_STEPS, N_CHANNELS)).astype(dtype)
    with torch.inference_mode():
        expected, state = module(torch.from_numpy(x))
    y, final = network.forward(
        flat, x.reshape(-1, N_CHANNELS), np.arange(N_SEQUENCES + 1) * N_STEPS, per_step=True
    )
    close = {"rtol": 1e-4, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-13}
    np.testing.assert_allclose(y, expected.reshape(y.shape), **close)
    states = torch.stack(state, dim=1) if cell == "lstm" else state[:, None]
    expected_states = states.permute(2, 0, 1, 3).reshape(final.shape)
    np.testing.assert_allclose(final, expected_states, **close)
