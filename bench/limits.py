"""What the machine can do at most, in the same run: multiplying matrices."""

import numpy as np
from threadpoolctl import threadpool_limits

N = 1024


class Sgemm:
    """NumPy's product of two 1024 x 1024 matrices in float32."""

    name = "sgemm"
    flops = 2 * N**3

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self.a = np.ones((N, N), np.float32)
        self.out = np.empty_like(self.a)

    def __call__(self):
        with threadpool_limits(self.n_threads):
            np.matmul(self.a, self.a, out=self.out)
