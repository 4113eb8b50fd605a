// Long short-term memory (Hochreiter & Schmidhuber, 1997; forget gate: Gers et al., 2000).
//
//     i, f, o = sigmoid(x_t W_x* + h_{t-1} W_h* + b_*)
//     g       = tanh(x_t W_xg + h_{t-1} W_hg + b_g)
//     c_t     = f * c_{t-1} + i * g
//     h_t     = o * tanh(c_t)
//
// backwards, with dh = dL/dh_t and dc = dL/dc_t from step t + 1:
//
//     dc     += dh * o * (1 - tanh(c_t)^2)
//     dz_i    = dc * g * i (1 - i)            dz_f = dc * c_{t-1} * f (1 - f)
//     dz_g    = dc * i * (1 - g^2)            dz_o = dh * tanh(c_t) * o (1 - o)
//     dc_{t-1} = dc * f
#pragma once

#include "elman/cell/cell.hpp"

namespace elman {

struct Lstm {
    enum { i, f, g, o };
    static constexpr int n_gates = 4, n_phases = 1;
    static constexpr bool has_cell_state = true, has_recurrent_bias = false;
    static constexpr Gate gates[n_gates] = {{Operand::input_and_state, i, Squashing::sigmoid},
                                            {Operand::input_and_state, f, Squashing::sigmoid},
                                            {Operand::input_and_state, g, Squashing::tanh},
                                            {Operand::input_and_state, o, Squashing::sigmoid}};
    static constexpr int forget_column = f;

    template <int phase, class V>
    static void forward(V (&z)[n_gates], Step<V>& step) {
        step.c = fma(z[f], step.c_previous, z[i] * z[g]);
        step.memo = tanh(step.c);
        step.h = z[o] * step.memo;
    }

    template <int phase, class V>
    static void backward(V (&z)[n_gates], StepGradient<V>& step) {
        const V one(1), tanh_c = step.memo;
        const V dc = fma(step.dh * z[o], one - tanh_c * tanh_c, step.dc);
        step.dc = dc * z[f];
        const V dz_i = dc * z[g] * (z[i] * (one - z[i]));
        z[g] = dc * z[i] * (one - z[g] * z[g]);
        z[i] = dz_i;
        z[f] = dc * step.c_previous * (z[f] * (one - z[f]));
        z[o] = step.dh * tanh_c * (z[o] * (one - z[o]));
        step.dh_previous = V::zero();
    }
};

}  // namespace elman
