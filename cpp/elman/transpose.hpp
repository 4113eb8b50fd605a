// Between rows of sequences and sequences side by side.
//
//     rows      x[s, 0], x[s, 1], ...                 of each sequence s its columns
//     lanes     x[0, k], x[1, k], ..., x[lanes, k]    of each column k its sequences
//
// What is written beyond the columns and sequences there are is some of these again.
#pragma once

#include <cstring>
#include <utility>

#include "elman/memory.hpp"

namespace elman {

namespace detail {

#if defined(__GNUC__)

// What a square of rows is turned into columns by: the lanes of two rows i and i + d whose numbers
// have the bit d, and have it not, change places. Every width has instructions for that.
template <int d, class Row, int... lane>
[[gnu::always_inline]] inline void exchange(Row& a, Row& b, std::integer_sequence<int, lane...>) {
    constexpr int width = sizeof...(lane);
    const Row low = __builtin_shufflevector(a, b, ((lane & d) != 0 ? width + lane - d : lane)...);
    b = __builtin_shufflevector(a, b, ((lane & d) != 0 ? width + lane : lane + d)...);
    a = low;
}

template <int d, class Row, int width>
[[gnu::always_inline]] inline void exchange_all(Row (&rows)[width]) {
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i)
        if ((i & d) == 0)
            exchange<d>(rows[i], rows[i + d], std::make_integer_sequence<int, width>());
    if constexpr (d > 1) exchange_all<d / 2>(rows);
}

template <class T, int width>
[[gnu::always_inline]] inline void transpose(Vec<T> (&vectors)[width]) {
    typedef T Row __attribute__((vector_size(sizeof(T) * width)));
    Row rows[width];
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) std::memcpy(&rows[i], &vectors[i].packet, sizeof rows[i]);
    exchange_all<width / 2>(rows);
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) std::memcpy(&vectors[i].packet, &rows[i], sizeof rows[i]);
}

#else

template <class T, int width>
void transpose(Vec<T> (&vectors)[width]) {
    Eigen::internal::PacketBlock<typename Vec<T>::Packet, width> block;
    for (int i = 0; i < width; ++i) block.packet[i] = vectors[i].packet;
    Eigen::internal::ptranspose(block);
    for (int i = 0; i < width; ++i) vectors[i].packet = block.packet[i];
}

#endif

}  // namespace detail

// A square of as many rows as a register is wide: load(i) is row i, store(j, column) takes column
// j.
template <class T, class Load, class Store>
[[gnu::always_inline]] inline void transpose_square(const Load& load, const Store& store) {
    constexpr int width = Vec<T>::width;
    Vec<T> vectors[width];
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) vectors[i] = load(i);
    detail::transpose(vectors);
#pragma GCC unroll 16
    for (int j = 0; j < width; ++j) store(j, vectors[j]);
}

template <class T>
bool has_whole_registers(const Rows<T>& rows) {
    constexpr Index width = Vec<std::remove_const_t<T>>::width;
    return rows.stride >= (rows.width + width - 1) / width * width;
}

template <class T>
void rows_to_lanes(const Rows<const T>& rows, Index n_rows, T* to, Index lanes) {
    using V = Vec<T>;
    if (!has_whole_registers(rows)) {
        for (Index k = 0; k < rows.width; ++k)
            for (Index s = 0; s < n_rows; ++s) to[k * lanes + s] = rows.row(s)[k];
        return;
    }
    for (Index s = 0; s < n_rows; s += V::width)
        for (Index k = 0; k < rows.width; k += V::width)
            transpose_square<T>(
                [&](Index i) { return V::load(rows.row(std::min(s + i, n_rows - 1)) + k); },
                [&](Index j, const V& column) {
                    if (k + j < rows.width) column.store(to + (k + j) * lanes + s);
                });
}

template <class T>
void lanes_to_rows(const T* from, Index lanes, Index n_rows, const Rows<T>& rows) {
    using V = Vec<T>;
    if (!has_whole_registers(rows)) {
        for (Index k = 0; k < rows.width; ++k)
            for (Index s = 0; s < n_rows; ++s) rows.row(s)[k] = from[k * lanes + s];
        return;
    }
    for (Index s = 0; s < n_rows; s += V::width)
        for (Index k = 0; k < rows.width; k += V::width)
            transpose_square<T>(
                [&](Index i) {
                    return V::load(from + std::min(k + i, rows.width - 1) * lanes + s);
                },
                [&](Index j, const V& row) {
                    if (s + j < n_rows) row.store(rows.row(s + j) + k);
                });
}

}  // namespace elman
