// The gradient of a layer's weights, over all rows of all steps from the last to the first, the
// order in which segments of the steps come by (see Trainer):
//
//     dW_xh = sum_t x_t^T dz_t,   dW_hh = sum_t h_{t-1}^T dz_t,   db = sum_t dz_t
//
// Sums stand panel by panel until the last segment has come. Gradients are split over blocks of
// units, each summed by one thread.
#pragma once

#include <vector>

#include "elman/layer_norm.hpp"
#include "elman/threads.hpp"
#include "elman/token_sums.hpp"

namespace elman {

namespace detail {

template <class T>
inline Index n_sums(const LayerShape<T>& shape) {
    return shape.total_depth() + shape.n_gates();
}
// Where the sums of a block's weights stand: gate by gate, W_xh, b, W_hh as far as it has them. A
// bias is the weight of an input that is always one.
template <class T>
inline T* sums_of(const LayerShape<T>& shape, Tape<T>& tape, Index block) {
    return tape.gradient.data() + block * panel_width<T> * n_sums(shape);
}

// Adds operand^T dz for the gates that take the operand, dz from this row on. first_sum is where
// the operand stands among a gate's sums, negative if counted from their end.
template <class T>
inline void add_products(const LayerShape<T>& shape, Range blocks, bool (*takes)(Operand),
                         Index first_sum, const TransposedRows<T>& operand, const GateRows<T>& dz,
                         Index row, Tape<T>& tape, Control& control) {
    for (Index block = blocks.begin; block < blocks.end; ++block) {
        const Index width = shape.block_width(block), stride = dz.stride(shape, block);
        T* sums = sums_of(shape, tape, block);
        shape.for_each_group([&](const GateGroup& group) {
            const Index n_sums = group.depth + 1;
            if (takes(shape.gate(group.first).operand)) {
                const Index first = first_sum < 0 ? n_sums + first_sum : first_sum;
                add_outer<T>(operand, shape.vectors(block), group.n_alike,
                             {dz.of(block, group.first) + (row + operand.depth() - 1) * stride,
                              -stride, dz.gate_stride},
                             {sums + first * width, width, n_sums * width});
                control.poll(operand.depth() * operand.n_columns() * group.n_alike * width);
            }
            sums += group.n_alike * n_sums * width;
        });
    }
}

// Adds x^T dz and the sum of dz, over the same rows of both.
template <class T>
inline void add_input_products(const LayerShape<T>& shape, Range blocks,
                               const Features<const T>& inputs, const GateRows<T>& dz, Index row,
                               Index n_rows, TransposedRows<T>& operand, Tape<T>& tape,
                               Control& control) {
    Index first_sum = 0;
    for (Index part = 0; part < inputs.n_parts; ++part) {
        operand.assign(inputs[part].reversed(row, n_rows), n_rows, part + 1 == inputs.n_parts);
        add_products(shape, blocks, takes_input, first_sum, operand, dz, row, tape, control);
        first_sum += inputs[part].width;
    }
}

template <class T>
inline void add_state_products(const LayerShape<T>& shape, Range blocks, const Run& run,
                               TransposedRows<T>& operand, Tape<T>& tape, Control& control) {
    const Rows<T> states = tape.fades() ? tape.faded_products_with().rows()
                           : run.starts ? tape.initial_products_with()
                                        : tape.products_with();
    const GateRows<T> dz = dz_rows(shape, tape);
    operand.assign(states.reversed(run.operand_row, run.size), run.size, false);
    add_products(shape, blocks, takes_state, -shape.n_units, operand, dz, run.row, tape, control);
    if (shape.any_gate(takes_gated_state)) {
        operand.assign(tape.gated.rows().reversed(run.row, run.size), run.size, false);
        add_products(shape, blocks, takes_gated_state, -shape.n_units, operand, dz, run.row, tape,
                     control);
    }
}

// From the sums of a block to the flat gradient.
template <class T>
inline void unpack(const LayerShape<T>& shape, Index block, const T* sums, T* gradient) {
    const Index width = shape.block_width(block), column = block * panel_width<T>;
    const auto copy_rows = [&](Index n_rows, Index first) {
        for (Index k = 0; k < n_rows; ++k, sums += width)
            std::copy_n(sums, shape.units_in(block),
                        gradient + first + k * shape.row_stride() + column);
    };
    for (const Gate& gate : shape.gates()) {
        const Index of_gate = gate.column * shape.n_units;
        if (takes_input(gate.operand)) copy_rows(shape.input_width(), shape.offsets.W_xh + of_gate);
        copy_rows(1, shape.place_of_bias(gate));
        if (takes_any_state(gate.operand)) copy_rows(shape.n_units, shape.offsets.W_hh + of_gate);
    }
}

}  // namespace detail

template <class T>
inline void resize_gradient(const LayerShape<T>& shape, Tape<T>& tape) {
    tape.gradient.resize(std::size_t(detail::n_sums(shape) * shape.packed_width()));
}

// Adds up, from zero on if the pass begins, and writes the gradient once it ends.
template <class T>
inline void weight_gradient(const LayerShape<T>& shape, Range blocks, const Batch& batch,
                            const Features<const T>& inputs, const std::vector<Run>& runs,
                            Pass pass, Tape<T>& tape, T* gradient, Control& control) {
    if (pass.begins)
        for (Index block = blocks.begin; block < blocks.end; ++block)
            std::fill_n(detail::sums_of(shape, tape, block),
                        detail::n_sums(shape) * shape.block_width(block), T(0));
    const std::vector<Run> of_faded = tape.fades() ? all_rows(batch) : std::vector<Run>();
    const std::vector<Run>& of_states = tape.fades() ? of_faded : runs;
    auto run = of_states.rbegin();
    TransposedRows<T> operand;
    for (Index end = batch.n_rows(); end > 0; end -= longest_run) {
        const Index row = std::max<Index>(end - longest_run, 0), n_rows = end - row;
        if (!tape.has_token_sums())
            detail::add_input_products(shape, blocks, inputs, dz_rows(shape, tape), row, n_rows,
                                       operand, tape, control);
        if (shape.any_gate(takes_no_input)) {
            operand.assign({}, n_rows, true);
            detail::add_products(shape, blocks, takes_no_input, 0, operand, dz_rows(shape, tape),
                                 row, tape, control);
        }
        // With the states at once, while dz of these rows is in the cache.
        if (shape.any_gate(takes_any_state))
            for (; run != of_states.rend() && run->row >= row; ++run)
                detail::add_state_products(shape, blocks, *run, operand, tape, control);
    }
    if (shape.layer_norm) add_gain_gradients(shape, blocks, batch.n_rows(), pass, tape);
    if (!pass.ends) return;
    for (Index end = tape.has_token_sums() ? tape.n_tokens : 0; end > 0; end -= longest_run) {
        const Index row = std::max<Index>(end - longest_run, 0);
        detail::add_input_products(shape, blocks, inputs, token_rows(shape, tape.dtoken_sums), row,
                                   end - row, operand, tape, control);
    }
    for (Index block = blocks.begin; block < blocks.end; ++block)
        detail::unpack(shape, block, detail::sums_of(shape, tape, block), gradient);
    if (shape.layer_norm) write_gain_gradients(shape, blocks, tape, gradient);
}

}  // namespace elman
