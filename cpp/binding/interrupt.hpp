// Ctrl-C: what a long call asks between two pieces of work.
#pragma once

#include <pybind11/pybind11.h>

#include "elman/threads.hpp"

namespace elman::binding {

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

inline void warn_about_threads() {
    if (PyErr_WarnEx(PyExc_RuntimeWarning,
                     "the system granted fewer threads than n_jobs asks for; results are the same",
                     1) != 0)
        throw pybind11::error_already_set();
}

}  // namespace elman::binding
