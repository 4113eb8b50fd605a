// Missing values that fade (GRU-D: Che et al., 2018, equations 3 to 10).
//
// With the mask m_t (1 where channel x_t is there), the steps d_t since it last was, its last value
// x' and its mean over the training data:
//
//     d_t   = 1 + (1 - m_{t-1}) d_{t-1},   d_1 = 0
//     g_x   = exp(-max(0, w_x * d_t + b_x))             g_h = exp(-max(0, d_t W_h + b_h))
//     x_t  <- m_t * x_t + (1 - m_t) * (g_x * x' + (1 - g_x) * mean)
//     h_{t-1} <- g_h * h_{t-1}                          in the first layer
//
// The network reads [x_t, m_t], and d and x' are states that go on from one call to the next, as h
// does. Backwards, with a the argument of max and dg = dL/dg:
//
//     da = -g * dg where a > 0,     dg_x = dL/dx_t * (x' - mean) where m_t = 0
//
// and a value that is there also has the gradient, times g_x, of all those that it stands in for.
#pragma once

#include <cmath>

#include "elman/tape.hpp"

namespace elman {

// Where the parameters begin in the flat vector.
struct DecayOffsets {
    Index mean, w_x, b_x, W_h, b_h;
};

// By row of the batch.
template <class T>
struct DecayRows {
    Matrix<T> since, last;  // d_t, and x'
    Matrix<T> g_x, g_h, dg_h;
    // By sequence: x' and d of the step that comes next. Nothing has been seen before if it starts.
    Matrix<T> observed;
    bool starts = true;
};

template <class T>
class Decay {
public:
    // add(name, shape) adds a parameter and returns where it begins in the flat vector.
    template <class Add>
    Decay(Index n_channels, Index n_units, const Add& add)
        : n_channels_(n_channels),
          n_units_(n_units),
          offsets_{add("decay.mean", {n_channels}), add("decay.w_x", {n_channels}),
                   add("decay.b_x", {n_channels}), add("decay.W_h", {n_channels, n_units}),
                   add("decay.b_h", {n_units})} {}

    Index n_units() const { return n_units_; }
    // Of what is known of a sequence's channels: their last values, and the steps since.
    Index state_size() const { return 2 * n_channels_; }
    void start(const T* parameters, T* observed) const {
        std::copy_n(parameters + offsets_.mean, n_channels_, observed);
        std::fill_n(observed + n_channels_, n_channels_, T(0));
    }

    void resize(Index n_rows, Index n_sequences, bool training, DecayRows<T>& rows) const {
        rows.observed.resize(n_sequences, state_size());
        rows.since.resize(n_rows, n_channels_);
        rows.last.resize(n_rows, n_channels_);
        rows.g_x.resize(n_rows, n_channels_);
        rows.g_h.resize(n_rows, n_units_);
        if (training) rows.dg_h.resize(n_rows, n_units_);
    }

    // From the values in the first columns of x to what the network reads.
    void forward(const T* parameters, const Batch& batch, Index s, DecayRows<T>& rows,
                 const Rows<T>& x) const {
        const T* const mean = parameters + offsets_.mean;
        T* const observed = rows.observed.row(s);
        if (rows.starts) start(parameters, observed);
        for (Index c = 0; c < n_channels_; ++c) {
            T &last = observed[c], &since = observed[n_channels_ + c];
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t) {
                const Index row = batch.row(t, s);
                T& value = x.row(row)[c];
                const bool is_there = value == value;
                const T g =
                    fading(parameters[offsets_.w_x + c] * since + parameters[offsets_.b_x + c]);
                rows.since.row(row)[c] = since;
                rows.last.row(row)[c] = last;
                rows.g_x.row(row)[c] = g;
                x.row(row)[n_channels_ + c] = T(is_there);
                if (is_there)
                    last = value;
                else
                    value = mean[c] + g * (last - mean[c]);
                since = is_there ? T(1) : since + T(1);
            }
        }
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
            fade_states(parameters, batch.row(t, s), rows);
    }

    // In place, from dL/dx_t of the values that the network reads of a sequence to that of the
    // values that are there; of those that are missing it becomes zero.
    void backward(const Batch& batch, Index s, const DecayRows<T>& rows, const Rows<const T>& x,
                  T* dvalues) const {
        for (Index c = 0; c < n_channels_; ++c) {
            T of_later = T(0);
            for (Index t = batch.length[std::size_t(s)] - 1; t >= 0; --t) {
                const Index row = batch.row(t, s);
                T& d = dvalues[t * n_channels_ + c];
                const bool is_there = x.row(row)[n_channels_ + c] != T(0);
                of_later += is_there ? d : rows.g_x.row(row)[c] * d;
                d = is_there ? of_later : T(0);
                if (is_there) of_later = T(0);
            }
        }
    }

    // Of some units, and of the channels with the first ones; sums run from the last row to the
    // first. x and dx are as the network reads them.
    void gradient(Range units, Index n_rows, Pass pass, const T* parameters,
                  const DecayRows<T>& rows, const Rows<const T>& x, const Rows<const T>& dx,
                  T* gradient) const {
        if (units.size() == 0) return;
        if (pass.begins) clear(units, gradient);
        for (Index row = n_rows - 1; row >= 0; --row) {
            if (units.begin == 0)
                add_channels(row, parameters + offsets_.mean, rows, x, dx, gradient);
            const T* const since = rows.since.row(row);
            for (Index u = units.begin; u < units.end; ++u) {
                const T g = rows.g_h.row(row)[u];
                if (!(g < T(1))) continue;
                const T da = T(0) - g * rows.dg_h.row(row)[u];
                gradient[offsets_.b_h + u] += da;
                for (Index c = 0; c < n_channels_; ++c)
                    gradient[offsets_.W_h + c * n_units_ + u] += since[c] * da;
            }
        }
    }

private:
    static T fading(T a) { return a > T(0) ? exp(Vec<T>(T(0) - a)).first() : T(1); }

    void fade_states(const T* parameters, Index row, DecayRows<T>& rows) const {
        const T* const since = rows.since.row(row);
        T* const g = rows.g_h.row(row);
        std::copy_n(parameters + offsets_.b_h, n_units_, g);
        for (Index c = 0; c < n_channels_; ++c) {
            const T* const W = parameters + offsets_.W_h + c * n_units_;
            for (Index u = 0; u < n_units_; ++u) g[u] += since[c] * W[u];
        }
        for (Index u = 0; u < n_units_; ++u) g[u] = fading(g[u]);
    }

    void clear(Range units, T* gradient) const {
        if (units.begin == 0)
            for (const Index offset : {offsets_.mean, offsets_.w_x, offsets_.b_x})
                std::fill_n(gradient + offset, n_channels_, T(0));
        std::fill_n(gradient + offsets_.b_h + units.begin, units.size(), T(0));
        for (Index c = 0; c < n_channels_; ++c)
            std::fill_n(gradient + offsets_.W_h + c * n_units_ + units.begin, units.size(), T(0));
    }

    // The mean is told by the data, and has no gradient.
    void add_channels(Index row, const T* mean, const DecayRows<T>& rows, const Rows<const T>& x,
                      const Rows<const T>& dx, T* gradient) const {
        for (Index c = 0; c < n_channels_; ++c) {
            const T g = rows.g_x.row(row)[c];
            if (x.row(row)[n_channels_ + c] != T(0) || !(g < T(1))) continue;
            const T da = T(0) - g * (dx.row(row)[c] * (rows.last.row(row)[c] - mean[c]));
            gradient[offsets_.w_x + c] += rows.since.row(row)[c] * da;
            gradient[offsets_.b_x + c] += da;
        }
    }

    Index n_channels_, n_units_;
    DecayOffsets offsets_;
};

}  // namespace elman
