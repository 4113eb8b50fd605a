// Layer normalisation (Ba et al., 2016) of a gate's sums over the units of its layer, at each step:
//
//     z = g * s^ + b,    s^ = (s - mean(s)) / sqrt(var(s) + 1e-5),    s = x_t W_xh + h_{t-1} W_hh
//
// and backwards, with ds^ = g * dz,
//
//     ds = (ds^ - mean(ds^) - s^ mean(ds^ * s^)) / sqrt(var(s) + 1e-5),  dg = sum s^ * dz,  db =
//     sum dz
//
// Each gate's sum is normalised by itself; so is what the reset-after GRU keeps of the state alone.
#pragma once

#include <cmath>
#include <vector>

#include "elman/layer_gates.hpp"

namespace elman {

// Units [first, first + n) of one row, which lie in one block.
template <class T>
struct UnitsOfRow {
    T* data;
    Index first, n;
};

// The sum of value(block, i) over all units: unit u goes to lane u mod 8, whatever the width of a
// register, and of the blocks, is.
template <class T, class Value>
T sum_over_units(const std::vector<UnitsOfRow<T>>& row, const Value& value) {
    constexpr Index lanes = 8;
    T lane[lanes] = {};
    for (std::size_t block = 0; block < row.size(); ++block) {
        const Index n = row[block].n;
        for (Index i = 0; i < n;) {
            const Index begin = (row[block].first + i) % lanes;
            if (begin == 0 && i + lanes <= n) {
                for (Index k = 0; k < lanes; ++k) lane[k] += value(block, i + k);
                i += lanes;
            } else {
                lane[begin] += value(block, i);
                ++i;
            }
        }
    }
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// Turns the sums s of a row into z; normalized, unless empty, gets s^. Returns 1 / sqrt(var + e).
template <class T>
T normalize(const std::vector<UnitsOfRow<T>>& sums, const std::vector<UnitsOfRow<T>>& normalized,
            Index n_units, const T* gain, const T* shift) {
    const T mean =
        sum_over_units(sums, [&](std::size_t b, Index i) { return sums[b].data[i]; }) / T(n_units);
    const T variance = sum_over_units(sums,
                                      [&](std::size_t b, Index i) {
                                          const T centred = sums[b].data[i] - mean;
                                          return centred * centred;
                                      }) /
                       T(n_units);
    const T scale = T(1) / std::sqrt(variance + T(1e-5));
    for (std::size_t b = 0; b < sums.size(); ++b)
        for (Index i = 0; i < sums[b].n; ++i) {
            T& s = sums[b].data[i];
            s = (s - mean) * scale;
            if (!normalized.empty()) normalized[b].data[i] = s;
            s = gain[sums[b].first + i] * s + shift[sums[b].first + i];
        }
    return scale;
}

// Turns dL/dz of a row into dL/ds.
template <class T>
void normalize_backward(const std::vector<UnitsOfRow<T>>& dz,
                        const std::vector<UnitsOfRow<T>>& normalized, Index n_units, const T* gain,
                        T scale) {
    for (const UnitsOfRow<T>& units : dz)
        for (Index i = 0; i < units.n; ++i) units.data[i] *= gain[units.first + i];
    const T mean =
        sum_over_units(dz, [&](std::size_t b, Index i) { return dz[b].data[i]; }) / T(n_units);
    const T along =
        sum_over_units(
            dz, [&](std::size_t b, Index i) { return dz[b].data[i] * normalized[b].data[i]; }) /
        T(n_units);
    for (std::size_t b = 0; b < dz.size(); ++b)
        for (Index i = 0; i < dz[b].n; ++i)
            dz[b].data[i] = (dz[b].data[i] - mean - normalized[b].data[i] * along) * scale;
}

// A row of one gate in what is laid out as the gates.
template <class T>
inline void units_of_row(const LayerShape<T>& shape, T* like_gates, int gate, Index row,
                         Tape<T>& tape, std::vector<UnitsOfRow<T>>& units) {
    units.clear();
    GateRows<T> rows = gate_rows(shape, tape);
    rows.data = like_gates;
    shape.for_each_block([&](Index block) {
        units.push_back({rows.of(block, gate) + row * rows.stride(shape, block),
                         block * panel_width<T>, shape.units_in(block)});
    });
}

template <class T>
inline void resize_normalized(const LayerShape<T>& shape, Index rows, Tape<T>& tape) {
    for (Array<T>* like_gates : {&tape.normalized, &tape.dz})
        make_room(*like_gates, checked_multiply(shape.n_gates(), tape.gate_stride));
    make_room(tape.scales, rows * shape.n_gates());
    tape.gain_sums.resize(std::size_t(2 * shape.n_gates() * shape.packed_width()));
}

template <class T>
inline void normalize_gates(const LayerShape<T>& shape, const StepRows& rows, int phase,
                            const PackedWeights<T>& weights, Tape<T>& tape) {
    // Kept from one step to the next, which would else begin with allocating them.
    static thread_local std::vector<UnitsOfRow<T>> sums, normalized;
    normalized.clear();
    for (int g = 0; g < shape.n_gates(); ++g) {
        if (shape.gate(g).phase != phase) continue;
        const Index place = g * shape.packed_width();
        for (Index r = 0; r < rows.size; ++r) {
            const Index row = gate_row(rows, tape) + r;
            units_of_row(shape, tape.gates.data(), g, row, tape, sums);
            if (tape.training)
                units_of_row(shape, tape.normalized.data(), g, row, tape, normalized);
            const T scale = normalize(sums, normalized, shape.n_units, weights.gain.data() + place,
                                      weights.shift.data() + place);
            if (tape.training) tape.scales[std::size_t(row * shape.n_gates() + g)] = scale;
        }
    }
}

// From dL/dz, which is kept for the gradient of gains, to dL/ds.
template <class T>
inline void normalize_gates_backward(const LayerShape<T>& shape, const StepRows& rows, int phase,
                                     const PackedWeights<T>& weights, Tape<T>& tape) {
    std::vector<UnitsOfRow<T>> ds, dz, normalized;
    for (int g = 0; g < shape.n_gates(); ++g) {
        if (shape.gate(g).phase != phase) continue;
        for (Index row = rows.row; row < rows.row + rows.size; ++row) {
            units_of_row(shape, tape.gates.data(), g, row, tape, ds);
            units_of_row(shape, tape.dz.data(), g, row, tape, dz);
            units_of_row(shape, tape.normalized.data(), g, row, tape, normalized);
            for (std::size_t b = 0; b < ds.size(); ++b)
                std::copy_n(ds[b].data, ds[b].n, dz[b].data);
            normalize_backward(ds, normalized, shape.n_units,
                               weights.gain.data() + g * shape.packed_width(),
                               tape.scales[std::size_t(row * shape.n_gates() + g)]);
        }
    }
}

// Sums over the rows, from the last to the first: dg, and behind all of them db.
template <class T>
inline void add_gain_gradients(const LayerShape<T>& shape, Range blocks, Index n_rows, Pass pass,
                               Tape<T>& tape) {
    for (int g = 0; g < shape.n_gates(); ++g) {
        for (Index block = blocks.begin; block < blocks.end; ++block) {
            const Index width = shape.block_width(block), n = shape.units_in(block);
            const Index place = g * tape.gate_stride + block * tape.block_stride;
            T* const dg = tape.gain_sums.data() + g * shape.packed_width() + block * panel_width<T>;
            T* const db = dg + shape.n_gates() * shape.packed_width();
            if (pass.begins) std::fill_n(dg, n, T(0));
            if (pass.begins) std::fill_n(db, n, T(0));
            for (Index row = n_rows - 1; row >= 0; --row) {
                const T* const dz = tape.dz.data() + place + row * width;
                const T* const normalized = tape.normalized.data() + place + row * width;
                for (Index u = 0; u < n; ++u) {
                    dg[u] += normalized[u] * dz[u];
                    db[u] += dz[u];
                }
            }
        }
    }
}
template <class T>
inline void write_gain_gradients(const LayerShape<T>& shape, Range blocks, const Tape<T>& tape,
                                 T* gradient) {
    for (int g = 0; g < shape.n_gates(); ++g)
        for (Index block = blocks.begin; block < blocks.end; ++block) {
            const Gate& gate = shape.gate(g);
            const Index column = block * panel_width<T>, n = shape.units_in(block);
            const T* const dg = tape.gain_sums.data() + g * shape.packed_width() + column;
            std::copy_n(dg, n, gradient + shape.place_of_gain(gate) + column);
            std::copy_n(dg + shape.n_gates() * shape.packed_width(), n,
                        gradient + shape.place_of_bias(gate) + column);
        }
}

}  // namespace elman
