"""PyTorch, eager: nn.RNN, GRU or LSTM, fused Adam, `inference_mode`."""

import numpy as np
import torch

MODULES = {"simple": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class Peer:
    name = "torch"

    def __init__(self, workload, weights, n_threads):
        self.n_threads = n_threads
        self.layers = MODULES[workload.cell](
            workload.n_channels, workload.n_units, workload.n_layers, batch_first=True
        )
        self.head = torch.nn.Linear(workload.n_units, 1)
        self._load(workload, weights)
        parameters = [*self.layers.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
        self.x, self.y = (torch.from_numpy(array) for array in workload.data())

    def _load(self, workload, weights):
        """Both of PyTorch's biases are added, so ours goes into the first."""
        n = workload.n_units
        with torch.no_grad():
            for k in range(workload.n_layers):
                of_layer = {
                    f"weight_ih_l{k}": weights[f"layers.{k}.W_xh"].T,
                    f"weight_hh_l{k}": weights[f"layers.{k}.W_hh"].T,
                    f"bias_ih_l{k}": weights[f"layers.{k}.b_h"],
                    f"bias_hh_l{k}": np.zeros(len(weights[f"layers.{k}.b_h"]), np.float32),
                }
                if workload.cell == "gru":
                    of_layer[f"bias_hh_l{k}"][-n:] = weights[f"layers.{k}.b_hn"]
                for name, array in of_layer.items():
                    getattr(self.layers, name).copy_(torch.from_numpy(array.copy()))
            self.head.weight.copy_(torch.from_numpy(weights["head.W"].T.copy()))
            self.head.bias.copy_(torch.from_numpy(weights["head.b"].copy()))

    def _forward(self, x):
        return self.head(self.layers(x)[0][:, -1])

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
        return self._predict(self.x[:1], n_calls)

    def _predict(self, x, n_calls):
        torch.set_num_threads(self.n_threads)
        with torch.inference_mode():
            for _ in range(n_calls):
                outputs = self._forward(x)
        return outputs.numpy()

    def close(self):
        pass
