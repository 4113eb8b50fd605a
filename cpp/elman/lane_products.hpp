// The gradient of weights whose operand and dz both lie with a sequence in each lane.
//
//     sums[k, c, l] += sum x[k, s] dz[c, s]     over steps, and sequences s with s mod 16 = l
//     dW[k, c]       = sum_l sums[k, c, l]
//
// Nothing is broadcast and no lane is idle, whatever the number of units is. Lane l takes its
// sequences in one order, from the last step to the first and at each step from the last sequence
// to the first, and the 16 are added up by halves; so neither the register's width nor the thread
// changes a bit.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "elman/batch.hpp"
#include "elman/panel.hpp"
#include "elman/transpose.hpp"

namespace elman {

inline constexpr Index n_sum_lanes = 16;

// What one register holds of a step: columns of the operand and of dz, each `lanes` from the next.
template <class T>
struct LanePlace {
    const T* operand;
    const T* dz;
    Index lanes;
};

// Of each register of the 16 lanes, in the order in which they are summed.
template <class T>
using LanePlaces = std::array<std::vector<LanePlace<T>>, n_sum_lanes / Vec<T>::width>;

namespace detail {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int max_tile_operands = 6, max_tile_columns = 4;
#else
inline constexpr int max_tile_operands = 4, max_tile_columns = 3;
#endif

// Sums of some operands and columns, n_sum_lanes apart from column to column.
template <class T>
struct LaneTileArguments {
    const std::vector<LanePlace<T>>& places;
    Index first_operand, first_column;
    T* sums;
    Index operand_stride;
    bool begins;  // from zero
};

template <class T, int n_operands, int n_columns>
void lane_tile(const LaneTileArguments<T>& arguments) {
    using V = Vec<T>;
    T* const sums = arguments.sums;
    const Index operand_stride = arguments.operand_stride;
    V sum[n_operands][n_columns];
#pragma GCC unroll 16
    for (int k = 0; k < n_operands; ++k)
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c)
            sum[k][c] =
                arguments.begins ? V::zero() : V::load(sums + k * operand_stride + c * n_sum_lanes);
    for (const LanePlace<T>& place : arguments.places) {
        const T* const x = place.operand + arguments.first_operand * place.lanes;
        const T* const dz = place.dz + arguments.first_column * place.lanes;
        V right[n_columns];
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c) right[c] = V::load(dz + c * place.lanes);
#pragma GCC unroll 16
        for (int k = 0; k < n_operands; ++k) {
            const V left = V::load(x + k * place.lanes);
#pragma GCC unroll 16
            for (int c = 0; c < n_columns; ++c) sum[k][c] = fma(left, right[c], sum[k][c]);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < n_operands; ++k)
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c)
            sum[k][c].store(sums + k * operand_stride + c * n_sum_lanes);
}

template <class T>
struct LaneTiles {
    using Tile = void (*)(const LaneTileArguments<T>&);
    using ByColumns = std::array<Tile, max_tile_columns>;

    template <int n_operands, int... c>
    static constexpr ByColumns by_columns(std::integer_sequence<int, c...>) {
        return {&lane_tile<T, n_operands, c + 1>...};
    }
    template <int... k>
    static constexpr std::array<ByColumns, max_tile_operands> all(
        std::integer_sequence<int, k...>) {
        return {by_columns<k + 1>(std::make_integer_sequence<int, max_tile_columns>())...};
    }
    static Tile find(Index n_operands, Index n_columns) {
        static constexpr auto table = all(std::make_integer_sequence<int, max_tile_operands>());
        return table[std::size_t(n_operands - 1)][std::size_t(n_columns - 1)];
    }
};

inline Index n_tiles(Index n, Index largest) { return (n + largest - 1) / largest; }

}  // namespace detail

// Tiles of so many columns, of which a thread may take some.
inline Index n_column_tiles(Index n_columns) {
    return detail::n_tiles(n_columns, detail::max_tile_columns);
}
inline Range columns_of_tile(Index n_columns, Index tile) {
    return Range{0, n_columns}.part(tile, n_column_tiles(n_columns));
}

// Adds the products of some operands with the columns of some tiles, from zero on if it begins. Of
// the n_columns of an operand, sums begin with those of the first operand.
template <class T>
void add_lane_products(const LanePlaces<T>& places, Range operands, Index n_columns, Range tiles,
                       bool begins, T* sums) {
    const Index operand_stride = n_columns * n_sum_lanes;
    const Index n = detail::n_tiles(operands.size(), detail::max_tile_operands);
    for (Index i = 0; i < n; ++i) {
        const Range some = Range{0, operands.size()}.part(i, n);
        for (Index tile = tiles.begin; tile < tiles.end; ++tile) {
            const Range columns = columns_of_tile(n_columns, tile);
            T* const first = sums + some.begin * operand_stride + columns.begin * n_sum_lanes;
            const auto add = detail::LaneTiles<T>::find(some.size(), columns.size());
            for (std::size_t v = 0; v < places.size(); ++v)
                add({places[v], operands.begin + some.begin, columns.begin,
                     first + Index(v) * Vec<T>::width, operand_stride, begins});
        }
    }
}

// totals[c] of n columns' sums.
template <class T>
void add_up_lanes(const T* sums, Index n, T* totals) {
    using V = Vec<T>;
    for (Index c = 0; c < n; c += V::width) {
        V lanes[n_sum_lanes];
        const Index last = n - c - 1;
#pragma GCC unroll 16
        for (Index part = 0; part < n_sum_lanes; part += V::width)
            transpose_square<T>(
                [&](Index j) {
                    return V::load(sums + (c + std::min(j, last)) * n_sum_lanes + part);
                },
                [&](Index lane, const V& columns) { lanes[part + lane] = columns; });
#pragma GCC unroll 4
        for (Index half = n_sum_lanes / 2; half > 0; half /= 2)
#pragma GCC unroll 16
            for (Index lane = 0; lane < half; ++lane)
                lanes[lane] = lanes[lane] + lanes[lane + half];
        if (n - c >= V::width) {
            lanes[0].store(totals + c);
        } else {
            std::array<T, std::size_t(V::width)> some;
            lanes[0].store(some.data());
            std::copy_n(some.data(), n - c, totals + c);
        }
    }
}

}  // namespace elman
