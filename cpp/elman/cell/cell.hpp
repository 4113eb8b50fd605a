// What a cell tells the layer, and what the layer hands to a cell.
//
// A cell is a struct of constants and two functions on registers:
//
//     gates      what each gate's pre-activation z is summed from, which columns of the weights it
//                takes, and the function that it goes through before anything else
//     forward    from there (and the states of step t-1) to h_t, c_t; leaves the activations in z,
//                as they are where the layer has squashed them
//     backward   from the activations and dL/dh_t, dL/dc_t to dL/dz, left in z, and what flows to
//                the states of step t-1 beside the product with the recurrent weights
//
// Products, time, threads and memory are the layer's. Where a gate needs another gate first (the
// reset-before GRU), the cell has two phases, and the first leaves a gated state for the second.
#pragma once

#include "elman/simd.hpp"

namespace elman {

// What enters a gate's sum beside its bias.
enum class Operand { input, state, input_and_state, input_and_gated_state };

inline constexpr bool takes_input(Operand operand) { return operand != Operand::state; }
inline constexpr bool takes_no_input(Operand operand) { return !takes_input(operand); }
inline constexpr bool takes_state(Operand operand) {
    return operand == Operand::state || operand == Operand::input_and_state;
}
inline constexpr bool takes_gated_state(Operand operand) {
    return operand == Operand::input_and_gated_state;
}
inline constexpr bool takes_any_state(Operand operand) { return operand != Operand::input; }

// The layer squashes a gate's sums of many rows at once: unlike one unit's step from z to h_t, in
// which each operation waits for the last, they are independent and fill the FMA ports.
enum class Squashing { none, sigmoid, tanh };

template <Squashing squashing, class V>
[[gnu::always_inline]] inline V squashed(const V& z) {
    if constexpr (squashing == Squashing::sigmoid)
        return sigmoid(z);
    else
        return tanh(z);
}

template <Squashing squashing, class T>
[[gnu::always_inline]] inline void squash(Index n_rows, Index n, Index stride, const T* z, T* to) {
    using V = Vec<T>;
    using Several = Vecs<T, 4>;
    for (Index r = 0; r < n_rows; ++r, z += stride, to += stride) {
        Index i = 0;
        for (; i + Several::width <= n; i += Several::width)
            squashed<squashing>(Several::load(z + i)).store(to + i);
        for (; i < n; i += V::width) squashed<squashing>(V::load(z + i)).store(to + i);
    }
}

// n numbers in each of some rows. Always inlined: of few units it takes no longer than a call.
template <class T>
[[gnu::always_inline]] inline void squash(Squashing squashing, Index n_rows, Index n, Index stride,
                                          const T* z, T* to) {
    if (squashing == Squashing::sigmoid) squash<Squashing::sigmoid>(n_rows, n, stride, z, to);
    if (squashing == Squashing::tanh) squash<Squashing::tanh>(n_rows, n, stride, z, to);
}

// The same of many numbers, compiled once for all cells.
template <class T>
[[gnu::noinline]] void squash_many(Squashing squashing, Index n_rows, Index n, Index stride,
                                   const T* z, T* to) {
    squash(squashing, n_rows, n, stride, z, to);
}

struct Gate {
    Operand operand;
    int column;  // which n_units columns of W_xh, W_hh and b_h are this gate's
    Squashing squashing = Squashing::none;
    int phase = 0;
    bool recurrent_bias = false;  // its bias is b_hn, not b_h
};

// Whether any gate takes a state: otherwise there is no W_hh.
template <class Cell>
constexpr bool any_gate_takes_a_state() {
    for (const Gate& gate : Cell::gates)
        if (takes_any_state(gate.operand)) return true;
    return false;
}
template <class Cell>
inline constexpr bool has_recurrent_weights = any_gate_takes_a_state<Cell>();

// One unit's step: h_previous enters products as h_operand (recurrent dropout stands between).
// memo is what the cell wants back in its backward step, gated what its second phase multiplies.
template <class V>
struct Step {
    V h_previous, h_operand, c_previous;
    V h, c, memo, gated;
};

// dc comes as dL/dc_t and leaves as dL/dc_{t-1}; d_gated comes in for phase 0 of a cell with a
// gated state, and dh_operand leaves it: the gradient that reaches h_operand beside products.
template <class V>
struct StepGradient {
    V h_previous, h_operand, c_previous;
    V h, memo;
    V dh, dc, d_gated;
    V dh_previous, dh_operand;
};

}  // namespace elman
