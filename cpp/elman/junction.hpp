// What stands behind a layer: its directions f and r become one vector, the layer's input x is
// added, dropout takes its share.
//
//     concat  y = [f, r]      sum  y = f + r      mean  y = (f + r) / 2      mul  y = f * r
//     residual (He et al., 2016)                  y <- y + x
//     dropout                                     y <- mask * y
//
// A vector has parts as wide as the layer, so that two directions side by side need no copy.
#pragma once

#include <stdexcept>
#include <string>

#include "elman/tape.hpp"

namespace elman {

enum class Merge { concat, sum, mean, mul };

inline Merge merge_of(const std::string& name) {
    static constexpr const char* names[] = {"concat", "sum", "mean", "mul"};
    for (int i = 0; i < int(std::size(names)); ++i)
        if (name == names[i]) return Merge(i);
    throw std::invalid_argument("elman: there is no merge_mode '" + name + "'");
}

// The row of each direction's state, and that of the vector that they become: the same at each
// step, but not of the last states of a sequence.
struct JunctionRows {
    std::array<Index, 2> state;
    Index output;
};

template <class T>
class Junction {
public:
    Junction(Merge merge, Index n_directions, Index n_units, bool residual)
        : merge_(n_directions == 1 ? Merge::concat : merge),
          n_directions_(n_directions),
          n_units_(n_units),
          residual_(residual) {}

    Index n_parts() const { return merge_ == Merge::concat ? n_directions_ : 1; }
    Index n_units() const { return n_units_; }
    Index width() const { return n_parts() * n_units_; }
    bool is_residual() const { return residual_; }
    // Whether the states are the vector as they are.
    bool is_plain() const { return merge_ == Merge::concat && !residual_; }

    // masks has no parts without dropout.
    void forward(const JunctionRows& rows, const Features<T>& states,
                 const Features<const T>& inputs, const Features<T>& masks,
                 const Features<T>& outputs) const {
        for (Index p = 0; p < n_parts(); ++p) {
            T* const y = outputs[p].row(rows.output);
            merge(rows, states, p, y);
            if (residual_)
                for_each_span(inputs, p, [&](Index part, Index from, Index to, Index n) {
                    const T* const x = inputs[part].row(rows.state[std::size_t(p)]) + from;
                    for (Index j = 0; j < n; ++j) y[to + j] += x[j];
                });
            if (masks.n_parts > 0) multiply_rows(y, masks[p].row(rows.output), n_units_, y);
        }
    }

    // From dL/dy, which is masked on the way, to the states'; dstates has rows of its own.
    void backward(const JunctionRows& rows, const Features<T>& states, const Features<T>& masks,
                  const Features<T>& doutputs, const JunctionRows& drows,
                  const Features<T>& dstates) const {
        for (Index p = 0; p < n_parts(); ++p) {
            T* const dy = doutputs[p].row(rows.output);
            if (masks.n_parts > 0) multiply_rows(dy, masks[p].row(rows.output), n_units_, dy);
            if (merge_ == Merge::concat)
                std::copy_n(dy, n_units_, dstates[p].row(drows.state[std::size_t(p)]));
        }
        if (merge_ == Merge::concat) return;
        const T* const dy = doutputs[0].row(rows.output);
        for (Index d = 0; d < 2; ++d) {
            const T* const other = states[1 - d].row(rows.state[std::size_t(1 - d)]);
            T* const to = dstates[d].row(drows.state[std::size_t(d)]);
            for (Index j = 0; j < n_units_; ++j)
                to[j] = merge_ == Merge::sum    ? dy[j]
                        : merge_ == Merge::mean ? T(0.5) * dy[j]
                                                : dy[j] * other[j];
        }
    }

    // What goes past the layer to its inputs; doutputs as backward leaves them.
    void add_to_inputs(const JunctionRows& rows, const Features<T>& doutputs,
                       const Features<T>& dinputs) const {
        for (Index p = 0; p < n_parts(); ++p)
            for_each_span(dinputs, p, [&](Index part, Index from, Index to, Index n) {
                T* const dx = dinputs[part].row(rows.state[std::size_t(p)]) + from;
                const T* const dy = doutputs[p].row(rows.output) + to;
                for (Index j = 0; j < n; ++j) dx[j] += dy[j];
            });
    }

private:
    void merge(const JunctionRows& rows, const Features<T>& states, Index p, T* y) const {
        const T* const f = states[p].row(rows.state[std::size_t(p)]);
        if (merge_ == Merge::concat) {
            std::copy_n(f, n_units_, y);
            return;
        }
        const T* const r = states[1].row(rows.state[1]);
        for (Index j = 0; j < n_units_; ++j)
            y[j] = merge_ == Merge::sum    ? f[j] + r[j]
                   : merge_ == Merge::mean ? T(0.5) * (f[j] + r[j])
                                           : f[j] * r[j];
    }

    // Calls function(part of the inputs, first column there, first column of output part p, n)
    // for the columns that the two share.
    template <class U, class Function>
    void for_each_span(const Features<U>& inputs, Index p, const Function& function) const {
        Index first = 0;
        for (Index part = 0; part < inputs.n_parts; first += inputs[part].width, ++part) {
            const Index begin = std::max(first, p * n_units_);
            const Index end = std::min(first + inputs[part].width, (p + 1) * n_units_);
            if (begin < end) function(part, begin - first, begin - p * n_units_, end - begin);
        }
    }

    Merge merge_;
    Index n_directions_, n_units_;
    bool residual_;
};

}  // namespace elman
