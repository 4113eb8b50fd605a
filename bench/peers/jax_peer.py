"""JAX: all mini-batches in one loop, compiled as one program.

XLA takes its number of threads when it starts, so JAX runs in a process of its own, pinned to as
many cores. A question is answered when all its mini-batches are done, so that the way there and
back, a fraction of a millisecond, is shared by many.
"""

import functools
import multiprocessing
import os

import numpy as np

DIRECTIONS = [("", False), ("reverse.", True)]
PARAMETERS = ("W_xh", "W_hh", "b_h", "b_hn")


class Peer:
    name = "jax"

    @staticmethod
    def takes(workload):
        return workload.lengths is None

    def __init__(self, workload, weights, n_threads):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(
            target=serve, args=(other, workload, weights, n_threads), daemon=True
        )
        self.process.start()

    def train(self, n_batches):
        self._ask(("train", n_batches))

    def predict(self, n_batches):
        return self._ask(("predict", n_batches))

    def predict_one(self, n_calls):
        return self._ask(("predict_one", n_calls))

    def close(self):
        self.pipe.send(("end", None))
        self.process.join()

    def _ask(self, question):
        self.pipe.send(question)
        return self.pipe.recv()


def serve(pipe, workload, weights, n_threads):
    """Answer train and predict until the end."""
    cores = sorted(os.sched_getaffinity(0))[:n_threads]
    os.sched_setaffinity(0, cores)
    os.environ["JAX_PLATFORMS"] = "cpu"
    model = JaxModel(workload, weights)
    while True:
        what, n_batches = pipe.recv()
        if what == "end":
            return
        pipe.send(getattr(model, what)(n_batches))


class JaxModel:
    def __init__(self, workload, weights):
        import jax

        self.workload = workload
        x, y = workload.data()
        self.x, self.y = jax.numpy.asarray(x.swapaxes(0, 1)), jax.numpy.asarray(y)
        self.weights = {name: jax.numpy.asarray(array) for name, array in weights.items()}
        zeros = {name: array * 0 for name, array in self.weights.items()}
        self.state = (self.weights, zeros, zeros, jax.numpy.zeros(()))
        self.epoch = jax.jit(self._epoch)
        self.forward = jax.jit(self._forward)

    def train(self, n_batches):
        import jax

        self.state = jax.block_until_ready(self.epoch(self.state, n_batches))

    def predict(self, n_batches):
        return self._predict(self.x, n_batches)

    def predict_one(self, n_calls):
        return self._predict(self.x[:, :1], n_calls)

    def _predict(self, x, n_calls):
        for _ in range(n_calls):
            outputs = self.forward(self.weights, x).block_until_ready()
        return np.asarray(outputs)

    def _epoch(self, state, n_batches):
        import jax

        return jax.lax.fori_loop(0, n_batches, lambda _, state: self._batch(state), state)

    def _batch(self, state):
        """Loss, gradient and Adam."""
        import jax

        weights, m, v, t = state
        gradient = jax.grad(lambda w: ((self._forward(w, self.x) - self.y) ** 2).mean() / 2)(
            weights
        )
        tree = jax.tree_util.tree_map
        t = t + 1
        m = tree(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = tree(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        rate = 0.001 * jax.numpy.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = tree(lambda w, a, b: w - rate * a / (jax.numpy.sqrt(b) + 1e-8), weights, m, v)
        return weights, m, v, t

    def _forward(self, weights, x):
        import jax

        h = x
        for k in range(self.workload.n_layers):
            directions = [
                self._layer(weights, f"layers.{k}.{name}", h, is_reverse)
                for name, is_reverse in DIRECTIONS[: self.workload.n_directions]
            ]
            h = jax.numpy.concatenate(directions, axis=-1)
        # Forwards the last step is the last one; backwards it is the first.
        ends = [directions[0][-1], *(states[0] for states in directions[1:])]
        return jax.numpy.concatenate(ends, axis=-1) @ weights["head.W"] + weights["head.b"]

    def _layer(self, weights, prefix, x, is_reverse):
        import jax

        p = {name: weights[prefix + name] for name in PARAMETERS if prefix + name in weights}
        zero = jax.numpy.zeros((x.shape[1], self.workload.n_units))
        step = functools.partial(STEPS[self.workload.cell], p)
        return jax.lax.scan(step, (zero, zero), x, reverse=is_reverse)[1]


def simple_step(p, state, x):
    import jax.numpy as jnp

    h = jnp.tanh(x @ p["W_xh"] + state[0] @ p["W_hh"] + p["b_h"])
    return (h, state[1]), h


def gru_step(p, state, x):
    import jax
    import jax.numpy as jnp

    h, n_units = state[0], state[0].shape[1]
    of_input, of_state = x @ p["W_xh"] + p["b_h"], h @ p["W_hh"]
    rz = jax.nn.sigmoid(of_input[:, : 2 * n_units] + of_state[:, : 2 * n_units])
    r, z = jnp.split(rz, 2, axis=1)
    n = jnp.tanh(of_input[:, 2 * n_units :] + r * (of_state[:, 2 * n_units :] + p["b_hn"]))
    h = (1 - z) * n + z * h
    return (h, state[1]), h


def lstm_step(p, state, x):
    import jax
    import jax.numpy as jnp

    h, c = state
    i, f, g, o = jnp.split(x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


STEPS = {"simple": simple_step, "gru": gru_step, "lstm": lstm_step}
