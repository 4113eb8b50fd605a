// The states of a layer between two of its steps, and their gradient on the way back: what happens
// to them beside the cell's equations.
//
//     h_{t-1}, c_{t-1}      of the step before,
//                           of the initial state where a sequence starts,
//                           of the state before the branch where steps branch (batch.hpp)
//     h_{t-1} * mask        what products take, with recurrent dropout
//
// A step that is missing hands on the states as they are, and their gradient:
//
//     h_t = h_{t-1},  c_t = c_{t-1},            dL/dh_{t-1} = dL/dh_t
//
// Where values may be missing the state before a step may also fade (decay.hpp):
//
//     h_{t-1} <- g_t * h_{t-1},                 dL/dg_t = dL/dh * h_{t-1},  dL/dh <- dL/dh * g_t
//
// Where steps branch, what each of them sends back to the state before the branch is summed from
// the last to the first, and flows into the step before.
//
// Truncated BPTT (Williams & Peng, 1990): the gradient stops wherever the number of steps up to
// the end of the sequence is a multiple of bptt_steps.
#pragma once

#include "elman/layer_shape.hpp"
#include "elman/tape.hpp"

namespace elman {

// As they are before they fade.
template <class T>
inline Rows<T> states_before(const StepRows& rows, const Tape<T>& tape) {
    return rows.starts ? tape.initial_h.from_row(rows.begin) : tape.h.from_row(rows.previous);
}

// As products take them: after recurrent dropout, faded if they fade.
template <class T>
inline Rows<T> operand_before(const StepRows& rows, const Tape<T>& tape) {
    if (tape.fades()) return tape.faded_products_with().from_row(rows.row);
    if (!tape.has_mask) return states_before(rows, tape);
    return rows.starts ? tape.initial_operand.from_row(rows.begin)
                       : tape.operand.from_row(rows.previous);
}

// The states a step starts from, sequence by sequence.
template <class T>
struct PreviousStates {
    Rows<T> h, operand, c;
};
template <class T>
inline PreviousStates<T> previous_states(const LayerShape<T>& shape, const StepRows& rows,
                                         const Tape<T>& tape) {
    const bool takes_initial_c = rows.starts && (tape.training || tape.skipped == nullptr);
    return {tape.fades() ? tape.faded.from_row(rows.row) : states_before(rows, tape),
            operand_before(rows, tape),
            takes_initial_c ? tape.initial_c.from_row(rows.begin)
            : rows.branches ? tape.branch.c.from_row(rows.begin)
                            : tape.cells.before(rows, shape.reverse)};
}

// Calls kept for runs of rows that are there, skipped for those that are missing.
template <class T, class Kept, class Skipped>
inline void for_each_run(const StepRows& rows, const Tape<T>& tape, const Kept& kept,
                         const Skipped& skipped) {
    if (tape.skipped == nullptr) return kept(rows);
    const unsigned char* const is_skipped = tape.skipped + rows.row;
    for (Index first = 0, next; first < rows.size; first = next) {
        for (next = first + 1; next < rows.size && is_skipped[next] == is_skipped[first];) ++next;
        StepRows run = rows;
        run.begin += first;
        run.size = next - first;
        run.row += first;
        run.previous += first;
        if (is_skipped[first] != 0)
            skipped(run);
        else
            kept(run);
    }
}

template <class T>
inline void carry_states(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    const PreviousStates<T> from = previous_states(shape, rows, tape);
    const Index n = shape.n_units;
    for (Index r = 0; r < rows.size; ++r) {
        std::copy_n(from.h.row(r), n, tape.h.row(rows.row + r));
        if (tape.has_mask)
            multiply_rows(from.h.row(r), tape.mask.row(rows.begin + r), n,
                          tape.operand.row(rows.row + r));
    }
}
template <class T>
inline void carry_cell_states(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    if (!shape.has_cell_state() || !tape.training) return;
    const Rows<T> from = previous_states(shape, rows, tape).c, to = tape.cells.c(rows);
    for (Index r = 0; r < rows.size; ++r) std::copy_n(from.row(r), shape.n_units, to.row(r));
}
template <class T>
inline void carry_gradients(const LayerShape<T>& shape, const StepRows& rows,
                            const Rows<const T>& dy, Tape<T>& tape) {
    for (Index r = 0; r < rows.size; ++r) {
        const Index s = rows.begin + r;
        T *const dh = tape.dh.row(s), *const recurrent = tape.recurrent.row(s);
        for (Index u = 0; u < shape.n_units; ++u) {
            const T mask = tape.has_mask ? tape.mask.row(s)[u] : T(1);
            dh[u] += recurrent[u] * mask + (dy.data != nullptr ? dy.row(rows.row + r)[u] : T(0));
            recurrent[u] = T(0);
        }
    }
}

template <class T>
inline void fade_states(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    const Rows<T> from = states_before(rows, tape);
    for (Index r = 0; r < rows.size; ++r) {
        T* const to = tape.faded.row(rows.row + r);
        multiply_rows(tape.fading.row(rows.row + r), from.row(r), shape.n_units, to);
        if (tape.has_mask)
            multiply_rows(to, tape.mask.row(rows.begin + r), shape.n_units,
                          tape.faded_operand.row(rows.row + r));
    }
}
// From the gradient of the faded states to those of the states and of their fading.
template <class T>
inline void fade_gradients(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    const Rows<T> from = states_before(rows, tape);
    for (Index r = 0; r < rows.size; ++r) {
        const Index s = rows.begin + r;
        const T* const g = tape.fading.row(rows.row + r);
        T *const dg = tape.dfading.row(rows.row + r), *const dh = tape.dh.row(s),
                 *const recurrent = tape.recurrent.row(s);
        for (Index u = 0; u < shape.n_units; ++u) {
            const T mask = tape.has_mask ? tape.mask.row(s)[u] : T(1);
            const T total = dh[u] + recurrent[u] * mask;
            dg[u] = total * from.row(r)[u];
            dh[u] = total * g[u];
            recurrent[u] = T(0);
        }
    }
}

// Calls function(what flows back, its sum over the branch) for the states of some sequences.
template <class T, class Function>
inline void for_each_carried(const LayerShape<T>& shape, Range sequences, Tape<T>& tape,
                             const Function& function) {
    for (Index s = sequences.begin; s < sequences.end; ++s) {
        function(tape.dh.row(s), tape.branch.dh.row(s));
        function(tape.recurrent.row(s), tape.branch.recurrent.row(s));
        if (shape.has_cell_state()) function(tape.dc.row(s), tape.branch.dc.row(s));
    }
}
template <class T>
inline void resize_branch(const LayerShape<T>& shape, const Batch& batch, Tape<T>& tape) {
    for (Matrix<T>* of_sequences :
         {&tape.branch.c, &tape.branch.dh, &tape.branch.recurrent, &tape.branch.dc})
        of_sequences->resize(batch.n_whole, shape.n_units);
}
template <class T>
inline void keep_branch(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    const Rows<T> from = tape.cells.before(rows, shape.reverse);
    for (Index r = 0; r < rows.size; ++r)
        std::copy_n(from.row(r), shape.packed_width(), tape.branch.c.row(rows.begin + r));
}
template <class T>
inline void start_branch(const LayerShape<T>& shape, Range sequences, Tape<T>& tape) {
    for_each_carried(shape, sequences, tape,
                     [&](T*, T* sum) { std::fill_n(sum, shape.packed_width(), T(0)); });
}
// What a step of the branch sends back leaves the way that leads to the step before it.
template <class T>
inline void sum_branch(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    for_each_carried(shape, {rows.begin, rows.begin + rows.size}, tape, [&](T* carried, T* sum) {
        add_rows(carried, shape.packed_width(), sum);
        std::fill_n(carried, shape.packed_width(), T(0));
    });
}
template <class T>
inline void end_branch(const LayerShape<T>& shape, const StepRows& rows, Tape<T>& tape) {
    for_each_carried(shape, {rows.begin, rows.begin + rows.size}, tape,
                     [&](T* carried, T* sum) { add_rows(sum, shape.packed_width(), carried); });
}

template <class T>
inline void truncate(const LayerShape<T>& shape, const Batch& batch, const StepRows& rows,
                     Index bptt_steps, Tape<T>& tape) {
    for (Index s = rows.begin; s < rows.begin + rows.size; ++s) {
        if (shape.steps_to_end(batch, rows.t, s) % bptt_steps != 0) continue;
        std::fill_n(tape.dh.row(s), shape.packed_width(), T(0));
        std::fill_n(tape.recurrent.row(s), shape.packed_width(), T(0));
        if (shape.has_cell_state()) std::fill_n(tape.dc.row(s), shape.packed_width(), T(0));
    }
}

}  // namespace elman
