// Weights to start from.
//
//     W_xh, head.W: uniform in +-sqrt(6 / (n_in + n_out))             (Glorot & Bengio, 2010)
//     W_hh:         a random orthogonal matrix for each gate          (Saxe et al., 2014)
//     embedding:    normal, standard deviation 0.1;   decay.W_h as W_xh, decay.w_x 0.1
//     biases:       zero; the LSTM's forget gate one                  (Jozefowicz et al., 2015)
//
// Orthogonalisation is modified Gram-Schmidt in double, with its sums in one fixed order: a
// blocked QR would give other bits for other cache sizes.
#pragma once

#include <algorithm>
#include <vector>

#include "elman/random.hpp"
#include "elman/threads.hpp"

namespace elman {

template <class T>
void initialize_glorot(std::uint64_t key, Index n_in, Index n_out, Index n_elements, T* weights) {
    const double limit = std::sqrt(6.0 / double(n_in + n_out));
    for (Index i = 0; i < n_elements; ++i)
        weights[i] = T(limit * (2.0 * random_uniform(key, std::uint64_t(i)) - 1.0));
}

template <class T>
void initialize_normal(std::uint64_t key, Index n_elements, T* weights) {
    constexpr double standard_deviation = 0.1;
    for (Index i = 0; i < n_elements; ++i)
        weights[i] = T(standard_deviation * random_normal(key, std::uint64_t(i)));
}

inline double dot(const double* a, const double* b, Index n) {
    constexpr Index lanes = 8;
    double sum[lanes] = {};
    Index i = 0;
    for (; i + lanes <= n; i += lanes)
        for (Index lane = 0; lane < lanes; ++lane) sum[lane] += a[i + lane] * b[i + lane];
    for (Index lane = 0; i < n; ++i, ++lane) sum[lane] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

// Makes the n rows of q orthonormal. Rows go in blocks, so that an earlier row is read once for
// all of a block's; each row still meets the earlier ones in their order.
inline void orthonormalize(std::vector<double>& q, Index n, Control& control) {
    constexpr Index rows_in_block = 16;
    const auto subtract_projection = [&](Index j, Index k) {
        double* const row = q.data() + j * n;
        const double* const other = q.data() + k * n;
        const double projection = dot(row, other, n);
        for (Index i = 0; i < n; ++i) row[i] -= projection * other[i];
    };
    for (Index first = 0; first < n; first += rows_in_block) {
        const Index end = std::min(first + rows_in_block, n);
        for (Index k = 0; k < first; ++k) {
            for (Index j = first; j < end; ++j) subtract_projection(j, k);
            control.poll(4 * n * rows_in_block);
        }
        for (Index j = first; j < end; ++j) {
            for (Index k = first; k < j; ++k) subtract_projection(j, k);
            double* const row = q.data() + j * n;
            const double length = std::sqrt(dot(row, row, n));
            for (Index i = 0; i < n; ++i) row[i] /= length;
        }
    }
}

// weights[i * row_stride + j] for an n x n orthogonal matrix.
template <class T>
void initialize_orthogonal(std::uint64_t key, Index n, Index row_stride, T* weights,
                           Control& control) {
    std::vector<double> columns(static_cast<std::size_t>(n * n));
    for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < n; ++j)
            columns[std::size_t(j * n + i)] = random_normal(key, std::uint64_t(i * n + j));
        control.poll(30 * n);
    }
    orthonormalize(columns, n, control);
    for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j)
            weights[i * row_stride + j] = T(columns[std::size_t(j * n + i)]);
}

}  // namespace elman
