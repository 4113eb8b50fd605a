// The minimal gated recurrent unit (Feng et al., 2024, section 3.1): gates and candidate look at
// the input alone, so there is no W_hh.
//
//     z   = sigmoid(x_t W_xz + b_z)
//     n   = x_t W_xn + b_n
//     h_t = (1 - z) * h_{t-1} + z * n
//
// backwards, with dh = dL/dh_t:
//
//     dz_z = dh * (n - h_{t-1}) * z (1 - z)       dz_n = dh * z       dh_{t-1} = dh * (1 - z)
#pragma once

#include "elman/cell/cell.hpp"

namespace elman {

struct MinGru {
    enum { z, n };
    static constexpr int n_gates = 2, n_phases = 1;
    static constexpr bool has_cell_state = false, has_recurrent_bias = false;
    static constexpr Gate gates[n_gates] = {{Operand::input, z, Squashing::sigmoid},
                                            {Operand::input, n}};

    template <int phase, class V>
    static void forward(V (&a)[n_gates], Step<V>& step) {
        step.h = fma(a[z], a[n] - step.h_previous, step.h_previous);
    }

    template <int phase, class V>
    static void backward(V (&a)[n_gates], StepGradient<V>& step) {
        const V one(1), dn = step.dh * a[z];
        step.dh_previous = step.dh * (one - a[z]);
        a[z] = step.dh * (a[n] - step.h_previous) * (a[z] * (one - a[z]));
        a[n] = dn;
    }
};

}  // namespace elman
