// What a cell carries beside h_t: c_t, and the memo that its backward step wants back (the LSTM's
// tanh(c_t)).
//
// Both follow from the activations, which a training keeps of every step. So these are kept of one
// segment of steps, and c_t at the end of each segment, from which the backward pass makes the
// segment before anew, to the bit:
//
//     steps       | segment 0     | segment 1     | segment 2     |
//     end_of      |               c               c               c
//     c, memo                                     x x x x x x x x x      after the forward pass
//                                 x x x x x x x x x                      on the way back
//
// A reverse layer starts with the last segment and ends with segment 0. Without training there is
// one row a sequence, used over and over.
#pragma once

#include "elman/batch.hpp"
#include "elman/memory.hpp"

namespace elman {

template <class T>
class CellStates {
public:
    void resize(const Batch& batch, Index n_units, bool training) {
        training_ = training;
        n_sequences_ = batch.n_sequences();
        longest_ = 1;
        if (training) {
            const Index of_a_step = std::max<Index>(n_sequences_ * padded_stride<T>(n_units), 1);
            longest_ = std::clamp<Index>(cached_elements / of_a_step, 1, longest_segment);
            longest_ = std::min(longest_, std::max<Index>(batch.n_steps(), 1));
            first_end_.assign(1, 0);
            for (Index t = 0; t < batch.n_steps(); t += longest_)
                first_end_.push_back(first_end_.back() + batch.active(t));
            ends_.resize(first_end_.back(), n_units);
            memo_.resize(longest_ * n_sequences_, n_units);
        }
        c_.resize(longest_ * n_sequences_, n_units);
    }

    Index segment(Index t) const { return t / longest_; }
    Range steps(Index segment, const Batch& batch) const {
        return {segment * longest_, std::min((segment + 1) * longest_, batch.n_steps())};
    }

    // Of some sequences, from the first of them on: at their step, and after a segment, or after
    // their last step in it.
    Rows<T> c(const StepRows& rows) const { return c_.from_row(row(rows)); }
    Rows<T> memo(const StepRows& rows) const { return memo_.from_row(row(rows)); }
    Rows<T> end_of(Index segment, Index s) const {
        return ends_.from_row(first_end_[std::size_t(segment)] + s);
    }
    // Before their step, if that is not the first one.
    Rows<T> before(const StepRows& rows, bool reverse) const {
        const Index t = reverse ? rows.t + 1 : rows.t - 1;
        if (training_ && segment(t) != segment(rows.t)) return end_of(segment(t), rows.begin);
        return c_.from_row(t % longest_ * n_sequences_ + rows.begin);
    }
    // After the last step of sequence s and those that follow it, if they end with it.
    Rows<T> last(const Batch& batch, Index s, bool reverse) const {
        if (!training_) return c_.from_row(s);
        return end_of(segment(reverse ? 0 : batch.length[std::size_t(s)] - 1), s);
    }
    // Without training.
    T* of_sequence(Index s) const { return c_.row(s); }

    // Without training, of one step of each sequence: what is read comes next, what is there goes.
    void exchange(Matrix<T>& initial) { swap(c_, initial); }

    // Keeps what no step of the segment goes on from.
    void keep_ends(const StepRows& rows, const Batch& batch, bool reverse) {
        const Index next = reverse ? rows.t - 1 : rows.t + 1;
        const bool exists = next >= 0 && next < batch.n_steps();
        const Index n_going_on =
            exists && segment(next) == segment(rows.t) ? batch.active(next) : 0;
        const Index end = rows.begin + rows.size;
        for (Index s = std::clamp(n_going_on, rows.begin, end); s < end; ++s)
            std::copy_n(c(rows).row(s - rows.begin), c_.rows().width,
                        end_of(segment(rows.t), s).data);
    }

private:
    // A segment's states stay in the second-level cache, or nearly so.
    static constexpr Index cached_elements = Index(1) << 16, longest_segment = 64;

    Index row(const StepRows& rows) const { return rows.t % longest_ * n_sequences_ + rows.begin; }

    bool training_ = false;
    Index longest_ = 1, n_sequences_ = 0;
    std::vector<Index> first_end_;  // of each segment's sequences in ends_
    Matrix<T> c_, memo_, ends_;
};

}  // namespace elman
