"""Promises about processes and threads: cases 26-28, 33, 75-85, 87, at small counts."""

import copy
import gc
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, _core
from joblib import Parallel, delayed
from promises.digest import state_digest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 20, 2))
Y = X[:, -1, 0] + X[:, -3, 1]
LONG = {"max_iter": 10**6, "n_iter_no_change": 10**6, "hidden_layer_sizes": (32,)}
PATIENCE = 30.0  # seconds; far beyond what is promised, for machines that are busy


def model_of(**options):
    return RNNRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **options})


def run_python(code, timeout=120, **options):
    """Run code in a process of its own that treats no warning as an error."""
    prelude = """
        import os, resource, signal, sys, threading, time, warnings
        import numpy as np
        from elman import RNNRegressor, _core
        warnings.simplefilter("ignore")
        X = np.random.default_rng(0).normal(size=(60, 20, 2))
        Y = X[:, -1, 0]
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


def stack_of(n_bytes):
    """Set the stack of a new process, which is also what its threads are given."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    return lambda: resource.setrlimit(resource.RLIMIT_STACK, (n_bytes, hard))


def passed(result):
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_26_weights_beyond_memory_are_refused_at_once():
    model = model_of(hidden_layer_sizes=10**6)
    before = state_digest(model)
    with pytest.raises(MemoryError, match=r"hidden_layer_sizes got .*\d{13,} bytes"):
        model.fit(X, Y)
    assert state_digest(model) == before


def test_27_long_sequences_on_a_small_stack():
    code = """
        model = RNNRegressor(hidden_layer_sizes=(2,), max_iter=1, random_state=0)
        long = np.random.default_rng(0).normal(size=(2, 10**6, 1)).astype("f4")
        print(np.isfinite(model.fit(long, [0.0, 1.0]).predict(long)).all())
    """
    assert passed(run_python(code, timeout=300, preexec_fn=stack_of(2**18))) == "True\n"


def test_28_a_large_file_is_predicted_in_pieces(tmp_path):
    path = tmp_path / "X.dat"
    with open(path, "wb") as file:
        file.truncate(2**28)  # sparse: no disk is used
    code = f"""
        model = RNNRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
        model.fit(np.ones((9, 64, 8), "f4"), np.arange(9.0))
        big = np.memmap({str(path)!r}, "f4", "r", shape=(2**17, 64, 8))
        def anonymous():
            with open("/proc/self/status") as status:
                return int(status.read().split("RssAnon:")[1].split()[0]) * 1024
        before = anonymous()
        seen = []
        watch = threading.Event()
        def look():
            while not watch.wait(0.005):
                seen.append(anonymous())
        watcher = threading.Thread(target=look)
        watcher.start()
        y = model.predict(big)
        watch.set()
        watcher.join()
        assert len(y) == 2**17
        print(max(seen) - before)
    """
    assert int(passed(run_python(code))) < 2**26


def test_33_fewer_threads_than_asked_for():
    """A thread that cannot be started is done without: a warning, and the same bits."""
    code = """
        model = RNNRegressor(hidden_layer_sizes=(64,), max_iter=2, n_jobs=1, random_state=0)
        expected = model.fit(X, Y).predict(X)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
        model.set_params(n_jobs=4)
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            got = model.fit(X, Y).predict(X)
        print(np.array_equal(got, expected))
        print(any("fewer threads" in str(warning.message) for warning in record))
    """
    assert passed(run_python(code, preexec_fn=stack_of(2**30))) == "True\nTrue\n"


def test_75_two_threads_fit_one_estimator():
    model = model_of(max_iter=30)
    other = Y[::-1].copy()
    wanted = [model_of(max_iter=30).fit(X, y) for y in (Y, other)]
    wanted = [(fitted.predict(X), fitted.loss_curve_) for fitted in wanted]
    for _ in range(3):
        threads = [threading.Thread(target=model.fit, args=(X, y)) for y in (Y, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = model.predict(X)
        assert any(np.array_equal(got, y) and model.loss_curve_ == losses for y, losses in wanted)


def test_76_threads_predict_while_one_fits_again():
    model = model_of()
    other = Y[::-1].copy()
    wanted = [model_of().fit(X, y).predict(X) for y in (Y, other)]
    model.fit(X, Y)
    wrong, is_done = [], threading.Event()

    def predict():
        while not is_done.is_set():
            got = model.predict(X)
            if not any(np.array_equal(got, y) for y in wanted):
                wrong.append(got)

    threads = [threading.Thread(target=predict) for _ in range(16)]
    for thread in threads:
        thread.start()
    for i in range(10):
        model.fit(X, other if i % 2 else Y)
    is_done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def fitting_in_background(model):
    thread = threading.Thread(target=model.fit, args=(X, Y))
    thread.start()
    time.sleep(0.05)
    return thread


def test_77_parameters_change_and_copies_are_made_during_a_fit():
    expected = model_of(max_iter=3000, n_iter_no_change=3000).fit(X, Y).predict(X)
    model = model_of(max_iter=3).fit(X, Y)
    old = model.predict(X)
    model.set_params(max_iter=3000, n_iter_no_change=3000)
    thread = fitting_in_background(model)
    assert thread.is_alive()
    copied = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    model.set_params(hidden_layer_sizes=(3,), max_iter=1)
    thread.join()
    for one in copied:
        assert np.array_equal(one.predict(X), old)
    assert np.array_equal(model.predict(X), expected)


def child_predicts_and_fits(model, queue):
    queue.put((model.predict(X), model_of().fit(X, Y).predict(X)))


def forked(model):
    """What a forked child predicts, and what it predicts after a fit of its own."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=child_predicts_and_fits, args=(model, queue))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child.start()
    try:
        return queue.get(timeout=PATIENCE)
    finally:
        child.join(PATIENCE)
        assert child.exitcode == 0


def test_78_fork_idle_after_fit_and_during_another_threads_fit():
    model = model_of(n_jobs=2).fit(X, Y)
    expected = model.predict(X), model_of().fit(X, Y).predict(X)
    np.testing.assert_equal(forked(model), expected)
    busy = model_of(n_jobs=2, max_iter=2000, n_iter_no_change=2000)
    thread = fitting_in_background(busy)
    np.testing.assert_equal(forked(model), expected)
    thread.join()
    np.testing.assert_equal(model.predict(X), expected[0])


def test_78_threads_wait_for_the_next_call_and_are_none_when_a_process_forks():
    code = """
        def threads():
            return sorted(map(int, os.listdir("/proc/self/task")))
        before = threads()
        model = RNNRegressor(hidden_layer_sizes=(128,), max_iter=2, n_jobs=2, random_state=0)
        expected = model.fit(X, Y).predict(X)
        working = threads()
        model.fit(X, Y).predict(X)
        assert len(working) == len(before) + 1 and threads() == working, (before, working)
        child = os.fork()
        if child == 0:
            same = np.array_equal(model.predict(X), expected)
            os._exit(0 if same and len(threads()) == 2 else 1)
        assert threads() == before
        assert os.waitpid(child, 0)[1] == 0
        assert np.array_equal(model.predict(X), expected)
        assert len(threads()) == len(before) + 1
    """
    passed(run_python(code, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}))


def test_a_thread_that_waited_goes_where_its_caller_may_and_takes_no_signal():
    code = """
        def status(thread, name):
            with open(f"/proc/self/task/{thread}/status") as lines:
                return next(line.split()[1] for line in lines if line.startswith(name))
        model = RNNRegressor(hidden_layer_sizes=(128,), max_iter=2, n_jobs=2, random_state=0)
        before = set(os.listdir("/proc/self/task"))
        model.fit(X, Y)
        (worker,) = set(os.listdir("/proc/self/task")) - before
        assert int(status(worker, "SigBlk"), 16) >> (signal.SIGINT - 1) & 1
        network = _core.Network(
            dtype="float32", cell="simple", activation="tanh", reset_after=True,
            hidden_layer_sizes=[128], bidirectional=[False], n_channels=2, n_outputs=1, head=True,
        )
        predictor = _core.Predictor(network, network.initialize(0), per_step=False, n_threads=2)
        for processors in ({min(os.sched_getaffinity(0))}, os.sched_getaffinity(0)):
            os.sched_setaffinity(0, processors)
            for _ in range(100):  # until the second thread has come before the first is done
                predictor(np.repeat(X, 4, axis=0).astype("f4"))
                if os.sched_getaffinity(int(worker)) == processors:
                    break
            else:
                raise AssertionError((os.sched_getaffinity(int(worker)), processors))
    """
    passed(run_python(code))


class AfterEpoch:
    """A callback of scikit-learn's that is given the estimator after each epoch."""

    def __init__(self, function):
        self.function = function

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.function(estimator)


def called_back(model, function):
    pytest.importorskip("sklearn.callback")
    return model.set_callbacks(AfterEpoch(function))


def test_78_fork_inside_a_callback():
    model = model_of(n_jobs=2).fit(X, Y)
    expected = model.predict(X), model_of().fit(X, Y).predict(X)
    seen = []
    called_back(model, lambda estimator: seen.append(forked(estimator)))
    model.set_params(max_iter=2).fit(X, Y)
    np.testing.assert_equal(seen, [expected, expected])


def fit_and_predict(n_units):
    return model_of(hidden_layer_sizes=(n_units,)).fit(X, Y).predict(X)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_79_joblib(backend):
    expected = [fit_and_predict(n) for n in (3, 5)]
    got = Parallel(n_jobs=2, backend=backend)(delayed(fit_and_predict)(n) for n in (3, 5))
    np.testing.assert_equal(got, expected)


def test_79_a_grid_search_in_processes():
    def scores(n_jobs):
        search = GridSearchCV(model_of(), {"hidden_layer_sizes": [(3,), (5,)]}, n_jobs=n_jobs, cv=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return search.fit(X, Y).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(scores(2), scores(None))


class Alarm:
    """Raises in the main thread after a delay, through a signal."""

    def __init__(self, delay, signum=signal.SIGALRM, handler=signal.default_int_handler):
        self.delay, self.signum, self.handler = delay, signum, handler

    def __enter__(self):
        self.before = signal.signal(self.signum, self.handler)
        signal.setitimer(signal.ITIMER_REAL, self.delay)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(self.signum, self.before)


@pytest.mark.parametrize("is_fitted", [True, False])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("delay", [0.003, 0.02, 0.11])
def test_80_ctrl_c_at_any_point_of_a_fit(delay, n_jobs, is_fitted):
    model = model_of(n_jobs=n_jobs)
    if is_fitted:
        model.fit(X, Y)
    model.set_params(**LONG)
    before = state_digest(model)
    start = time.perf_counter()
    with Alarm(delay), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert time.perf_counter() - start < PATIENCE
    assert state_digest(model) == before
    model.set_params(hidden_layer_sizes=(8,), max_iter=5)
    expected = model_of(n_jobs=1, n_iter_no_change=10**6).fit(X, Y).predict(X)
    assert np.array_equal(model.fit(X, Y).predict(X), expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_80_ctrl_c_within_one_long_step_and_in_predict(n_jobs):
    """Each step multiplies 2,000 rows; a tape of gigabytes is asked for."""
    big = np.zeros((2000, 100, 4), "f4")
    model = model_of(cell="lstm", hidden_layer_sizes=(512,), max_iter=1, n_jobs=n_jobs)
    model.fit(big[:2, :2], [0.0, 1.0])
    before = state_digest(model)
    with Alarm(0.3), pytest.raises(KeyboardInterrupt):
        model.predict(big)
    model.set_params(batch_size=2000)
    with Alarm(0.5), pytest.raises(KeyboardInterrupt):
        model.fit(big, np.arange(2000.0))
    model.set_params(batch_size="auto")
    assert state_digest(model) == before


def test_81_a_handler_that_raises_something_else():
    class Enough(Exception):
        pass

    def handler(*_):
        raise Enough

    model = model_of(**LONG)
    before = state_digest(model)
    with Alarm(0.05, handler=handler), pytest.raises(Enough):
        model.fit(X, Y)
    assert state_digest(model) == before


def raises_and_signals_again(*_):
    """A second Ctrl-C arrives while the first one's exception is under way."""
    try:
        raise KeyboardInterrupt
    finally:
        signal.raise_signal(signal.SIGINT)


def test_81_a_second_ctrl_c():
    model = model_of().fit(X, Y)
    expected = model.predict(X)
    model.set_params(**LONG)
    before = state_digest(model)
    with Alarm(0.05, handler=raises_and_signals_again), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert state_digest(model) == before
    model.set_params(hidden_layer_sizes=(8,), max_iter=5)
    assert np.array_equal(model.fit(X, Y).predict(X), expected)


def interrupt_oneself(_):
    signal.raise_signal(signal.SIGINT)


def stop_iteration(_):
    raise StopIteration("enough")


def exit_process(_):
    raise SystemExit("enough")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (interrupt_oneself, KeyboardInterrupt),
        (stop_iteration, StopIteration),
        (exit_process, SystemExit),
    ],
)
def test_81_83_what_a_callback_raises_leaves_the_estimator_as_it_was(function, error):
    model = called_back(model_of().fit(X, Y), function)
    expected = model_of().fit(X, Y[::-1]).predict(X)
    before = state_digest(model)
    with pytest.raises(error) as caught:
        model.fit(X, Y[::-1])
    assert function.__name__ in [entry.name for entry in caught.traceback]
    assert state_digest(model) == before
    assert np.array_equal(model.set_callbacks().fit(X, Y[::-1]).predict(X), expected)


def test_84_a_callback_predicts_with_the_last_model_and_sets_parameters():
    model = model_of().fit(X, Y)
    old = model.predict(X)
    expected = model_of().fit(X, Y[::-1]).predict(X)
    seen = []

    def look(estimator):
        seen.append(estimator.predict(X))
        estimator.set_params(hidden_layer_sizes=(3,), max_iter=1)
        gc.collect()

    called_back(model, look).fit(X, Y[::-1])
    np.testing.assert_equal(seen, [old] * 5)
    assert np.array_equal(model.predict(X), expected)


def test_84_a_refused_fit_within_a_fit_changes_nothing():
    model = called_back(model_of().fit(X, Y), refit)
    before = state_digest(model)
    with pytest.raises(RuntimeError, match=r"RNNRegressor\.fit: already fitting"):
        model.fit(X, Y)
    assert state_digest(model) == before


def refit(estimator):
    estimator.fit(X, Y)


def test_82_ctrl_c_while_another_thread_fits():
    model = model_of(max_iter=2000, n_iter_no_change=2000)
    expected = model_of(max_iter=2000, n_iter_no_change=2000).fit(X, Y).predict(X)
    thread = fitting_in_background(model)
    with Alarm(0.02), pytest.raises(KeyboardInterrupt):
        time.sleep(PATIENCE)
    thread.join(10 * PATIENCE)
    assert np.array_equal(model.predict(X), expected)


def test_85_exit_while_a_daemon_thread_fits():
    code = """
        model = RNNRegressor(hidden_layer_sizes=(64,), max_iter=10**6, n_iter_no_change=10**6)
        threading.Thread(target=model.fit, args=(X, Y), daemon=True).start()
        time.sleep(0.3)
        print("end")
    """
    result = run_python(code, timeout=PATIENCE)
    assert passed(result) == "end\n"
    assert "terminate" not in result.stderr


def test_87_out_of_memory_is_an_exception():
    code = """
        model = RNNRegressor(hidden_layer_sizes=(8,), max_iter=2, random_state=0, n_jobs=1)
        expected = model.fit(X, Y).predict(X)
        soft = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        big = np.zeros((400, 400, 2))
        kinds = set()
        for slack in (60, 90, 120, 200):
            resource.setrlimit(resource.RLIMIT_AS, (soft + slack * 2**20, -1))
            try:
                model.set_params(hidden_layer_sizes=(1024,), batch_size=400).fit(big, np.zeros(400))
            except MemoryError:
                kinds.add("MemoryError")
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            model.set_params(hidden_layer_sizes=(8,), batch_size="auto")
            assert np.array_equal(model.predict(X), expected)
        print(kinds)
        print(np.array_equal(model.fit(X, Y).predict(X), expected))
    """
    assert passed(run_python(code)) == "{'MemoryError'}\nTrue\n"


def test_importing_changes_nothing():
    code = """
        import os, random, signal, sys, warnings
        import numpy, sklearn.base, sklearn.utils.validation
        try:
            import sklearn.callback  # draws random numbers where rich is installed
        except ImportError:
            pass
        def state():
            return (
                len(os.listdir("/proc/self/task")),
                [signal.getsignal(number) for number in range(1, 32)],
                dict(os.environ),
                os.getcwd(),
                list(warnings.filters),
                random.getstate(),
                numpy.random.get_state()[1].tolist(),
                5e-324 * 1.0 != 0,
            )
        before = state()
        import elman
        assert "elman._core" in sys.modules or elman.RNNRegressor
        for now, then in zip(state(), before):
            assert now == then, (now, then)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    passed(subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False))


def test_classifiers_share_all_of_this():
    """The same fit lies under both; one look that nothing of it is the regressor's alone."""
    model = RNNClassifier(random_state=0, **LONG)
    before = state_digest(model)
    with Alarm(0.05), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y > 0)
    assert state_digest(model) == before
    assert _core.isa in ("baseline", "avx2", "avx512", "neon")
