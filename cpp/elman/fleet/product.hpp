// Products of matrices whose elements are registers: a lane is a network that has its own matrices.
//
//     out[r, c] = start[r, c] + sum_k a[r, k] b[k, c]
//
// k runs upwards, one FMA a term, as in panel.hpp: so each lane has the bits of its own product.
// Nothing is packed, since every element is a register already, but matrices that are transposed.
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
    const T* data;
    Index row_stride;
    Index column_stride;

    const T* at(Index row, Index column) const {
        return data + (row * row_stride + column * column_stride) * Vec<T>::width;
    }
};

// One whose columns lie side by side. Without data it is zero.
template <class T>
struct Block {
    T* data = nullptr;
    Index row_stride = 0;

    operator Block<const T>() const { return {data, row_stride}; }
};

template <class T>
Grid<T> zeros() {
    return {detail::zero<T>.data(), 0, 0};
}
template <class T>
Grid<T> ones() {
    return {detail::one<T>.data(), 0, 0};
}

namespace detail {

// Strides in elements.
struct Strides {
    Index depth;
    Index a_row, a_column, b_row, start_row, out_row;
};

template <class T, int n_rows, int n_columns>
void tile(const Strides& of, const T* a, const T* b, const T* start, T* out) {
    using V = Vec<T>;
    V sum[n_rows][n_columns];
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c)
            sum[r][c] =
                start == nullptr ? V::zero() : V::load(start + r * of.start_row + c * V::width);
    const Index a_row = of.a_row, a_column = of.a_column, b_row = of.b_row;
    for (Index k = of.depth; k > 0; --k, a += a_column, b += b_row) {
        V right[n_columns];
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c) right[c] = V::load(b + c * V::width);
#pragma GCC unroll 16
        for (int r = 0; r < n_rows; ++r) {
            const V left = V::load(a + r * a_row);
#pragma GCC unroll 16
            for (int c = 0; c < n_columns; ++c) sum[r][c] = fma(left, right[c], sum[r][c]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 16
        for (int c = 0; c < n_columns; ++c) sum[r][c].store(out + r * of.out_row + c * V::width);
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
void multiply_rows(const Strides& of, Index n_left, const T* a, const T* b, const T* start,
                   T* out) {
    constexpr Index width = n_columns * Vec<T>::width;
    for (; n_left >= n_columns; n_left -= n_columns, b += width, out += width) {
        tile<T, n_rows, n_columns>(of, a, b, start, out);
        if (start != nullptr) start += width;
    }
    if constexpr (n_columns > 1)
        if (n_left > 0) multiply_rows<T, n_rows, n_columns / 2>(of, n_left, a, b, start, out);
}

template <class T, int n_rows>
void multiply_from(const Strides& of, Index n_left, Index n_columns, const T* a, const T* b,
                   const T* start, T* out) {
    for (; n_left >= n_rows; n_left -= n_rows) {
        multiply_rows<T, n_rows, n_sums / n_rows>(of, n_columns, a, b, start, out);
        a += n_rows * of.a_row;
        if (start != nullptr) start += n_rows * of.start_row;
        out += n_rows * of.out_row;
    }
    if constexpr (n_rows > 1)
        if (n_left > 0) multiply_from<T, n_rows / 2>(of, n_left, n_columns, a, b, start, out);
}

}  // namespace detail

// start may be out itself.
template <class T>
void multiply(Index n_rows, Index n_columns, Index depth, const Grid<T>& a, const T* b,
              Index b_stride, const Block<const T>& start, const Block<T>& out) {
    constexpr Index width = Vec<T>::width;
    const detail::Strides of{depth,
                             a.row_stride * width,
                             a.column_stride * width,
                             b_stride * width,
                             start.row_stride * width,
                             out.row_stride * width};
    if (n_rows == 1)
        detail::multiply_rows<T, 1, detail::n_sums>(of, n_columns, a.data, b, start.data, out.data);
    else
        detail::multiply_from<T, 4>(of, n_rows, n_columns, a.data, b, start.data, out.data);
}

// The n_columns columns of a matrix as rows that lie one after another, of n_rows registers each;
// returns the end.
template <class T>
T* transpose(const T* from, Index n_rows, Index n_columns, Index row_stride, T* to) {
    using V = Vec<T>;
    for (Index c = 0; c < n_columns; ++c)
        for (Index r = 0; r < n_rows; ++r, to += V::width)
            V::load(from + (r * row_stride + c) * V::width).store(to);
    return to;
}

}  // namespace elman::fleet
