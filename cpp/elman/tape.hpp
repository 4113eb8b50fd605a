// What passes through time leaves behind: the arrays of one direction of a layer, and the order in
// which the gradient of its weights is summed.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "elman/cell_states.hpp"

namespace elman {

// What a layer reads or writes at each step: the forward states, beside them the reverse ones; of
// a head the step's inputs beside these.
template <class T>
struct Features {
    std::array<Rows<T>, 3> parts;
    Index n_parts = 0;

    Features() = default;
    explicit Features(const Rows<T>& part) { add(part); }
    void add(const Rows<T>& part) { parts[std::size_t(n_parts++)] = part; }
    const Rows<T>& operator[](Index part) const { return parts[std::size_t(part)]; }
    Index width() const {
        Index width = 0;
        for (Index p = 0; p < n_parts; ++p) width += (*this)[p].width;
        return width;
    }
};

// The tape of a layer that has a sequence in each lane: by step in the order of processing, then
// gate, unit and lane. States begin with the initial one.
template <class T>
struct Lanes {
    bool active = false;
    Index stride = 0;
    Array<T> x, h, c, memo, z;
    Array<T> dh, recurrent, dc, incoming, outgoing;  // by unit and lane
    Array<T> sums;                                   // of the gradient, lane by lane
    // Of transposed.hpp: beside c, memo and z the operands of a step; the sizes of bundles, where
    // their first sequences are; how many steps are kept, i & kept of step i.
    Array<T> operands;
    std::vector<Index> bundles;
    Index n_kept = 0, kept = 0, n_operands = 0, kept_operands = 0;
    // The layer below, if it hands on its states as they lie here; whether there is one above,
    // which then puts dL/dy_t where dy has room for it.
    Lanes* below = nullptr;
    bool has_above = false;
    Array<T> dy;
    Index operand_width = 0, first_state = 0;  // columns of an operand, and those before h
};

// What the steps of a branch share, by sequence: c before it, and the sum of what they send back.
template <class T>
struct Branch {
    Matrix<T> c, dh, recurrent, dc;
};

// Everything one direction leaves behind for its backward pass. Per-step matrices have the rows
// of the batch when training; without training the cell's own have one row a sequence, used over
// and over, and only h keeps every step.
template <class T>
struct Tape {
    bool training = false;
    Array<T> gates;
    Index gate_stride = 0, block_stride = 0;  // between two gates, between blocks of units
    bool has_few_rows = false, sums_ahead = false;
    // Whether gates stay until the way back; where they do not, as those of a cell whose state
    // tells what it was made of, dz takes the place of dL/dy_t.
    bool keeps_gates = false;
    Rows<T> dy;              // dL/dy_t, where it is of each step
    bool is_shared = false;  // between threads, which are not at the same block of units
    Matrix<T> h, gated;
    Array<T> operand_panels;  // x_t and h_{t-1} of one step, as tiles of many rows read them
    CellStates<T> cells;
    // Of layer normalisation: s^ and dL/dz, laid out as the gates; by row and gate the scale; the
    // gradients of gains and of what is added behind them.
    Array<T> normalized, dz, scales, gain_sums;
    Matrix<T> operand;  // h times the recurrent dropout mask
    Matrix<T> initial_h, initial_c, initial_operand, mask;
    bool has_mask = false;

    // One row a sequence of the whole mini-batch, since what flows back from a segment to the one
    // before it stays here: what step t + 1 sent back to h directly, through the product with the
    // recurrent weights (before the mask), and to c.
    Matrix<T> dh, recurrent, dc;
    Array<T> gradient;  // of the weights, panel by panel
    Lanes<T> lanes;
    Branch<T> branch;
    bool every_step = true;  // whether h is wanted of every step, or of the last
    // By row of the batch, or null: steps without input, which hand on the state as it is.
    const unsigned char* skipped = nullptr;

    // By row, or no data: what the state before a step is multiplied by (decay.hpp); the states
    // after that, and as products take them; dL/d(fading).
    Rows<T> fading, dfading;
    Matrix<T> faded, faded_operand;

    // Of the first layer: what it makes of each token, its gradient, and by row the token's place;
    // null where it reads x (token_sums.hpp).
    Array<T> token_sums, dtoken_sums;
    const Index* token_of_row = nullptr;
    Index n_tokens = 0;

    bool has_token_sums() const { return token_of_row != nullptr; }
    // Whether z begins with the products of the inputs.
    bool has_input_sums() const { return sums_ahead || has_token_sums(); }
    bool fades() const { return fading.data != nullptr; }
    const Matrix<T>& faded_products_with() const { return has_mask ? faded_operand : faded; }
    Rows<T> products_with() const { return has_mask ? operand.rows() : h.rows(); }
    Rows<T> initial_products_with() const {
        return has_mask ? initial_operand.rows() : initial_h.rows();
    }
};

// Of the gradient of a mini-batch, which may come in several segments.
struct Pass {
    bool begins = true, ends = true;
};

// Whether a task of the gradient is one of the next n_tasks; if not, task becomes its number among
// those behind them.
inline bool is_among(Index n_tasks, Index& task) {
    if (task < n_tasks) return true;
    task -= n_tasks;
    return false;
}

// Consecutive rows whose recurrent operand and dz both lie one after the other.
struct Run {
    bool starts;  // operand rows are those of the initial state
    Index operand_row, row, size;
};

// Rows of a run, for each of which the sums are read and written once.
inline constexpr Index longest_run = 256;

// All rows, each with the operand that stands in its own row.
inline std::vector<Run> all_rows(const Batch& batch) {
    std::vector<Run> runs;
    for (Index row = 0; row < batch.n_rows(); row += longest_run)
        runs.push_back({false, row, row, std::min(longest_run, batch.n_rows() - row)});
    return runs;
}

// The rows over which dW_hh is summed, in order.
inline std::vector<Run> runs_of_states(const Batch& batch, bool reverse, bool with_initial_state) {
    std::vector<Run> runs;
    for_each_step(batch, {0, batch.n_sequences()}, reverse, false, [&](const StepRows& rows) {
        if (rows.starts && !with_initial_state) return;
        Run run{rows.starts, rows.starts ? rows.begin : rows.previous, rows.row, rows.size};
        if (!runs.empty()) {
            Run& last = runs.back();
            if (last.starts == run.starts && last.operand_row + last.size == run.operand_row &&
                last.row + last.size == run.row) {
                const Index moved = std::min(run.size, longest_run - last.size);
                last.size += moved;
                run = {run.starts, run.operand_row + moved, run.row + moved, run.size - moved};
            }
        }
        for (; run.size > 0;
             run.operand_row += longest_run, run.row += longest_run, run.size -= longest_run)
            runs.push_back({run.starts, run.operand_row, run.row, std::min(run.size, longest_run)});
    });
    return runs;
}

// The same of either direction, kept for as long as mini-batches look alike.
class RecurrentRuns {
public:
    void assign(const Batch& batch, bool with_initial_state) {
        if (batch.first == first_ && batch.branch_step == branch_step_ &&
            with_initial_state == with_initial_state_)
            return;
        first_ = batch.first;
        branch_step_ = batch.branch_step;
        with_initial_state_ = with_initial_state;
        for (const bool reverse : {false, true})
            runs_[std::size_t(reverse)] = runs_of_states(batch, reverse, with_initial_state);
    }
    const std::vector<Run>& of_direction(Index d) const { return runs_[std::size_t(d)]; }

private:
    std::vector<Index> first_;
    Index branch_step_ = 0;
    bool with_initial_state_ = false;
    std::array<std::vector<Run>, 2> runs_;
};

}  // namespace elman
