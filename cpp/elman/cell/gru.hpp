// The gated recurrent unit (Cho et al., 2014), in its two forms.
//
//     r, z = sigmoid(x_t W_x* + h_{t-1} W_h* + b_*)
//     n    = tanh(x_t W_xn + b_n + r * (h_{t-1} W_hn + b_hn))     reset after the product
//     n    = tanh(x_t W_xn + b_n + (r * h_{t-1}) W_hn)            reset before the product
//     h_t  = (1 - z) * n + z * h_{t-1}
//
// backwards, with dh = dL/dh_t:
//
//     dz_n = dh * (1 - z) * (1 - n^2)         dz_z = dh * (h_{t-1} - n) * z (1 - z)
//     reset after,  m = h_{t-1} W_hn + b_hn:  dz_m = dz_n * r,  dz_r = dz_n * m * r (1 - r)
//     reset before, u = r * h_{t-1}:          du = dz_n W_hn^T, dz_r = du * h_{t-1} * r (1 - r)
//     dh_{t-1} = dh * z  (+ du * r)
#pragma once

#include "elman/cell/cell.hpp"

namespace elman {

namespace detail {

template <class V>
V sigmoid_gradient(const V& s) {
    return s * (V(1) - s);
}

// n and z to h_t, the same in both forms.
template <class V>
V gru_state(const V& z, const V& n, const V& h_previous) {
    return fma(z, h_previous - n, n);
}

}  // namespace detail

struct GruResetAfter {
    enum { r, z, n, m };
    static constexpr int n_gates = 4, n_phases = 1;
    static constexpr bool has_cell_state = false, has_recurrent_bias = true;
    static constexpr Gate gates[n_gates] = {{Operand::input_and_state, r, Squashing::sigmoid},
                                            {Operand::input_and_state, z, Squashing::sigmoid},
                                            {Operand::input, n},
                                            {Operand::state, n, Squashing::none, 0, true}};

    template <int phase, class V>
    static void forward(V (&a)[n_gates], Step<V>& step) {
        a[n] = tanh(fma(a[r], a[m], a[n]));
        step.h = detail::gru_state(a[z], a[n], step.h_previous);
    }

    template <int phase, class V>
    static void backward(V (&a)[n_gates], StepGradient<V>& step) {
        const V one(1);
        const V dn = step.dh * (one - a[z]) * (one - a[n] * a[n]);
        step.dh_previous = step.dh * a[z];
        a[z] = step.dh * (step.h_previous - a[n]) * detail::sigmoid_gradient(a[z]);
        const V dr = dn * a[m] * detail::sigmoid_gradient(a[r]);
        a[m] = dn * a[r];
        a[r] = dr;
        a[n] = dn;
    }
};

struct GruResetBefore {
    enum { r, z, n };
    static constexpr int n_gates = 3, n_phases = 2;
    static constexpr bool has_cell_state = false, has_recurrent_bias = false;
    static constexpr Gate gates[n_gates] = {
        {Operand::input_and_state, r, Squashing::sigmoid},
        {Operand::input_and_state, z, Squashing::sigmoid},
        {Operand::input_and_gated_state, n, Squashing::tanh, 1}};

    template <int phase, class V>
    static void forward(V (&a)[n_gates], Step<V>& step) {
        if constexpr (phase == 0) {
            step.gated = a[r] * step.h_operand;
        } else {
            step.h = detail::gru_state(a[z], a[n], step.h_previous);
        }
    }

    template <int phase, class V>
    static void backward(V (&a)[n_gates], StepGradient<V>& step) {
        const V one(1);
        if constexpr (phase == 1) {
            const V dn = step.dh * (one - a[z]) * (one - a[n] * a[n]);
            step.dh_previous = step.dh * a[z];
            a[z] = step.dh * (step.h_previous - a[n]) * detail::sigmoid_gradient(a[z]);
            a[n] = dn;
        } else {
            step.dh_operand = step.d_gated * a[r];
            a[r] = step.d_gated * step.h_operand * detail::sigmoid_gradient(a[r]);
        }
    }
};

}  // namespace elman
