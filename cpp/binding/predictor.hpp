// A predictor of either dtype, as Python sees it.
#pragma once

#include <pybind11/numpy.h>

#include "binding/network.hpp"

namespace elman::binding {

// Outputs and final states of a ragged batch.
template <class T>
pybind11::tuple forward(const Predictor<T>& predictor, const pybind11::object& values,
                        const pybind11::array& offsets, bool per_step,
                        const pybind11::object& initial_state, Index n_threads);

void register_predictor(pybind11::module_& module);

}  // namespace elman::binding
