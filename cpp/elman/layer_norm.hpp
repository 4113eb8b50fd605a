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

#include "elman/memory.hpp"

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

}  // namespace elman
