// Products of matrices whose elements are registers: a lane is a network that has its own matrices.
//
//     out[r, c] = start[r, c] + sum_k a[r, k] b[k, c]
//
// k runs upwards, one FMA a term, as in panel.hpp: so each lane has the bits of its own product.
// Nothing is packed, since every element is a register already; a transposed matrix, or one read
// backwards, is a matter of strides.
#pragma once

#include <algorithm>
#include <array>

#include "elman/memory.hpp"

namespace elman::fleet {

template <class T>
inline constexpr Index n_lanes = Vec<T>::width;

namespace detail {

template <class T>
constexpr std::array<T, std::size_t(n_lanes<T>)> filled_with(T value) {
    std::array<T, std::size_t(n_lanes<T>)> filled{};
    for (T& element : filled) element = value;
    return filled;
}
template <class T>
inline constexpr auto zero = filled_with(T(0));
template <class T>
inline constexpr auto one = filled_with(T(1));

}  // namespace detail

// Where the elements of a matrix lie; strides are counted in registers.
template <class T>
struct Grid {
    T* data;
    Index row_stride;
    Index column_stride;

    T* at(Index row, Index column) const {
        return data + (row * row_stride + column * column_stride) * Vec<T>::width;
    }
    Grid from(Index row, Index column) const {
        return {at(row, column), row_stride, column_stride};
    }
    operator Grid<const T>() const { return {data, row_stride, column_stride}; }
};

template <class T>
Grid<const T> zeros() {
    return {detail::zero<T>.data(), 0, 0};
}
template <class T>
Grid<const T> ones() {
    return {detail::one<T>.data(), 0, 0};
}

namespace detail {

template <class T>
struct Operands {
    Index depth;
    Grid<const T> a, b, start;
    Grid<T> out;
};

template <class T, int n_rows, int n_columns>
void tile(const Operands<T>& of) {
    using V = Vec<T>;
    const Index a_row = of.a.row_stride * V::width, a_step = of.a.column_stride * V::width;
    const Index b_column = of.b.column_stride * V::width, b_step = of.b.row_stride * V::width;
    const T *a = of.a.data, *b = of.b.data;
    V sum[n_rows][n_columns];
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; ++c) sum[r][c] = V::load(of.start.at(r, c));
    for (Index k = 0; k < of.depth; ++k, a += a_step, b += b_step) {
        V right[n_columns];
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; ++c) right[c] = V::load(b + c * b_column);
#pragma GCC unroll 8
        for (int r = 0; r < n_rows; ++r) {
            const V left = V::load(a + r * a_row);
#pragma GCC unroll 8
            for (int c = 0; c < n_columns; ++c) sum[r][c] = fma(left, right[c], sum[r][c]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < n_columns; ++c) sum[r][c].store(of.out.at(r, c));
}

// Sums that a tile keeps in registers: eight fill two FMA ports with a latency of four cycles, and
// with 32 registers sixteen need fewer loads each.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int n_sums = 16;
#else
inline constexpr int n_sums = 8;
#endif

// All columns of n_rows rows, in tiles that are wide first.
template <class T, int n_rows, int n_columns>
void multiply_rows(Operands<T> of, Index n_left) {
    for (; n_left >= n_columns; n_left -= n_columns) {
        tile<T, n_rows, n_columns>(of);
        of.b = of.b.from(0, n_columns);
        of.start = of.start.from(0, n_columns);
        of.out = of.out.from(0, n_columns);
    }
    if constexpr (n_columns > 1)
        if (n_left > 0) multiply_rows<T, n_rows, n_columns / 2>(of, n_left);
}

template <class T, int n_rows>
void multiply_from(Operands<T> of, Index n_left, Index n_columns) {
    constexpr int widest = std::min(8, n_sums / n_rows);
    for (; n_left >= n_rows; n_left -= n_rows) {
        multiply_rows<T, n_rows, widest>(of, n_columns);
        of.a = of.a.from(n_rows, 0);
        of.start = of.start.from(n_rows, 0);
        of.out = of.out.from(n_rows, 0);
    }
    if constexpr (n_rows > 1)
        if (n_left > 0) multiply_from<T, n_rows / 2>(of, n_left, n_columns);
}

}  // namespace detail

// start may be out itself.
template <class T>
void multiply(Index n_rows, Index n_columns, Index depth, const Grid<const T>& a,
              const Grid<const T>& b, const Grid<const T>& start, const Grid<T>& out) {
    detail::multiply_from<T, 4>({depth, a, b, start, out}, n_rows, n_columns);
}

}  // namespace elman::fleet
