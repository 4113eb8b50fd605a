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


CELLS = [("simple", "tanh"), ("simple", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
LENGTHS = [5, 11, 1, 8]


def ragged(cell, n_layers, is_bidirectional):
    """Sequences packed for torch, with initial states for both."""
    rng, n_directions = np.random.default_rng(1), 1 + is_bidirectional
    x = [rng.normal(size=(length, N_CHANNELS)) for length in LENGTHS]
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.from_numpy(row) for row in x], enforce_sorted=False
    )
    n_states = 2 if cell == "lstm" else 1
    initial = rng.normal(size=(len(LENGTHS), n_layers * n_directions, n_states, 13))
    states = torch.from_numpy(initial).permute(2, 1, 0, 3).contiguous()
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    theirs = tuple(states) if cell == "lstm" else states[0]
    return np.concatenate(x), offsets, packed, initial.reshape(len(LENGTHS), -1), theirs


@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_ragged_sequences_with_initial_states(cell, activation, is_bidirectional):
    module, network, flat = pair(cell, 2, is_bidirectional, "float64", activation)
    values, offsets, packed, initial, theirs = ragged(cell, 2, is_bidirectional)
    with torch.inference_mode():
        output, state = module(packed, theirs)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    expected = np.concatenate([row[:n] for row, n in zip(padded.numpy(), LENGTHS, strict=True)])
    y, final = network.forward(flat, values, offsets, per_step=True, initial_state=initial)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-13)
    states = torch.stack(state, dim=1) if cell == "lstm" else state[:, None]
    np.testing.assert_allclose(
        final, states.permute(2, 0, 1, 3).reshape(final.shape), rtol=1e-10, atol=1e-13
    )


def gradients_of(module, network, gradient):
    """(ours, theirs) of each weight matrix."""
    theirs = {name: array.grad.numpy() for name, array in module.named_parameters()}
    for name, shape, offset in network.parameters:
        layer, array = name.split(".")[1], name.split(".")[-1]
        suffix = f"_l{layer}" + ("_reverse" if "reverse" in name else "")
        ours = gradient[offset : offset + int(np.prod(shape))].reshape(shape)
        other = {"W_xh": "weight_ih", "W_hh": "weight_hh", "b_h": "bias_ih", "b_hn": "bias_hh"}
        expected = theirs[other[array] + suffix].T
        yield ours, expected[-13:] if array == "b_hn" else expected


@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_gradients_as_autograd_finds_them(cell, activation, is_bidirectional):
    module, network, flat = pair(cell, 2, is_bidirectional, "float64", activation)
    values, offsets, packed, _, _ = ragged(cell, 2, is_bidirectional)
    targets = np.random.default_rng(2).normal(size=(len(values), network.n_outputs))
    output, _ = module(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    y = torch.cat([row[:n] for row, n in zip(padded, LENGTHS, strict=True)])
    expected = ((y - torch.from_numpy(targets)) ** 2).mean() / 2
    expected.backward()
    trainer = _core.Trainer(network, flat, loss="squared")
    loss, gradient = trainer.loss_and_gradient(values, offsets, targets, None, per_step=True)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for ours, theirs in gradients_of(module, network, gradient):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
