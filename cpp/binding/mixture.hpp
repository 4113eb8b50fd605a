#pragma once

#include <limits>

#include "binding/arrays.hpp"

namespace elman::binding {

// The n_values candidates of each row, which begin stride apart.
template <class T>
void check_candidates(const T* candidates, Index n_rows, Index stride, Index n_values) {
    for (Index row = 0; row < n_rows; ++row, candidates += stride) {
        bool are_finite = true;
        for (Index i = 0; i < n_values; ++i)
            are_finite &= std::abs(candidates[i]) <= std::numeric_limits<T>::max();
        require(are_finite,
                [row] { return "a candidate of row " + std::to_string(row) + " is not finite"; });
    }
}

void register_mixture(pybind11::module_& module);

}  // namespace elman::binding
