// A cell over time: one direction of one layer, on a ragged mini-batch, and its BPTT.
//
// Forwards, at each step and for each block of units (a panel's width):
//
//     z_t = b + [x_t, h_{t-1}] [W_xh; W_hh]        layer_gates.hpp
//                                                  (with layer_norm.hpp of all units, and then:)
//     h_t = cell(z_t, h_{t-1}, c_{t-1})            pointwise, while z_t is in the cache
//
// Backwards through time, dz_t in the place of the activations:
//
//     dL/dh_t     = dL/dy_t + what step t + 1 sent back
//     dz_t        = cell'(dL/dh_t)
//     dL/dh_{t-1} = dz_t W_hh^T + the cell's direct path,     dL/dx_t = dz_t W_xh^T
//
// and the gradient of the weights afterwards (layer_gradient.hpp). What happens to states between
// two steps, some of which may be missing, fade, branch or be cut off, is in layer_states.hpp; how
// weights are packed in layer_weights.hpp; what all of these know of a layer in layer_shape.hpp.
//
// A reverse layer walks each sequence from its own last step to its first. Rows (sequences) never
// meet, so they are dealt out to threads for the whole pass.
#pragma once

#include <memory>

#include "elman/layer_gradient.hpp"

namespace elman {

// What the network knows of a direction; RecurrenceOf<Cell> implements it.
template <class T>
class Recurrence {
public:
    virtual ~Recurrence() = default;

    virtual Index n_gradient_blocks() const = 0;
    // Sequences that one thread has to take together.
    virtual Index sequences_side_by_side() const { return 1; }
    virtual Index multiply_adds() const = 0;  // of one row, forwards
    virtual void resize(Tape<T>& tape, const Batch& batch) const = 0;
    // Rounds its matrices to what they can be stored as.
    virtual void round(Storage storage, T* parameters) const = 0;
    virtual void pack(const T* parameters, bool training, PackedWeights<T>& weights) const = 0;
    // Whether sequences stand side by side on the tape, as it has been resized (transposed.hpp),
    // and that two layers, this one below, read and write what is between them like that.
    virtual bool is_transposed(const Tape<T>&) const { return false; }
    virtual void link(const Batch&, Tape<T>&, Tape<T>&) const {}
    // Whether it can read sums of tokens in the place of inputs, on the tape as it has been resized
    // (token_sums.hpp); then room for them, and the sums of some.
    virtual bool takes_token_sums(const Tape<T>& tape) const = 0;
    virtual void resize_tokens(const DistinctTokens<T>& tokens, Tape<T>& tape) const = 0;
    virtual void sum_tokens(const Rows<const T>& x, Range places, const PackedWeights<T>& weights,
                            Tape<T>& tape) const = 0;
    virtual void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                         const PackedWeights<T>& weights, Tape<T>& tape,
                         Control& control) const = 0;
    // dy: dL/dh at each step, or no data where only the last state matters; dx likewise. What
    // flows into the last states stands in tape.dh and tape.dc.
    virtual void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                          Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx,
                          bool accumulate, Tape<T>& tape, Control& control) const = 0;
    // Backwards, once all rows have been there: what they send to some tokens, and these to dx.
    virtual void add_token_gradients(const DistinctTokens<T>& tokens, Range places,
                                     Tape<T>& tape) const = 0;
    virtual void send_to_tokens(Range places, const PackedWeights<T>& weights, const Rows<T>& dx,
                                bool accumulate, Tape<T>& tape) const = 0;
    // Adds up, from zero on if it begins, and writes the gradient once it ends.
    virtual void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                          const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                          Control& control) const = 0;
};

template <class Cell, class T>
class RecurrenceOf : public Recurrence<T> {
public:
    using V = Vec<T>;
    static constexpr int n_gates = Cell::n_gates;
    static constexpr bool has_gated_state = Cell::n_phases > 1;

    explicit RecurrenceOf(RecurrenceShape shape)
        : shape_(std::move(shape), {std::begin(Cell::gates), std::end(Cell::gates)},
                 Cell::has_cell_state) {}

    Index n_gradient_blocks() const override { return shape_.n_blocks(); }
    Index multiply_adds() const override { return shape_.total_depth() * shape_.packed_width(); }

    void resize(Tape<T>& tape, const Batch& batch) const override {
        const Index n = batch.n_sequences(), units = shape_.n_units;
        const Index rows = tape.training ? batch.n_rows() : n;
        tape.sums_ahead = n == 1 && batch.n_steps() > 1;
        resize_gates(shape_, batch, tape);
        tape.h.resize(batch.n_rows(), units);
        tape.initial_h.resize(n, units);
        if constexpr (Cell::has_cell_state) {
            tape.cells.resize(batch, units, tape.training);
            tape.initial_c.resize(n, units);
        }
        if constexpr (has_gated_state) tape.gated.resize(rows, units);
        if (batch.branch_step > 0) resize_branch(shape_, batch, tape);
        if (tape.fades()) tape.faded.resize(batch.n_rows(), units);
        if (tape.fades() && tape.has_mask) tape.faded_operand.resize(batch.n_rows(), units);
        if (tape.has_mask) {
            tape.operand.resize(batch.n_rows(), units);
            tape.initial_operand.resize(n, units);
            tape.mask.resize(n, units);
        }
        if (!tape.training) return;
        if (shape_.layer_norm) resize_normalized(shape_, rows, tape);
        tape.dh.resize(batch.n_whole, units);
        tape.recurrent.resize(batch.n_whole, units);
        if constexpr (Cell::has_cell_state) tape.dc.resize(batch.n_whole, units);
        resize_gradient(shape_, tape);
    }

    void round(Storage storage, T* parameters) const override {
        if constexpr (std::is_same_v<T, float>) round_weights(shape_, storage, parameters);
    }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        pack_weights(shape_, parameters, training, weights);
    }

    bool takes_token_sums(const Tape<T>&) const override { return true; }
    void resize_tokens(const DistinctTokens<T>& tokens, Tape<T>& tape) const override {
        resize_token_sums(tokens, token_stride(shape_), tape);
    }
    void sum_tokens(const Rows<const T>& x, Range places, const PackedWeights<T>& weights,
                    Tape<T>& tape) const override {
        elman::sum_tokens(shape_, x, places, weights, tape);
    }
    void add_token_gradients(const DistinctTokens<T>& tokens, Range places,
                             Tape<T>& tape) const override {
        elman::add_token_gradients(shape_, tokens, places, tape);
    }
    void send_to_tokens(Range places, const PackedWeights<T>& weights, const Rows<T>& dx,
                        bool accumulate, Tape<T>& tape) const override {
        const auto ds = gate_terms(shape_, token_rows(shape_, tape.dtoken_sums), takes_input);
        const Block<T> out = block_of(dx, places.begin);
        multiply_all<T>(rows_of(ds, places.begin), places.size(), dx.width,
                        weights.input_transposed[0].data(), accumulate ? out : zeros<T>(), out);
    }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!tape.training && Cell::has_cell_state && tape.skipped != nullptr)
            for (Index s = shard.begin; s < shard.end; ++s)
                std::copy_n(tape.initial_c.row(s), shape_.n_units, tape.cells.of_sequence(s));
        for_each_step(batch, shard, shape_.reverse, false, [&](const StepRows& rows) {
            if (Cell::has_cell_state && batch.begins_branch(rows.t))
                keep_branch(shape_, rows, tape);
            if (tape.fades()) fade_states(shape_, rows, tape);
            if (tape.sums_ahead && !tape.has_token_sums())
                sum_inputs_ahead(shape_, rows.t, batch.n_steps(), inputs,
                                 [&](const GateGroup& group, const Terms<T>& terms, Range steps) {
                                     multiply_group(shape_, group, {0, shape_.n_blocks()}, terms,
                                                    steps.size(), 0, weights,
                                                    tape.keeps_gates ? steps.begin : 0,
                                                    gate_rows(shape_, tape));
                                 });
            const auto step = [&](const StepRows& some) {
                forward_phase<0>(some, inputs, weights, tape, control);
                if constexpr (has_gated_state)
                    forward_phase<1>(some, inputs, weights, tape, control);
            };
            for_each_run(rows, tape, step, [&](const StepRows& skipped) {
                carry_states(shape_, skipped, tape);
                carry_cell_states(shape_, skipped, tape);
            });
            if (Cell::has_cell_state && tape.training)
                tape.cells.keep_ends(rows, batch, shape_.reverse);
        });
    }

    void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                  Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx, bool accumulate,
                  Tape<T>& tape, Control& control) const override {
        const GateRows<T> dz = dz_rows(shape_, tape);
        const GateTerms terms{gate_terms(shape_, dz, takes_state),
                              gate_terms(shape_, dz, takes_gated_state),
                              gate_terms(shape_, dz, takes_input)};
        tape.recurrent.rows().clear(std::max(shard.begin, batch.n_continuing), shard.end);
        if (batch.branch_step > 0) start_branch(shape_, shard, tape);
        Index segment =
            tape.cells.segment(shape_.reverse ? 0 : batch.length[std::size_t(shard.begin)] - 1);
        for_each_step(batch, shard, shape_.reverse, true, [&](const StepRows& rows) {
            if (Cell::has_cell_state && tape.cells.segment(rows.t) != segment) {
                segment = tape.cells.segment(rows.t);
                repeat_cell_states(batch, shard, segment, tape);
            }
            if (batch.begins_branch(rows.t + 1)) end_branch(shape_, rows, tape);
            const auto step = [&](const StepRows& some) {
                backward_step(some, weights, terms, dy, tape);
                send_to_inputs(some, weights, terms, dx, accumulate, tape);
            };
            for_each_run(rows, tape, step, [&](const StepRows& skipped) {
                carry_gradients(shape_, skipped, dy, tape);
                clear_gates(shape_, skipped, tape);
                for (Index part = 0; part < dx.n_parts && !accumulate; ++part)
                    for (Index row = skipped.row; row < skipped.row + skipped.size; ++row)
                        std::fill_n(dx[part].row(row), dx[part].width, T(0));
            });
            if (batch.is_branch(rows.t)) sum_branch(shape_, rows, tape);
            if (tape.fades()) fade_gradients(shape_, rows, tape);
            if (bptt_steps > 0) truncate(shape_, batch, rows, bptt_steps, tape);
            control.poll(2 * rows.size * multiply_adds());
        });
    }

    void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                  const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                  Control& control) const override {
        weight_gradient(shape_, blocks, batch, inputs, runs, pass, tape, gradient, control);
    }

protected:
    template <int phase>
    void forward_phase(const StepRows& rows, const Features<const T>& inputs,
                       const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const {
        std::array<Term<T>, 3> operands;
        const StepTerms<T> terms = terms_of(shape_, phase, rows, inputs, tape, operands);
        const GateRows<T> z = gate_rows(shape_, tape);
        const auto sum_phase = [&](Range blocks) {
            shape_.for_each_group([&](const GateGroup& group) {
                if (Cell::gates[group.first].phase != phase) return;
                if (tape.has_token_sums()) copy_token_sums(shape_, group, blocks, rows, z, tape);
                sum_gates(shape_, group, terms, tape.has_input_sums(),
                          [&](const Terms<T>& some, Index first_k) {
                              multiply_group(shape_, group, blocks, some, rows.size, first_k,
                                             weights, gate_row(rows, tape), z);
                          });
            });
        };
        if (tape.has_few_rows) {
            sum_phase({0, shape_.n_blocks()});
            if (shape_.layer_norm) normalize_gates(shape_, rows, phase, weights, tape);
            forward_units<phase>(rows, 0, shape_.packed_width(), tape);
            control.poll(rows.size * multiply_adds());
            return;
        }
        if (shape_.layer_norm) {
            shape_.for_each_block([&](Index block) { sum_phase({block, block + 1}); });
            normalize_gates(shape_, rows, phase, weights, tape);
        }
        shape_.for_each_block([&](Index block) {
            if (!shape_.layer_norm) sum_phase({block, block + 1});
            forward_units<phase>(rows, block, shape_.block_width(block), tape);
            control.poll(rows.size * shape_.total_depth() * shape_.block_width(block));
        });
    }

    template <int phase>
    void squash_gates(const std::array<T*, n_gates>& gates, Index n_rows, Index width, Index stride,
                      const Tape<T>& tape) const {
        for (int g = 0, next; g < n_gates; g = next) {
            next = g + 1;
            if (Cell::gates[g].phase != phase) continue;
            if (!tape.has_few_rows) {
                squash_many(Cell::gates[g].squashing, 1, n_rows * width, 0, gates[g], gates[g]);
                continue;
            }
            while (next < n_gates && Cell::gates[next].squashing == Cell::gates[g].squashing &&
                   Cell::gates[next].phase == phase)
                ++next;
            squash_many(Cell::gates[g].squashing, n_rows, (next - g) * width, stride, gates[g],
                        gates[g]);
        }
    }

    template <int phase, bool repeats = false>
    [[gnu::always_inline]] void forward_units(const StepRows& rows, Index block, Index width,
                                              Tape<T>& tape) const {
        const GateRows<T> of_gates = gate_rows(shape_, tape);
        const Index stride = of_gates.stride(shape_, block);
        std::array<T*, n_gates> gates;
        for (int g = 0; g < n_gates; ++g)
            gates[g] = of_gates.of(block, g) + gate_row(rows, tape) * stride;
        if constexpr (!repeats) squash_gates<phase>(gates, rows.size, width, stride, tape);
        forward_cells<phase, repeats>(rows, previous_states(shape_, rows, tape),
                                      block * panel_width<T>, width, gates, stride, tape);
    }

    // From squashed gates to states, for units [first_unit, first_unit + width). Views of rows are
    // taken out of the tape before the loops: a store might change the tape itself, for all that
    // the compiler knows. Always inlined: a step of a small layer is short, and a call that makes
    // all views anew took a tenth of it. Where a step is repeated, only the cell's own states are
    // wanted.
    template <int phase, bool repeats>
    [[gnu::always_inline]] void forward_cells(const StepRows& rows, const PreviousStates<T>& from,
                                              Index first_unit, Index width,
                                              const std::array<T*, n_gates>& gates, Index stride,
                                              Tape<T>& tape) const {
        constexpr bool is_last = phase + 1 == Cell::n_phases;
        const bool keeps_gates = n_gates > 1 && (tape.training || has_gated_state);
        const bool has_mask = tape.has_mask, keeps_memo = tape.training;
        const Rows<T> h = tape.h.from_row(rows.row), operand = tape.operand.from_row(rows.row),
                      mask = tape.mask.from_row(rows.begin), c = tape.cells.c(rows),
                      memo = tape.cells.memo(rows),
                      gated = tape.gated.from_row(tape_row(rows, tape));
        for (Index r = 0; r < rows.size; ++r) {
            for (Index lane = 0; lane < width; lane += V::width) {
                const Index unit = first_unit + lane, at = r * stride + lane;
                V z[n_gates];
                for (int g = 0; g < n_gates; ++g) z[g] = V::load(gates[g] + at);
                Step<V> step;
                step.h_previous = V::load(from.h.row(r) + unit);
                step.h_operand = V::load(from.operand.row(r) + unit);
                if constexpr (Cell::has_cell_state) step.c_previous = V::load(from.c.row(r) + unit);
                Cell::template forward<phase>(z, step);
                if constexpr (Cell::has_cell_state) {
                    step.c.store(c.row(r) + unit);
                    if (keeps_memo) step.memo.store(memo.row(r) + unit);
                }
                if constexpr (repeats) continue;
                if (keeps_gates)
                    for (int g = 0; g < n_gates; ++g)
                        if (Cell::gates[g].squashing == Squashing::none) z[g].store(gates[g] + at);
                if constexpr (!is_last) step.gated.store(gated.row(r) + unit);
                if constexpr (is_last) {
                    step.h.store(h.row(r) + unit);
                    if (has_mask)
                        (step.h * V::load(mask.row(r) + unit)).store(operand.row(r) + unit);
                }
            }
        }
    }

    // Makes the cell states of a segment of steps, and their memos, anew.
    void repeat_cell_states(const Batch& batch, Range shard, Index segment, Tape<T>& tape) const {
        const auto repeat = [&](const StepRows& rows) {
            shape_.for_each_block([&](Index block) {
                forward_units<0, true>(rows, block, shape_.block_width(block), tape);
            });
        };
        for_each_step(batch, shard, tape.cells.steps(segment, batch), shape_.reverse, false,
                      [&](const StepRows& rows) {
                          for_each_run(rows, tape, repeat, [&](const StepRows& skipped) {
                              carry_cell_states(shape_, skipped, tape);
                          });
                      });
    }

    // dz of the gates that take an operand.
    struct GateTerms {
        std::vector<Term<T>> to_state, to_gated, to_input;
    };
    static Terms<T> rows_of(const std::vector<Term<T>>& terms, Index first_row) {
        return {terms.data(), Index(terms.size()), first_row};
    }
    static Block<T> block_of(const Rows<T>& rows, Index first_row) {
        return {rows.row(first_row), rows.stride, panel_width<T>};
    }

    void backward_step(const StepRows& rows, const PackedWeights<T>& weights,
                       const GateTerms& terms, const Rows<const T>& dy, Tape<T>& tape) const {
        const Index row = tape_row(rows, tape);
        const Block<T> recurrent = block_of(tape.recurrent.rows(), rows.begin);
        shape_.for_each_block(
            [&](Index block) { backward_block<Cell::n_phases - 1>(rows, block, dy, tape); });
        if (shape_.layer_norm)
            normalize_gates_backward(shape_, rows, Cell::n_phases - 1, weights, tape);
        if constexpr (has_gated_state) {
            multiply_all<T>(rows_of(terms.to_gated, row), rows.size, shape_.n_units,
                            weights.gated_transposed.data(), zeros<T>(), recurrent);
            shape_.for_each_block([&](Index block) { backward_block<0>(rows, block, dy, tape); });
            if (shape_.layer_norm) normalize_gates_backward(shape_, rows, 0, weights, tape);
        }
        if constexpr (has_recurrent_weights<Cell>)
            multiply_all<T>(rows_of(terms.to_state, row), rows.size, shape_.n_units,
                            weights.state_transposed.data(),
                            has_gated_state ? recurrent : zeros<T>(), recurrent);
    }

    void send_to_inputs(const StepRows& rows, const PackedWeights<T>& weights,
                        const GateTerms& terms, const Features<T>& dx, bool accumulate,
                        Tape<T>& tape) const {
        for (Index part = 0; part < dx.n_parts; ++part) {
            const Block<T> out = block_of(dx[part], rows.row);
            multiply_all<T>(rows_of(terms.to_input, tape_row(rows, tape)), rows.size,
                            dx[part].width, weights.input_transposed[std::size_t(part)].data(),
                            accumulate ? out : zeros<T>(), out);
        }
    }

    template <int phase>
    void backward_block(const StepRows& rows, Index block, const Rows<const T>& dy,
                        Tape<T>& tape) const {
        constexpr bool is_last = phase + 1 == Cell::n_phases;
        const bool has_mask = tape.has_mask, has_dy = dy.data != nullptr;
        const GateRows<T> of_gates = dz_rows(shape_, tape);
        const Index width = shape_.block_width(block), stride = of_gates.stride(shape_, block);
        const PreviousStates<T> from = previous_states(shape_, rows, tape);
        const Rows<T> h = tape.h.from_row(rows.row), memo = tape.cells.memo(rows),
                      dh = tape.dh.from_row(rows.begin), dc = tape.dc.from_row(rows.begin),
                      recurrent = tape.recurrent.from_row(rows.begin),
                      mask = tape.mask.from_row(rows.begin);
        const Rows<const T> dy_rows{has_dy ? dy.row(rows.row) : nullptr, dy.stride, dy.width};
        std::array<T*, n_gates> gates;
        for (int g = 0; g < n_gates; ++g) gates[g] = of_gates.of(block, g) + rows.row * stride;
        for (Index r = 0; r < rows.size; ++r) {
            for (Index lane = 0; lane < width; lane += V::width) {
                const Index unit = block * panel_width<T> + lane, at = r * stride + lane;
                V z[n_gates];
                for (int g = 0; g < n_gates; ++g) z[g] = V::load(gates[g] + at);
                StepGradient<V> step;
                step.h_previous = V::load(from.h.row(r) + unit);
                step.h_operand = V::load(from.operand.row(r) + unit);
                step.h = V::load(h.row(r) + unit);
                if constexpr (is_last) {
                    V sent_back = V::load(recurrent.row(r) + unit);
                    if (has_mask) sent_back = sent_back * V::load(mask.row(r) + unit);
                    step.dh = V::load(dh.row(r) + unit) + sent_back;
                    if (has_dy) step.dh = V::load(dy_rows.row(r) + unit) + step.dh;
                } else {
                    step.d_gated = V::load(recurrent.row(r) + unit);
                }
                if constexpr (Cell::has_cell_state) {
                    step.c_previous = V::load(from.c.row(r) + unit);
                    step.memo = V::load(memo.row(r) + unit);
                    step.dc = V::load(dc.row(r) + unit);
                }
                Cell::template backward<phase>(z, step);
                for (int g = 0; g < n_gates; ++g) z[g].store(gates[g] + at);
                if constexpr (is_last) step.dh_previous.store(dh.row(r) + unit);
                if constexpr (!is_last) step.dh_operand.store(recurrent.row(r) + unit);
                if constexpr (Cell::has_cell_state) step.dc.store(dc.row(r) + unit);
            }
        }
    }

    LayerShape<T> shape_;
};

}  // namespace elman
