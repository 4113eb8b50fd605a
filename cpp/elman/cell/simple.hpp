// The simple recurrent cell (Elman, 1990).
//
//     h_t = phi(x_t W_xh + h_{t-1} W_hh + b_h)
//
// and its derivative, with dh = dL/dh_t:
//
//     dz = dh * phi'(z_t)
#pragma once

#include "elman/cell/cell.hpp"

namespace elman {

struct Tanh {
    template <class V>
    [[gnu::always_inline]] static V value(const V& z) {
        return tanh(z);
    }
    template <class V>
    static V gradient(const V& h, const V& dh) {
        return dh * fma(V::zero() - h, h, V(1));
    }
};

struct Relu {
    template <class V>
    [[gnu::always_inline]] static V value(const V& z) {
        return max(z, V::zero());
    }
    template <class V>
    static V gradient(const V& h, const V& dh) {
        return where_positive(h, dh);
    }
};

struct Identity {
    template <class V>
    [[gnu::always_inline]] static V value(const V& z) {
        return z;
    }
    template <class V>
    static V gradient(const V&, const V& dh) {
        return dh;
    }
};

template <class Activation>
struct Simple {
    static constexpr int n_gates = 1, n_phases = 1;
    static constexpr bool has_cell_state = false, has_recurrent_bias = false;
    static constexpr Gate gates[n_gates] = {{Operand::input_and_state, 0}};

    template <int phase, class V>
    [[gnu::always_inline]] static void forward(V (&z)[n_gates], Step<V>& step) {
        step.h = Activation::value(z[0]);
    }
    template <int phase, class V>
    static void backward(V (&z)[n_gates], StepGradient<V>& step) {
        z[0] = Activation::gradient(step.h, step.dh);
        step.dh_previous = V::zero();
    }
};

}  // namespace elman
