"""PyTorch, eager: nn.RNN, GRU or LSTM, fused Adam, `inference_mode`."""

import numpy as np
import torch

MODULES = {"simple": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class Peer:
    name = "torch"

    @staticmethod
    def takes(workload):
        return True

    def __init__(self, workload, weights, n_threads):
        self.n_threads = n_threads
        self.layers = MODULES[workload.cell](
            workload.n_channels,
            workload.n_units,
            workload.n_layers,
            batch_first=True,
            bidirectional=workload.bidirectional,
        )
        self.n_directions = workload.n_directions
        self.head = torch.nn.Linear(workload.n_units * workload.n_directions, 1)
        self._load(workload, weights)
        parameters = [*self.layers.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
        self.x, self.y = (torch.from_numpy(array) for array in workload.data())
        self.one = self.x[:1]
        if workload.lengths:
            self.x = torch.nn.utils.rnn.pack_padded_sequence(
                self.x, workload.lengths, batch_first=True, enforce_sorted=False
            )

    def _load(self, workload, weights):
        """Both of PyTorch's biases are added, so ours goes into the first."""
        n = workload.n_units
        directions = [("", ""), ("reverse.", "_reverse")][: workload.n_directions]
        with torch.no_grad():
            for k in range(workload.n_layers):
                for ours, theirs in directions:
                    W_xh, W_hh, b_h = (
                        weights[f"layers.{k}.{ours}{name}"] for name in ("W_xh", "W_hh", "b_h")
                    )
                    of_state = np.zeros_like(b_h)
                    if workload.cell == "gru":
                        of_state[-n:] = weights[f"layers.{k}.{ours}b_hn"]
                    of_layer = {"weight_ih": W_xh.T, "weight_hh": W_hh.T}
                    of_layer |= {"bias_ih": b_h, "bias_hh": of_state}
                    for name, array in of_layer.items():
                        getattr(self.layers, f"{name}_l{k}{theirs}").copy_(
                            torch.from_numpy(array.copy())
                        )
            self.head.weight.copy_(torch.from_numpy(weights["head.W"].T.copy()))
            self.head.bias.copy_(torch.from_numpy(weights["head.b"].copy()))

    def _forward(self, x):
        """From the top layer's last states: the forward one beside the reverse one's."""
        states = self.layers(x)[1]
        h = states[0] if isinstance(states, tuple) else states
        return self.head(torch.cat(list(h[-self.n_directions :]), dim=1))

    def train(self, n_batches):
        torch.set_num_threads(self.n_threads)
        for _ in range(n_batches):
            self.optimizer.zero_grad()
            loss = ((self._forward(self.x) - self.y) ** 2).mean() / 2
            loss.backward()
            self.optimizer.step()

    def predict(self, n_batches):
        return self._predict(self.x, n_batches)

    def predict_one(self, n_calls):
        return self._predict(self.one, n_calls)

    def _predict(self, x, n_calls):
        torch.set_num_threads(self.n_threads)
        with torch.inference_mode():
            for _ in range(n_calls):
                outputs = self._forward(x)
        return outputs.numpy()

    def close(self):
        pass
