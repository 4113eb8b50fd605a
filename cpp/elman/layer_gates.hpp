// The gates' sums of a layer, z, which activations take the place of, and dz later:
//
//     z_t = b + [x_t, h_{t-1}] [W_xh; W_hh]        one tile, x_t and h_{t-1} in one sum over k
//
// Where they stand. Many rows: for each gate and block of units its rows, one panel's width each,
// so that tiles read and write consecutive memory; without training one block's may give way to the
// next one's, unless a later phase or another thread wants them. Few rows: all units side by side.
//
//     many        | gate 0: | block 0: rows | block 1: rows | ... | gate 1: | block 0: rows | ...
//     few         | row 0:  | gate 0: units | gate 1: units | ... | row 1:  | gate 0: units | ...
//
// A single sequence has all of its inputs at hand: their products are taken for many steps at once,
// which spares loading W_xh at each.
#pragma once

#include <array>
#include <type_traits>
#include <vector>

#include "elman/layer_states.hpp"
#include "elman/layer_weights.hpp"

namespace elman {

inline constexpr Index few_rows = 6, steps_ahead = 16;

// The row of the cell's own matrices that belongs to the first of some rows.
template <class T>
inline Index tape_row(const StepRows& rows, const Tape<T>& tape) {
    return tape.training ? rows.row : rows.begin;
}
template <class T>
inline Index gate_row(const StepRows& rows, const Tape<T>& tape) {
    if (tape.keeps_gates) return rows.row;
    return tape.sums_ahead ? rows.t % steps_ahead : rows.begin;
}

// Where the rows of each gate and block stand, and how far apart they are.
template <class T>
struct GateRows {
    T* data;
    Index gate_stride, block_stride;
    Index row_stride;  // 0: those of a block one below the other

    T* of(Index block, int gate) const { return data + gate * gate_stride + block * block_stride; }
    Index stride(const LayerShape<T>& shape, Index block) const {
        return row_stride > 0 ? row_stride : shape.block_width(block);
    }
};

template <class T>
inline GateRows<T> gate_rows(const LayerShape<T>& shape, Tape<T>& tape) {
    return {tape.gates.data(), tape.gate_stride, tape.block_stride,
            tape.has_few_rows ? shape.n_gates() * shape.packed_width() : 0};
}
// Of training: dz of each row of the batch.
template <class T>
inline GateRows<T> dz_rows(const LayerShape<T>& shape, Tape<T>& tape) {
    if (tape.keeps_gates) return gate_rows(shape, tape);
    return {tape.dy.data, 0, panel_width<T>, tape.dy.stride};
}

// Many rows are read again for every panel of weights, which is worth laying them out for.
template <class T>
inline bool copies_operands(const LayerShape<T>& shape, const Tape<T>& tape) {
    return !tape.has_few_rows && shape.n_gates() * shape.n_blocks() >= 4;
}
template <class T>
inline Index operands_width(const LayerShape<T>& shape) {
    const auto whole_panels = [](Index width) {
        return (width + panel_width<T> - 1) / panel_width<T> * panel_width<T>;
    };
    Index width = whole_panels(shape.n_units);
    for (const Index part : shape.input_widths) width += whole_panels(part);
    return width;
}

template <class T>
inline void resize_gates(const LayerShape<T>& shape, const Batch& batch, Tape<T>& tape) {
    const Index n_gates = shape.n_gates(), packed_width = shape.packed_width(),
                n_sequences = batch.n_sequences();
    tape.keeps_gates =
        tape.training && (n_gates > 1 || tape.dy.data == nullptr || shape.layer_norm);
    tape.has_few_rows = !tape.training && n_sequences < few_rows;
    const Index rows = tape.keeps_gates  ? batch.n_rows()
                       : tape.sums_ahead ? steps_ahead
                                         : n_sequences;
    if (tape.has_few_rows) {
        tape.gate_stride = packed_width;
        tape.block_stride = panel_width<T>;
        make_room(tape.gates, rows * n_gates * packed_width);
    } else {
        const bool has_all = tape.training || shape.any_gate(takes_gated_state) || tape.is_shared ||
                             shape.layer_norm;
        tape.gate_stride = checked_multiply(rows, has_all ? packed_width : panel_width<T>);
        tape.block_stride = has_all ? rows * panel_width<T> : 0;
        make_room(tape.gates, checked_multiply(n_gates, tape.gate_stride));
    }
    if (copies_operands(shape, tape))
        make_room(tape.operand_panels, checked_multiply(n_sequences, operands_width(shape)));
}

// The terms of a step: those of the inputs, then those of the state.
template <class T>
struct StepTerms {
    const Term<T>* all;
    Index n_inputs, n_states;
};

namespace detail {

template <class T>
inline StepTerms<T> copied(const LayerShape<T>& shape, const std::array<Term<T>, 3>& operands,
                           Index n_inputs, const StepRows& rows, Tape<T>& tape) {
    // Kept from one step to the next, which would else begin with allocating them.
    static thread_local std::vector<Term<T>> terms;
    terms.clear();
    T* to = tape.operand_panels.data() + rows.begin * operands_width(shape);
    Index n_input_terms = 0;
    for (Index i = 0; i <= n_inputs; ++i) {
        const Term<T>& x = operands[std::size_t(i)];
        n_input_terms = Index(terms.size());
        to = copy_to_panels<T>({x.data, x.row_stride, x.depth}, rows.size, to, terms);
    }
    return {terms.data(), n_input_terms, Index(terms.size()) - n_input_terms};
}

}  // namespace detail

// The parts of x_t, then h_{t-1}; in its place, for gates that wait for another, the gated state.
// Where they lie, for which operands has room, or copied.
template <class T>
inline StepTerms<T> terms_of(const LayerShape<T>& shape, int phase, const StepRows& rows,
                             const Features<const T>& inputs, Tape<T>& tape,
                             std::array<Term<T>, 3>& operands) {
    const Index n_inputs = tape.has_token_sums() ? 0 : inputs.n_parts;
    const auto term = [](const Rows<const T>& of) {
        return Term<T>{of.data, of.stride, 1, of.width};
    };
    for (Index part = 0; part < n_inputs; ++part)
        operands[std::size_t(part)] =
            term({inputs[part].row(rows.row), inputs[part].stride, inputs[part].width});
    operands[std::size_t(n_inputs)] =
        term(phase == 0 ? operand_before(rows, tape) : tape.gated.from_row(tape_row(rows, tape)));
    if (copies_operands(shape, tape) && rows.size >= few_rows)
        return detail::copied(shape, operands, n_inputs, rows, tape);
    return {operands.data(), n_inputs, 1};
}

// Calls multiply(terms, first row of the weights) for what is left to sum of a group of gates.
template <class T, class Multiply>
inline void sum_gates(const LayerShape<T>& shape, const GateGroup& group, const StepTerms<T>& terms,
                      bool sums_ahead, const Multiply& multiply) {
    const Operand operand = shape.gate(group.first).operand;
    const bool has_inputs = takes_input(operand) && sums_ahead;
    const Index n_states = takes_any_state(operand) ? terms.n_states : 0;
    if (has_inputs && n_states == 0) return;
    if (has_inputs || !takes_input(operand))
        multiply(Terms<T>{terms.all + terms.n_inputs, terms.n_states},
                 has_inputs ? shape.input_width() : 0);
    else
        multiply(Terms<T>{terms.all, terms.n_inputs + n_states}, Index(0));
}

// Calls multiply(group, terms, steps) for z as far as the inputs make it, for the steps that follow
// step t in the order of processing.
template <class T, class Multiply>
inline void sum_inputs_ahead(const LayerShape<T>& shape, Index t, Index n_steps,
                             const Features<const T>& inputs, const Multiply& multiply) {
    const Index begin = t / steps_ahead * steps_ahead;
    const Index end = std::min(begin + steps_ahead, n_steps);
    if (t != (shape.reverse ? end - 1 : begin)) return;
    std::array<Term<T>, 2> terms;
    for (Index part = 0; part < inputs.n_parts; ++part)
        terms[std::size_t(part)] = {inputs[part].row(begin), inputs[part].stride, 1,
                                    inputs[part].width};
    shape.for_each_group([&](const GateGroup& group) {
        if (takes_input(shape.gate(group.first).operand))
            multiply(group, Terms<T>{terms.data(), inputs.n_parts}, Range{begin, end});
    });
}

// Adds the terms to z, from row first_k of the weights on; without rows before, to the bias.
template <class T>
inline void multiply_group(const LayerShape<T>& shape, const GateGroup& group, Range blocks,
                           const Terms<T>& terms, Index n_rows, Index first_k,
                           const PackedWeights<T>& weights, Index row, const GateRows<T>& rows) {
    const Index columns = shape.packed_width();
    const auto multiply_panels = [&](int g, Index block, Index n_panels, Index columns_apart,
                                     Index z_apart) {
        const Index width = shape.block_width(block), stride = rows.stride(shape, block);
        const Index column = (g - group.first) * columns + block * panel_width<T>;
        const Index first = columns * group.depth_before + column * group.depth + first_k * width;
        const T* bias = weights.bias.data() + group.first * columns + column;
        const Block<T> z{rows.of(block, g) + row * stride, stride, z_apart};
        const auto multiply_stored = [&](const auto& panels, const T* scales) {
            using W = std::decay_t<decltype(panels[0])>;
            multiply<T, W>(terms, n_rows, shape.vectors(block), n_panels,
                           {panels.data() + first, width, columns_apart * group.depth},
                           first_k > 0 ? z : Block<const T>{bias, 0, columns_apart}, z,
                           {scales, 0, columns_apart});
        };
        if constexpr (std::is_same_v<T, float>) {
            if (weights.storage == Storage::float16)
                return multiply_stored(weights.half_panels, nullptr);
            if (weights.storage == Storage::int8)
                return multiply_stored(weights.int8_panels,
                                       weights.scales.data() + group.first * columns + column);
        }
        multiply_stored(weights.panels, nullptr);
    };
    // Panels side by side share the broadcasts, and fill the FMA ports where rows are few: those of
    // the blocks, or of the gates if they are more. Every other step goes from the last panel to
    // the first: it begins with those that the step before has left in the caches.
    const auto turn = [row](Index i, Index n) { return row % 2 == 0 ? i : n - 1 - i; };
    constexpr Index at_once = 4;
    const Index n_wide = std::min(blocks.end, shape.n_wide_blocks()) - blocks.begin;
    if (n_wide > group.n_alike) {
        const Index n_bunches = (n_wide + at_once - 1) / at_once;
        for (Index i = 0; i < group.n_alike * n_bunches; ++i) {
            const Index place = turn(i, group.n_alike * n_bunches);
            const Index first = place % n_bunches * at_once;
            multiply_panels(group.first + int(place / n_bunches), blocks.begin + first,
                            std::min(at_once, n_wide - first), panel_width<T>, rows.block_stride);
        }
        blocks.begin += n_wide;
    }
    for (Index i = 0; i < blocks.size(); ++i)
        multiply_panels(group.first, blocks.begin + turn(i, blocks.size()), group.n_alike, columns,
                        rows.gate_stride);
}

// dz of the gates that take an operand, as the left side of a product with W^T.
template <class T>
inline std::vector<Term<T>> gate_terms(const LayerShape<T>& shape, const GateRows<T>& rows,
                                       bool (*takes)(Operand)) {
    std::vector<Term<T>> terms;
    for (int g = 0; g < shape.n_gates(); ++g)
        if (takes(shape.gate(g).operand))
            shape.for_each_block([&](Index block) {
                terms.push_back(
                    {rows.of(block, g), rows.stride(shape, block), 1, shape.units_in(block)});
            });
    return terms;
}

// dz = 0 where a step is missing.
template <class T>
inline void clear_gates(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    const GateRows<T> of_gates = dz_rows(shape, tape);
    shape.for_each_block([&](Index block) {
        const Index width = shape.block_width(block), stride = of_gates.stride(shape, block);
        for (int g = 0; g < shape.n_gates(); ++g) {
            T* const dz = of_gates.of(block, g) + rows.row * stride;
            for (Index r = 0; r < rows.size; ++r) std::fill_n(dz + r * stride, width, T(0));
            if (shape.layer_norm)
                std::fill_n(tape.dz.data() + (dz - tape.gates.data()), rows.size * width, T(0));
        }
    });
}

}  // namespace elman
