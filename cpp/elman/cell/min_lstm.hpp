// Minimal long short-term memory (Feng et al., 2024, section 3.2): gates and candidate look at the
// input alone, so there is no W_hh, and the two gates share out one.
//
//     i, f = sigmoid(x_t W_x* + b_*)
//     n    = x_t W_xn + b_n
//     h_t  = w * h_{t-1} + (1 - w) * n        w = f / (f + i)
//
// backwards, with dh = dL/dh_t and dw = dh * (h_{t-1} - n) * w (1 - w):
//
//     dz_f = dw * (1 - f)     dz_i = -dw * (1 - i)     dz_n = dh * (1 - w)     dh_{t-1} = dh * w
//
// Gates that are both nearly shut still share out one, so w is not made of f and i but, with
// s = min(z_i, z_f, 0), of numbers of which one is 1:
//
//     w = b / (a + b)     a = e^s / f = e^s + e^(s - z_f)     b = e^s / i = e^s + e^(s - z_i)
#pragma once

#include "elman/cell/cell.hpp"

namespace elman {

struct MinLstm {
    enum { i, f, n };
    static constexpr int n_gates = 3, n_phases = 1;
    static constexpr bool has_cell_state = false, has_recurrent_bias = false;
    static constexpr Gate gates[n_gates] = {
        {Operand::input, i}, {Operand::input, f}, {Operand::input, n}};
    static constexpr int forget_column = f;

    template <class V>
    struct Shares {
        V kept, not_i, not_f;  // w, 1 - i, 1 - f

        Shares(const V& z_i, const V& z_f) {
            const V s = min(min(z_i, z_f), V::zero());
            const V open = exp(s), shut_i = exp(s - z_i), shut_f = exp(s - z_f);
            const V a = open + shut_f, b = open + shut_i;
            kept = b / (a + b);
            not_i = shut_i / b;
            not_f = shut_f / a;
        }
    };

    template <int phase, class V>
    static void forward(V (&z)[n_gates], Step<V>& step) {
        const Shares<V> share(z[i], z[f]);
        step.h = fma(share.kept, step.h_previous - z[n], z[n]);
    }

    template <int phase, class V>
    static void backward(V (&z)[n_gates], StepGradient<V>& step) {
        const Shares<V> share(z[i], z[f]);
        const V replaced = V(1) - share.kept;
        const V dw = step.dh * (step.h_previous - z[n]) * (share.kept * replaced);
        z[f] = dw * share.not_f;
        z[i] = V::zero() - dw * share.not_i;
        z[n] = step.dh * replaced;
        step.dh_previous = step.dh * share.kept;
    }
};

}  // namespace elman
