// Between rows of sequences and sequences side by side.
//
//     rows      x[s, 0], x[s, 1], ...                 of each sequence s its columns
//     lanes     x[0, k], x[1, k], ..., x[lanes, k]    of each column k its sequences
//
// What is written beyond the columns and sequences there are is some of these again.
#pragma once

#include "elman/memory.hpp"

namespace elman {

namespace detail {

template <class Packet, int n>
void transpose_packets(Packet (&packets)[n]) {
    Eigen::internal::PacketBlock<Packet, n> block;
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) block.packet[i] = packets[i];
    Eigen::internal::ptranspose(block);
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) packets[i] = block.packet[i];
}

}  // namespace detail

// A square of as many rows as a register is wide: load(i) is row i, store(j, column) takes column
// j.
template <class T, class Load, class Store>
void transpose_square(const Load& load, const Store& store) {
    constexpr int width = Vec<T>::width;
    typename Vec<T>::Packet packets[width];
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) packets[i] = load(i).packet;
    detail::transpose_packets(packets);
#pragma GCC unroll 16
    for (int j = 0; j < width; ++j) store(j, Vec<T>(packets[j]));
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
