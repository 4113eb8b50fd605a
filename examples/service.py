"""A service that predicts: one compiled model for all threads, and what it takes under load.

    python examples/service.py [MODEL]

loads a file of `elman.save`, such as examples/train.ipynb writes, or trains a small forecaster;
serves it over HTTP on a free port of this machine, and asks it from 16 threads at once for a few
seconds; then it prints how long answers took. Any WSGI server can run `application(model)`; this
one is the standard library's. With ``--serve`` it goes on serving:

    curl -d '[[0.1], [0.2], [0.3]]' http://localhost:8000/
"""

from __future__ import annotations

import argparse
import http.client
import json
import socketserver
import statistics
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import elman
import numpy as np
from elman.datasets import generate_time_series
from sklearn.exceptions import ConvergenceWarning

N_CLIENTS = 16


def application(model):
    """Make the service: a sequence as JSON in, its prediction out."""
    predict = elman.compile(model)  # validated once; any number of threads may call it

    def answer(environ, start_response):
        try:
            n_bytes = int(environ.get("CONTENT_LENGTH") or 0)
            sequence = np.array(json.loads(environ["wsgi.input"].read(n_bytes)), dtype=np.float32)
            status, body = "200 OK", {"prediction": np.asarray(predict(sequence)).tolist()}
        except (ValueError, TypeError) as error:  # what is no sequence, elman refuses by name
            status, body = "400 Bad Request", {"error": str(error)}
        text = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
        start_response(status, headers)
        return [text]

    return answer


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a file of elman.save")
    parser.add_argument("--serve", action="store_true", help="go on serving, on port 8000")
    parser.add_argument("--seconds", type=float, default=3.0, help="of the load")
    arguments = parser.parse_args()

    model = elman.load(arguments.model) if arguments.model else trained()
    print(model)
    X = np.random.default_rng(0).normal(size=(1000, 50, model.n_channels_in_)).astype(np.float32)
    in_process = alone(model, X[0])
    print(f"the call itself, in this thread: {1e6 * in_process:.0f} µs")
    port = 8000 if arguments.serve else 0
    with make_server("localhost", port, application(model), Server, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        expected = model.predict(X)
        with ProcessPoolExecutor(1, get_context("spawn")) as clients:  # beside the server's process
            answers = clients.submit(load, server.server_port, X, expected, arguments.seconds)
            print(report(answers.result()))
        while arguments.serve:
            time.sleep(1)
        server.shutdown()


def trained():
    """Make a forecaster of the value after 50 others."""
    series = generate_time_series(4000, 51, random_state=0).astype(np.float32)
    X, y = series[:, :-1], series[:, -1, 0]
    model = elman.RNNRegressor(cell="gru", hidden_layer_sizes=(20, 20), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # five epochs, by intention
        model.fit(X[:3000], y[:3000])
    print(f"R² {model.score(X[3000:], y[3000:]):.3f}")
    return model


def alone(model, x):
    """Seconds of a call, the median of many."""
    predict, seconds = elman.compile(model), []
    for _ in range(300):
        start = time.perf_counter()
        predict(x)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def load(port, X, expected, seconds):
    """Seconds of each answer, asked for by 16 clients at once; each has to be right."""
    answers, end = [[] for _ in range(N_CLIENTS)], time.perf_counter() + seconds

    def ask(client):
        connection = http.client.HTTPConnection("localhost", port)
        for i in range(client, 10**9, N_CLIENTS):
            body = json.dumps(X[i % len(X)].tolist())
            start = time.perf_counter()
            if start > end:
                break
            connection.request("POST", "/", body)
            answer = json.loads(connection.getresponse().read())
            answers[client].append(time.perf_counter() - start)
            assert answer["prediction"] == expected[i % len(X)].tolist(), answer
        connection.close()

    clients = [threading.Thread(target=ask, args=(client,)) for client in range(N_CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return [second for client in answers for second in client]


def report(seconds):
    """How many, and how long."""
    centiles = statistics.quantiles(seconds, n=100)
    return (
        f"{len(seconds)} answers to {N_CLIENTS} clients, all equal to predict: p50 "
        f"{1e3 * centiles[49]:.2f} ms, p99 {1e3 * centiles[98]:.2f} ms, "
        f"most {1e3 * max(seconds):.2f} ms"
    )


if __name__ == "__main__":
    main()
