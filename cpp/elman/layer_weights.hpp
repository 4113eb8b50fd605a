// The weights of one direction of a layer: from the flat parameters to what its products read.
//
// Forwards a gate reads panels, block of units by block, in the order of its sum,
//
//     [W_xh; W_hh]                      as far as it takes them
//
// and backwards dz is multiplied by the transposed matrices, with k over the gates that take an
// operand, then units:
//
//     W_hh^T, W_xh^T                    of the states, of each part of the inputs
//
// Weights may be rounded to fewer bits (storage.hpp), gate by gate and column by column.
#pragma once

#include <array>
#include <type_traits>

#include "elman/layer_shape.hpp"
#include "elman/storage.hpp"

namespace elman {

// Weights as the tiles read them; packed once for each update.
template <class T>
struct PackedWeights {
    Storage storage = Storage::full;
    bool side_by_side = false;  // the gates of a narrow layer: panels and bias as in narrow.hpp
    // By gate, then block of units: [W_xh; W_hh], as far as the gate takes them; in fewer bits one
    // of the next two instead, of which the second has a scale for each column, as biases lie.
    Array<T> panels;
    Array<Half> half_panels;
    Array<Int8> int8_panels;
    Array<T> scales;
    Array<T> bias;
    Array<T> gain, shift;       // of layer normalisation, instead of a bias
    Array<T> state_transposed;  // W_hh^T of the gates that take the state, of the gated ones
    Array<T> gated_transposed;
    std::array<Array<T>, 2> input_transposed;
    Array<T> flat;         // as they came, for layers of few units
    Array<T> spread_bias;  // by gate and unit a bias in each lane (transposed.hpp)
};

namespace detail {

// Calls function(weight) for those of one unit in a gate.
template <class T, class Function>
inline void for_each_weight(const LayerShape<T>& shape, const Gate& gate, Index unit, T* parameters,
                            const Function& function) {
    const Index column = gate.column * shape.n_units + unit;
    const auto visit = [&](Index offset, Index n_rows) {
        for (Index row = 0; row < n_rows; ++row)
            function(parameters[offset + row * shape.row_stride() + column]);
    };
    if (takes_input(gate.operand)) visit(shape.offsets.W_xh, shape.input_width());
    if (takes_any_state(gate.operand)) visit(shape.offsets.W_hh, shape.n_units);
}

// By gate, then block of units.
template <class T>
inline void pack_panels(const LayerShape<T>& shape, const T* parameters,
                        PackedWeights<T>& weights) {
    T *panel = weights.panels.data(), *bias = weights.bias.data();
    for (const Gate& gate : shape.gates()) {
        shape.for_each_block([&](Index block) {
            const Index units = shape.units_in(block), column = block * panel_width<T>;
            const auto pack = [&](Index first, Index n_rows, T* to) {
                return pack_panel(parameters + first + column, shape.row_stride(), 1, n_rows, units,
                                  shape.vectors(block), to);
            };
            const Index of_gate = gate.column * shape.n_units;
            if (takes_input(gate.operand))
                panel = pack(shape.offsets.W_xh + of_gate, shape.input_width(), panel);
            if (takes_any_state(gate.operand))
                panel = pack(shape.offsets.W_hh + of_gate, shape.n_units, panel);
            bias = pack(shape.place_of_bias(gate), 1, bias);
        });
    }
}

// By gate: what its normalised sums are multiplied with, and what is added then, which takes the
// place of a bias.
template <class T>
inline void pack_gains(const LayerShape<T>& shape, const T* parameters, PackedWeights<T>& weights) {
    weights.shift.swap(weights.bias);
    weights.bias.assign(weights.shift.size(), T(0));
    weights.gain.assign(weights.shift.size(), T(0));
    for (int g = 0; g < shape.n_gates(); ++g)
        std::copy_n(parameters + shape.place_of_gain(shape.gate(g)), shape.n_units,
                    weights.gain.data() + g * shape.packed_width());
}

// From panels of weights that have been rounded.
inline void reduce_panels(const LayerShape<float>& shape, PackedWeights<float>& weights) {
    const std::size_t n = weights.panels.size();
    if (weights.storage == Storage::float16) {
        weights.half_panels.resize(n);
        std::transform(weights.panels.begin(), weights.panels.end(), weights.half_panels.begin(),
                       to_half);
    } else {
        weights.int8_panels.resize(n);
        weights.scales.resize(weights.bias.size());
        Index first = 0, scale = 0;
        for (const Gate& gate : shape.gates()) {
            shape.for_each_block([&](Index block) {
                const Index width = shape.block_width(block);
                reduce_panel(weights.panels.data() + first, shape.depth(gate), width,
                             weights.scales.data() + scale, weights.int8_panels.data() + first);
                first += shape.depth(gate) * width;
                scale += width;
            });
        }
    }
    weights.panels = Array<float>();
}

// W^T for the gates that take an operand: k runs over gates, then units; columns are the n_rows
// rows of W.
template <class T>
inline void pack_transposed(const LayerShape<T>& shape, const T* W, Index n_rows,
                            bool (*takes)(Operand), Array<T>& panels) {
    Index n_taking = 0;
    for (const Gate& gate : shape.gates()) n_taking += takes(gate.operand) ? 1 : 0;
    panels.resize(std::size_t(n_taking * shape.n_units * packed_columns<T>(n_rows)));
    const Index stride = shape.row_stride();
    T* panel = panels.data();
    for (Index row = 0; row < n_rows; row += panel_width<T>)
        for (const Gate& gate : shape.gates())
            if (takes(gate.operand))
                panel = pack_panel(W + row * stride + gate.column * shape.n_units, 1, stride,
                                   shape.n_units, std::min(panel_width<T>, n_rows - row),
                                   panel_vectors<T>(row, n_rows), panel);
}

}  // namespace detail

// Rounds the matrices to what they can be stored as.
inline void round_weights(const LayerShape<float>& shape, Storage storage, float* parameters) {
    for (const Gate& gate : shape.gates()) {
        for (Index u = 0; u < shape.n_units; ++u) {
            float largest = 0.0f;
            detail::for_each_weight(shape, gate, u, parameters,
                                    [&](float& w) { largest = std::max(largest, std::abs(w)); });
            const float scale = scale_of(largest);
            detail::for_each_weight(shape, gate, u, parameters, [&](float& w) {
                if (storage == Storage::float16) w = to_float(to_half(w));
                if (storage == Storage::int8) w = float(to_int8(w, scale).q) * scale;
            });
        }
    }
}

template <class T>
inline void pack_weights(const LayerShape<T>& shape, const T* parameters, bool training,
                         PackedWeights<T>& weights) {
    weights.panels.resize(std::size_t(shape.total_depth() * shape.packed_width()));
    weights.bias.resize(std::size_t(shape.n_gates() * shape.packed_width()));
    detail::pack_panels(shape, parameters, weights);
    if (shape.layer_norm) detail::pack_gains(shape, parameters, weights);
    if constexpr (std::is_same_v<T, float>)
        if (weights.storage != Storage::full) detail::reduce_panels(shape, weights);
    if (!training) return;
    const T* const W_hh = parameters + shape.offsets.W_hh;
    if (shape.any_gate(takes_any_state))
        detail::pack_transposed(shape, W_hh, shape.n_units, takes_state, weights.state_transposed);
    if (shape.any_gate(takes_gated_state))
        detail::pack_transposed(shape, W_hh, shape.n_units, takes_gated_state,
                                weights.gated_transposed);
    const T* W_xh = parameters + shape.offsets.W_xh;
    for (std::size_t part = 0; part < shape.input_widths.size(); ++part) {
        const Index width = shape.input_widths[part];
        detail::pack_transposed(shape, W_xh, width, takes_input, weights.input_transposed[part]);
        W_xh += width * shape.row_stride();
    }
}

}  // namespace elman
