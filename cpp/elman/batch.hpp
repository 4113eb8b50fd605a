// A ragged mini-batch in time-major order.
//
// Sequences are sorted by decreasing length (stable), so that the sequences which have a step t
// are the first active(t) of them, and no arithmetic is spent on padding:
//
//     sequence 0   x x x x x         rows:   t = 0: 0 1 2    t = 1: 3 4 5    t = 2: 6 7
//     sequence 1   x x x                     t = 3: 8        t = 4: 9
//     sequence 2   x x
//
// Row first[t] + s of every per-step matrix holds step t of sequence s.
//
// Steps may branch: those from branch_step on all start from the state before it, none from
// another.
//
// A segment is a mini-batch of the steps [first_step, first_step + n_steps) of another one; those
// sequences that go on behind it are the first of its sequences.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "elman/simd.hpp"

namespace elman {

// Half-open.
struct Range {
    Index begin;
    Index end;

    Index size() const { return end > begin ? end - begin : 0; }
    // One of n_parts that are alike in size.
    Range part(Index i, Index n_parts) const {
        return {begin + size() * i / n_parts, begin + size() * (i + 1) / n_parts};
    }
};

struct Batch {
    std::vector<Index> source;  // where sequence s stands in the caller's order
    std::vector<Index> length;
    std::vector<Index> first;   // n_steps + 1 entries
    std::vector<Index> behind;  // steps of sequence s that follow those of the segment
    Index first_step = 0;
    Index n_continuing = 0;  // sequences with steps behind the segment
    Index n_whole = 0;       // sequences of the whole mini-batch
    bool is_regular = true;  // whether the whole mini-batch has one length
    Index branch_step = 0;   // 0 where no steps branch

    Index n_sequences() const { return Index(source.size()); }
    Index n_steps() const { return Index(first.size()) - 1; }
    Index n_rows() const { return first.back(); }
    Index active(Index t) const { return first[std::size_t(t) + 1] - first[std::size_t(t)]; }
    Index row(Index t, Index s) const { return first[std::size_t(t)] + s; }
    Index last_row(Index s) const { return row(length[std::size_t(s)] - 1, s); }
    // In the order of processing.
    Index last_row(Index s, bool reverse) const { return reverse ? row(0, s) : last_row(s); }
    bool is_branch(Index t) const { return branch_step > 0 && t >= branch_step; }
    bool begins_branch(Index t) const { return branch_step > 0 && t == branch_step; }

    // The sequences named by members, of which sequence i has offsets[i + 1] - offsets[i] steps.
    void assign(const Index* members, Index n_members, const Index* offsets) {
        source.assign(members, members + n_members);
        const auto steps = [offsets](Index i) { return offsets[i + 1] - offsets[i]; };
        const auto longer = [steps](Index a, Index b) { return steps(a) > steps(b); };
        if (!std::is_sorted(source.begin(), source.end(), longer))
            std::stable_sort(source.begin(), source.end(), longer);
        length.resize(source.size());
        std::transform(source.begin(), source.end(), length.begin(), steps);
        behind.assign(source.size(), 0);
        first_step = n_continuing = 0;
        n_whole = n_members;
        is_regular = length.empty() || length.front() == length.back();
        count_rows();
    }

    // One step of each of n sequences.
    void assign_steps(Index n) {
        source.resize(std::size_t(n));
        std::iota(source.begin(), source.end(), Index(0));
        length.assign(source.size(), 1);
        behind.assign(source.size(), 0);
        first_step = n_continuing = 0;
        n_whole = n;
        is_regular = true;
        count_rows();
    }

    // Steps [begin, end) of a whole mini-batch.
    void assign_segment(const Batch& whole, Index begin, Index end) {
        const std::size_t n = std::size_t(whole.active(begin));
        source.assign(whole.source.begin(), whole.source.begin() + std::ptrdiff_t(n));
        length.resize(n);
        behind.resize(n);
        first_step = begin;
        n_whole = whole.n_whole;
        is_regular = whole.is_regular;
        n_continuing = end < whole.n_steps() ? whole.active(end) : 0;
        for (std::size_t s = 0; s < n; ++s) {
            length[s] = std::min(whole.length[s], end) - begin;
            behind[s] = whole.length[s] - begin - length[s];
        }
        count_rows();
    }

    // Sequences [begin, end) for each of n_shards threads, alike in their number of steps; they
    // begin at multiples of side_by_side.
    std::vector<Range> shards(Index n_shards, Index side_by_side) const {
        std::vector<Range> ranges;
        Index s = 0, steps = 0;
        for (Index shard = 0; shard < n_shards; ++shard) {
            const Index begin = s;
            const Index goal = n_rows() * (shard + 1) / n_shards;
            for (; s < n_sequences() &&
                   (steps < goal || s % side_by_side != 0 || shard + 1 == n_shards);
                 ++s)
                steps += length[std::size_t(s)];
            if (s > begin) ranges.push_back({begin, s});
        }
        return ranges;
    }

private:
    void count_rows() {
        first.assign(std::size_t(length.empty() ? 0 : length.front()) + 1, 0);
        for (Index t = 0, n_active = n_sequences(); t < n_steps(); ++t) {
            while (length[std::size_t(n_active) - 1] <= t) --n_active;
            first[std::size_t(t) + 1] = first[std::size_t(t)] + n_active;
        }
    }
};

// Sequences [begin, begin + size) at step t.
struct StepRows {
    Index t, begin, size;
    Index row;       // of sequence begin at step t
    bool starts;     // their previous state is the initial one
    Index previous;  // the row of sequence begin at the step before, in the order of processing
    bool branches;   // the step is of a branch
};

// Calls function(StepRows) for some steps in the order of processing, or against it.
template <class Function>
void for_each_step(const Batch& batch, Range shard, Range steps, bool reverse, bool against,
                   const Function& function) {
    const Index n_steps = batch.length[std::size_t(shard.begin)];
    const Index last = std::min(steps.end, n_steps) - 1;
    for (Index i = steps.begin; i <= last; ++i) {
        const Index t = reverse != against ? last - (i - steps.begin) : i;
        const Index end = std::min(shard.end, batch.active(t));
        const bool branches = batch.is_branch(t);
        const Index before = branches ? batch.branch_step - 1 : t - 1;
        const Index previous = reverse ? t + 1 : before;
        const bool exists = previous >= 0 && previous < n_steps;
        const Index goes_on =
            exists ? std::clamp(batch.active(previous), shard.begin, end) : shard.begin;
        for (Index first = shard.begin, next; first < end; first = next) {
            const bool starts = first >= goes_on;
            next = starts ? end : goes_on;
            function(StepRows{t, first, next - first, batch.row(t, first), starts,
                              starts ? -1 : batch.row(previous, first), branches});
        }
    }
}

// All steps.
template <class Function>
void for_each_step(const Batch& batch, Range shard, bool reverse, bool against,
                   const Function& function) {
    for_each_step(batch, shard, {0, batch.n_steps()}, reverse, against, function);
}

// Calls function(first row, rows) for the rows of all steps, where their order in time is nothing.
template <class Function>
void for_each_rows(const Batch& batch, Range shard, const Function& function) {
    for_each_step(batch, shard, false, false,
                  [&](const StepRows& rows) { function(rows.row, rows.size); });
}

}  // namespace elman
