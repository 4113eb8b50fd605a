// The GIL and Ctrl-C: how a long call lets other threads run, and what it asks between two pieces
// of work.
#pragma once

#include <pybind11/pybind11.h>

#include "elman/threads.hpp"

namespace elman::binding {

// Runs without the GIL until the end of its scope. Where Python is shutting down by then, taking
// the GIL again ends the thread by unwinding it, which C++ would answer by ending the process: the
// thread stays where it is instead, and the process ends without it.
class GilRelease {
public:
    GilRelease() : state_(PyEval_SaveThread()) {}
    ~GilRelease() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    GilRelease(const GilRelease&) = delete;
    GilRelease& operator=(const GilRelease&) = delete;

private:
    PyThreadState* state_;
};

// Runs Python's signal handlers; only its main thread has any. Called with the GIL, for a check
// that will run without.
inline Control::Check interrupt_check() {
    namespace py = pybind11;
    const py::module_ threading = py::module_::import("threading");
    if (!threading.attr("current_thread")().is(threading.attr("main_thread")())) return {};
    return [] {
        const py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    };
}

// Calls run(check) without the GIL, but below about a tenth of a millisecond, where nobody needs to
// interrupt or waits for it.
template <class Run>
auto run_interruptibly(Index multiply_adds, const Run& run) {
    constexpr Index short_work = 5000000;
    if (multiply_adds < short_work) return run(Control::Check());
    const Control::Check check = interrupt_check();
    const GilRelease release;
    return run(check);
}

inline void warn_about_threads() {
    if (PyErr_WarnEx(PyExc_RuntimeWarning,
                     "the system granted fewer threads than n_jobs asks for; results are the same",
                     1) != 0)
        throw pybind11::error_already_set();
}

}  // namespace elman::binding
