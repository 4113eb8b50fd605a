"""What the machine can do at most, in the same run: multiplying matrices, moving memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

N = 1024


class Sgemm:
    """NumPy's product of two 1024 x 1024 matrices in float32."""

    name = "sgemm"
    flops = 2 * N**3

    def __init__(self, n_threads):
        self.n_threads = n_threads
        # Looking for the libraries takes milliseconds, which are not the product's.
        self.controller = ThreadpoolController()
        self.a = np.ones((N, N), np.float32)
        self.out = np.empty_like(self.a)

    def multiply(self, n_calls):
        with self.controller.limit(limits=self.n_threads, user_api="blas"):
            for _ in range(n_calls):
                np.matmul(self.a, self.a, out=self.out)


class Copy:
    """NumPy's copy of an array that no cache holds, a part of it on each thread."""

    name = "copy"
    n_elements = 1 << 25
    # Read once, written once.
    n_bytes = 2 * 4 * n_elements

    def __init__(self, n_threads):
        self.pool = ThreadPoolExecutor(n_threads)
        source = np.ones(self.n_elements, np.float32)
        self.parts = list(
            zip(
                np.array_split(np.zeros_like(source), n_threads),
                np.array_split(source, n_threads),
                strict=True,
            )
        )

    def copy(self, n_calls):
        for _ in range(n_calls):
            list(self.pool.map(lambda part: np.copyto(*part), self.parts))
