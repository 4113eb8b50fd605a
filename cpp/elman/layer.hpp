// A cell over time: one direction of one layer, on a ragged mini-batch, and its BPTT.
//
// Forwards, at each step and for each block of units (a panel's width):
//
//     z_t = b + [x_t, h_{t-1}] [W_xh; W_hh]        one tile, x_t and h_{t-1} in one sum over k
//                                                  (with layer_norm.hpp of all units, and then:)
//     h_t = cell(z_t, h_{t-1}, c_{t-1})            pointwise, while z_t is in the cache
//
// Backwards through time, dz_t in the place of the activations:
//
//     dL/dh_t     = dL/dy_t + what step t + 1 sent back
//     dz_t        = cell'(dL/dh_t)
//     dL/dh_{t-1} = dz_t W_hh^T + the cell's direct path,     dL/dx_t = dz_t W_xh^T
//
// and the weights' gradient afterwards, over all rows of all steps from the last to the first, the
// order in which segments of the steps come by (see Trainer):
//
//     dW_xh = sum_t x_t^T dz_t,   dW_hh = sum_t h_{t-1}^T dz_t,   db = sum_t dz_t
//
// A reverse layer walks each sequence from its own last step to its first. Rows (sequences) never
// meet, so they are dealt out to threads for the whole pass; gradients are split over blocks of
// units instead, each summed by one thread.
//
// Where steps branch (batch.hpp), what each of them sends back to the state before the branch is
// summed from the last to the first, and flows into the step before.
//
// A step that is missing hands on the states as they are, and their gradient. Where values may be
// missing the state before a step may also fade, h_{t-1} <- g_t * h_{t-1} (decay.hpp).
//
// Truncated BPTT (Williams & Peng, 1990): the gradient stops wherever the number of steps up to
// the end of the sequence is a multiple of bptt_steps.
#pragma once

#include <memory>

#include "elman/cell/cell.hpp"
#include "elman/layer_norm.hpp"
#include "elman/panel.hpp"
#include "elman/tape.hpp"
#include "elman/threads.hpp"

namespace elman {

// What the network knows of a direction; RecurrenceOf<Cell> implements it.
template <class T>
class Recurrence {
public:
    virtual ~Recurrence() = default;

    virtual bool has_cell_state() const = 0;
    virtual Index n_gradient_blocks() const = 0;
    // Sequences that one thread has to take together.
    virtual Index sequences_side_by_side() const { return 1; }
    virtual Index multiply_adds() const = 0;  // of one row, forwards
    virtual void resize(Tape<T>& tape, const Batch& batch) const = 0;
    // Rounds its matrices to what they can be stored as.
    virtual void round(Storage storage, T* parameters) const = 0;
    virtual void pack(const T* parameters, bool training, PackedWeights<T>& weights) const = 0;
    virtual void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                         const PackedWeights<T>& weights, Tape<T>& tape,
                         Control& control) const = 0;
    // dy: dL/dh at each step, or no data where only the last state matters; dx likewise. What
    // flows into the last states stands in tape.dh and tape.dc.
    virtual void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                          Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx,
                          bool accumulate, Tape<T>& tape, Control& control) const = 0;
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

    explicit RecurrenceOf(RecurrenceShape shape) : shape_(std::move(shape)) {
        for (const Gate& gate : Cell::gates)
            n_columns_ = std::max<Index>(n_columns_, gate.column + 1);
        input_width_ = shape_.input_width();
        packed_width_ = packed_columns<T>(shape_.n_units);
        n_blocks_ = (shape_.n_units + panel_width<T> - 1) / panel_width<T>;
        for (int g = 0, next; g < n_gates; g = next) {
            next = g + 1;
            while (next < n_gates && Cell::gates[next].operand == Cell::gates[g].operand &&
                   Cell::gates[next].phase == Cell::gates[g].phase)
                ++next;
            const Index gate_depth = depth(Cell::gates[g]);
            groups_[std::size_t(n_groups_++)] = {g, next - g, gate_depth, total_depth_};
            total_depth_ += (next - g) * gate_depth;
        }
    }

    bool has_cell_state() const override { return Cell::has_cell_state; }
    Index n_gradient_blocks() const override { return n_blocks_; }
    Index multiply_adds() const override { return total_depth_ * packed_width_; }

    void resize(Tape<T>& tape, const Batch& batch) const override {
        const Index n = batch.n_sequences(), units = shape_.n_units;
        const Index rows = tape.training ? batch.n_rows() : n;
        tape.sums_ahead = n == 1 && batch.n_steps() > 1;
        resize_gates(tape, rows);
        if (copies_operands(tape))
            make_room(tape.operand_panels, checked_multiply(n, operands_width()));
        tape.h.resize(batch.n_rows(), units);
        tape.initial_h.resize(n, units);
        if constexpr (Cell::has_cell_state) {
            tape.cells.resize(batch, units, tape.training);
            tape.initial_c.resize(n, units);
        }
        if constexpr (has_gated_state) tape.gated.resize(rows, units);
        if (batch.branch_step > 0) resize_branch(tape, batch);
        if (tape.fades()) tape.faded.resize(batch.n_rows(), units);
        if (tape.fades() && tape.has_mask) tape.faded_operand.resize(batch.n_rows(), units);
        if (tape.has_mask) {
            tape.operand.resize(batch.n_rows(), units);
            tape.initial_operand.resize(n, units);
            tape.mask.resize(n, units);
        }
        if (!tape.training) return;
        if (shape_.layer_norm) {
            for (Array<T>* like_gates : {&tape.normalized, &tape.dz})
                make_room(*like_gates, checked_multiply(n_gates, tape.gate_stride));
            make_room(tape.scales, rows * n_gates);
            tape.gain_sums.resize(std::size_t(2 * n_gates * packed_width()));
        }
        tape.dh.resize(batch.n_whole, units);
        tape.recurrent.resize(batch.n_whole, units);
        if constexpr (Cell::has_cell_state) tape.dc.resize(batch.n_whole, units);
        tape.gradient.resize(std::size_t((total_depth_ + n_gates) * packed_columns<T>(units)));
    }

    void round(Storage storage, T* parameters) const override {
        if constexpr (std::is_same_v<T, float>) {
            for (const Gate& gate : Cell::gates) {
                for (Index u = 0; u < shape_.n_units; ++u) {
                    float largest = 0.0f;
                    for_each_weight(gate, u, parameters,
                                    [&](float& w) { largest = std::max(largest, std::abs(w)); });
                    const float scale = scale_of(largest);
                    for_each_weight(gate, u, parameters, [&](float& w) {
                        if (storage == Storage::float16) w = to_float(to_half(w));
                        if (storage == Storage::int8) w = float(to_int8(w, scale).q) * scale;
                    });
                }
            }
        }
    }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        const Index columns = packed_columns<T>(shape_.n_units);
        weights.panels.resize(std::size_t(total_depth_ * columns));
        weights.bias.resize(std::size_t(n_gates * columns));
        pack_panels(parameters, weights);
        if (weights.storage != Storage::full) reduce_panels(weights);
        if (!training) return;
        const Index units = shape_.n_units, stride = row_stride();
        if constexpr (has_recurrent_weights<Cell>)
            pack_transposed(parameters + shape_.offsets.W_hh, stride, units, takes_state,
                            weights.state_transposed);
        if constexpr (has_gated_state)
            pack_transposed(parameters + shape_.offsets.W_hh, stride, units, takes_gated_state,
                            weights.gated_transposed);
        const T* W_xh = parameters + shape_.offsets.W_xh;
        for (std::size_t part = 0; part < shape_.input_widths.size(); ++part) {
            const Index width = shape_.input_widths[part];
            pack_transposed(W_xh, stride, width, takes_input, weights.input_transposed[part]);
            W_xh += width * stride;
        }
    }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!tape.training && Cell::has_cell_state && tape.skipped != nullptr)
            for (Index s = shard.begin; s < shard.end; ++s)
                std::copy_n(tape.initial_c.row(s), shape_.n_units, tape.cells.of_sequence(s));
        for_each_step(batch, shard, shape_.reverse, false, [&](const StepRows& rows) {
            if (Cell::has_cell_state && batch.begins_branch(rows.t)) keep_branch(rows, tape);
            if (tape.fades()) fade_states(rows, tape);
            if (tape.sums_ahead)
                sum_inputs_ahead(rows.t, batch.n_steps(), inputs,
                                 [&](const GateGroup& group, const Terms<T>& terms, Range steps) {
                                     multiply_group(group, {0, n_blocks_}, terms, steps.size(), 0,
                                                    weights, tape.training ? steps.begin : 0, tape);
                                 });
            const auto step = [&](const StepRows& some) {
                forward_phase<0>(some, inputs, weights, tape, control);
                if constexpr (has_gated_state)
                    forward_phase<1>(some, inputs, weights, tape, control);
            };
            for_each_run(rows, tape, step, [&](const StepRows& skipped) {
                carry_states(skipped, tape);
                carry_cell_states(skipped, tape);
            });
            if (Cell::has_cell_state && tape.training)
                tape.cells.keep_ends(rows, batch, shape_.reverse);
        });
    }

    void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                  Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx, bool accumulate,
                  Tape<T>& tape, Control& control) const override {
        const std::vector<Term<T>> to_state = gate_terms(tape, takes_state);
        const std::vector<Term<T>> to_gated = gate_terms(tape, takes_gated_state);
        const std::vector<Term<T>> to_input = gate_terms(tape, takes_input);
        for (Index s = std::max(shard.begin, batch.n_continuing); s < shard.end; ++s)
            std::fill_n(tape.recurrent.row(s), packed_width(), T(0));
        if (batch.branch_step > 0) start_branch(shard, tape);
        const auto step = [&](const StepRows& rows) {
            const Terms<T> input_terms = rows_of(to_input, tape_row(rows, tape));
            for_each_block(
                [&](Index block) { backward_block<Cell::n_phases - 1>(rows, block, dy, tape); });
            if (shape_.layer_norm)
                normalize_gates_backward(rows, Cell::n_phases - 1, weights, tape);
            if constexpr (has_gated_state) {
                multiply_all<T>(rows_of(to_gated, tape_row(rows, tape)), rows.size, shape_.n_units,
                                weights.gated_transposed.data(), zeros(),
                                block_of(tape.recurrent.rows(), rows.begin));
                for_each_block([&](Index block) { backward_block<0>(rows, block, dy, tape); });
                if (shape_.layer_norm) normalize_gates_backward(rows, 0, weights, tape);
            }
            if constexpr (has_recurrent_weights<Cell>) {
                const Block<T> recurrent = block_of(tape.recurrent.rows(), rows.begin);
                multiply_all<T>(rows_of(to_state, tape_row(rows, tape)), rows.size, shape_.n_units,
                                weights.state_transposed.data(),
                                has_gated_state ? as_const(recurrent) : zeros(), recurrent);
            }
            for (Index part = 0; part < dx.n_parts; ++part) {
                const Block<T> out = block_of(dx[part], rows.row);
                multiply_all<T>(input_terms, rows.size, dx[part].width,
                                weights.input_transposed[std::size_t(part)].data(),
                                accumulate ? as_const(out) : zeros(), out);
            }
        };
        Index segment =
            tape.cells.segment(shape_.reverse ? 0 : batch.length[std::size_t(shard.begin)] - 1);
        for_each_step(batch, shard, shape_.reverse, true, [&](const StepRows& rows) {
            if (Cell::has_cell_state && tape.cells.segment(rows.t) != segment) {
                segment = tape.cells.segment(rows.t);
                repeat_cell_states(batch, shard, segment, tape);
            }
            if (batch.begins_branch(rows.t + 1)) end_branch(rows, tape);
            for_each_run(rows, tape, step, [&](const StepRows& skipped) {
                carry_gradients(skipped, dy, dx, accumulate, tape);
            });
            if (batch.is_branch(rows.t)) sum_branch(rows, tape);
            if (tape.fades()) fade_gradients(rows, tape);
            if (bptt_steps > 0) truncate(batch, rows, bptt_steps, tape);
            control.poll(2 * rows.size * multiply_adds());
        });
    }

    void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                  const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                  Control& control) const override {
        if (pass.begins)
            for (Index block = blocks.begin; block < blocks.end; ++block)
                std::fill_n(sums_of(tape, block),
                            (total_depth_ + n_gates) * vectors(block) * V::width, T(0));
        const std::vector<Run> of_faded = tape.fades() ? all_rows(batch) : std::vector<Run>();
        const std::vector<Run>& of_states = tape.fades() ? of_faded : runs;
        auto run = of_states.rbegin();
        TransposedRows<T> operand;
        for (Index end = batch.n_rows(); end > 0; end -= longest_run) {
            const Index row = std::max<Index>(end - longest_run, 0), n_rows = end - row;
            Index first_sum = 0;
            for (Index part = 0; part < inputs.n_parts; ++part) {
                operand.pack(inputs[part].reversed(row, n_rows), n_rows,
                             part + 1 == inputs.n_parts);
                add_products(blocks, takes_input, first_sum, operand, row, tape, control);
                first_sum += inputs[part].width;
            }
            if constexpr (Cell::has_recurrent_bias) {
                operand.pack({}, n_rows, true);
                add_products(blocks, takes_no_input, 0, operand, row, tape, control);
            }
            // With the states at once, while dz of these rows is in the cache.
            for (; has_recurrent_weights<Cell> && run != of_states.rend() && run->row >= row; ++run)
                add_state_products(blocks, *run, operand, tape, control);
        }
        if (shape_.layer_norm) add_gain_gradients(blocks, batch.n_rows(), pass, tape);
        if (!pass.ends) return;
        for (Index block = blocks.begin; block < blocks.end; ++block)
            unpack(block, sums_of(tape, block), gradient);
        if (shape_.layer_norm) write_gain_gradients(blocks, tape, gradient);
    }

protected:
    // A single sequence has all of its inputs at hand: their products are taken for many steps at
    // once, which spares loading W_xh at each.
    static constexpr Index few_rows = 6, steps_ahead = 16;
    static constexpr std::array<T, panel_width<T>> zero_row_{};

    static Block<const T> zeros() { return {zero_row_.data(), 0, 0}; }
    static Block<const T> as_const(const Block<T>& b) {
        return {b.data, b.row_stride, b.panel_stride};
    }
    static Block<T> block_of(const Rows<T>& rows, Index first_row) {
        return {rows.row(first_row), rows.stride, panel_width<T>};
    }
    static Terms<T> rows_of(const std::vector<Term<T>>& terms, Index first_row) {
        return {terms.data(), Index(terms.size()), first_row};
    }

    Index n_units() const { return shape_.n_units; }
    // The step that comes i-th, and how many there are from step t to the end of sequences of one
    // length.
    Index step_at(const Batch& batch, Index i) const {
        return shape_.reverse ? batch.n_steps() - 1 - i : i;
    }
    Index steps_to_end(const Batch& batch, Index t) const {
        return shape_.reverse ? t + 1 : batch.length[0] + batch.behind[0] - t;
    }
    // Behind the layer's last parameter.
    Index end_of_parameters() const {
        const Index end = shape_.offsets.b_h + n_columns_ * n_units();
        return shape_.offsets.b_hn < 0 ? end : std::max(end, shape_.offsets.b_hn + n_units());
    }
    Index depth(const Gate& gate) const {
        return (takes_input(gate.operand) ? input_width_ : 0) +
               (takes_any_state(gate.operand) ? shape_.n_units : 0);
    }
    Index row_stride() const { return n_columns_ * shape_.n_units; }
    Index packed_width() const { return packed_width_; }
    Index n_wide_blocks() const { return (shape_.n_units + V::width - 1) / panel_width<T>; }
    int vectors(Index block) const {
        return block + 1 < n_blocks_ ? max_panel_vectors
                                     : panel_vectors<T>(block * panel_width<T>, shape_.n_units);
    }
    Index units_in(Index block) const {
        return std::min(panel_width<T>, shape_.n_units - block * panel_width<T>);
    }
    template <class Function>
    void for_each_block(const Function& function) const {
        for (Index block = 0; block < n_blocks_; ++block) function(block);
    }

    // Neighbouring gates that take the same operands.
    struct GateGroup {
        int first, n_alike;
        Index depth;         // of each one's sums
        Index depth_before;  // of all gates before
    };
    template <class Function>
    void for_each_group(const Function& function) const {
        for (int i = 0; i < n_groups_; ++i) function(groups_[std::size_t(i)]);
    }

    // The row of the cell's own matrices that belongs to the first of some rows.
    static Index tape_row(const StepRows& rows, const Tape<T>& tape) {
        return tape.training ? rows.row : rows.begin;
    }
    static Index gate_row(const StepRows& rows, const Tape<T>& tape) {
        return tape.sums_ahead && !tape.training ? rows.t % steps_ahead : tape_row(rows, tape);
    }
    // Where activations stand. Many rows: for each gate and block of units its rows, one panel's
    // width each, so that tiles read and write consecutive memory; without training one block's may
    // give way to the next one's, unless a later phase or another thread wants them. Few rows: all
    // units side by side.
    void resize_gates(Tape<T>& tape, Index rows) const {
        tape.has_few_rows = !tape.training && rows < few_rows;
        if (tape.has_few_rows) {
            if (tape.sums_ahead) rows = steps_ahead;
            tape.gate_stride = packed_width();
            tape.block_stride = panel_width<T>;
            make_room(tape.gates, rows * n_gates * packed_width());
        } else {
            const bool has_all =
                tape.training || has_gated_state || tape.is_shared || shape_.layer_norm;
            tape.gate_stride = checked_multiply(rows, has_all ? packed_width() : panel_width<T>);
            tape.block_stride = has_all ? rows * panel_width<T> : 0;
            make_room(tape.gates, checked_multiply(n_gates, tape.gate_stride));
        }
    }
    Index gate_row_stride(const Tape<T>& tape, Index block) const {
        return tape.has_few_rows ? n_gates * packed_width() : vectors(block) * V::width;
    }
    static T* gate_rows(Tape<T>& tape, Index block, int gate) {
        return tape.gates.data() + gate * tape.gate_stride + block * tape.block_stride;
    }

    // By gate, then block of units.
    void pack_panels(const T* parameters, PackedWeights<T>& weights) const {
        T *panel = weights.panels.data(), *bias = weights.bias.data();
        for (const Gate& gate : Cell::gates) {
            for (Index block = 0; block < n_blocks_; ++block) {
                const Index units = units_in(block), column = block * panel_width<T>;
                const Index offset = gate.column * shape_.n_units + column;
                if (takes_input(gate.operand))
                    panel = pack_panel(parameters + shape_.offsets.W_xh + offset, row_stride(), 1,
                                       input_width_, units, vectors(block), panel);
                if (takes_any_state(gate.operand))
                    panel = pack_panel(parameters + shape_.offsets.W_hh + offset, row_stride(), 1,
                                       shape_.n_units, units, vectors(block), panel);
                const T* b = gate.recurrent_bias ? parameters + shape_.offsets.b_hn + column
                                                 : parameters + shape_.offsets.b_h + offset;
                bias = pack_panel(b, 0, 1, 1, units, vectors(block), bias);
            }
        }
        if (shape_.layer_norm) pack_gains(parameters, weights);
    }

    // Calls function(weight) for those of one unit in a gate.
    template <class Function>
    void for_each_weight(const Gate& gate, Index unit, T* parameters,
                         const Function& function) const {
        const Index column = gate.column * shape_.n_units + unit;
        const auto visit = [&](Index offset, Index n_rows) {
            for (Index row = 0; row < n_rows; ++row)
                function(parameters[offset + row * row_stride() + column]);
        };
        if (takes_input(gate.operand)) visit(shape_.offsets.W_xh, input_width_);
        if (takes_any_state(gate.operand)) visit(shape_.offsets.W_hh, shape_.n_units);
    }

    // From panels of weights that have been rounded.
    void reduce_panels(PackedWeights<T>& weights) const {
        if constexpr (std::is_same_v<T, float>) {
            const std::size_t n = weights.panels.size();
            if (weights.storage == Storage::float16) {
                weights.half_panels.resize(n);
                std::transform(weights.panels.begin(), weights.panels.end(),
                               weights.half_panels.begin(), to_half);
            } else {
                weights.int8_panels.resize(n);
                weights.scales.resize(weights.bias.size());
                Index first = 0, scale = 0;
                for (const Gate& gate : Cell::gates) {
                    for (Index block = 0; block < n_blocks_; ++block) {
                        const Index width = vectors(block) * V::width;
                        reduce_panel(weights.panels.data() + first, depth(gate), width,
                                     weights.scales.data() + scale,
                                     weights.int8_panels.data() + first);
                        first += depth(gate) * width;
                        scale += width;
                    }
                }
            }
            weights.panels = Array<T>();
        }
    }

    // By gate: what its normalised sums are multiplied with, and what is added then, which takes
    // the place of a bias.
    void pack_gains(const T* parameters, PackedWeights<T>& weights) const {
        weights.shift.swap(weights.bias);
        weights.bias.assign(weights.shift.size(), T(0));
        weights.gain.assign(weights.shift.size(), T(0));
        for (int g = 0; g < n_gates; ++g)
            std::copy_n(parameters + place_of_gain(Cell::gates[g]), shape_.n_units,
                        weights.gain.data() + g * packed_width());
    }
    Index place_of_gain(const Gate& gate) const {
        return gate.recurrent_bias ? shape_.offsets.g_hn
                                   : shape_.offsets.g_h + gate.column * shape_.n_units;
    }
    Index place_of_bias(const Gate& gate) const {
        return gate.recurrent_bias ? shape_.offsets.b_hn
                                   : shape_.offsets.b_h + gate.column * shape_.n_units;
    }

    // W^T for the gates that take an operand: k runs over gates, then units; columns are the
    // n_rows rows of W.
    void pack_transposed(const T* W, Index stride, Index n_rows, bool (*takes)(Operand),
                         Array<T>& panels) const {
        Index n_taking = 0;
        for (const Gate& gate : Cell::gates) n_taking += takes(gate.operand) ? 1 : 0;
        panels.resize(std::size_t(n_taking * shape_.n_units * packed_columns<T>(n_rows)));
        T* panel = panels.data();
        for (Index row = 0; row < n_rows; row += panel_width<T>)
            for (const Gate& gate : Cell::gates)
                if (takes(gate.operand))
                    panel = pack_panel(W + row * stride + gate.column * shape_.n_units, 1, stride,
                                       shape_.n_units, std::min(panel_width<T>, n_rows - row),
                                       panel_vectors<T>(row, n_rows), panel);
    }

    // dz of the gates that take an operand, as the left side of a product with W^T.
    std::vector<Term<T>> gate_terms(Tape<T>& tape, bool (*takes)(Operand)) const {
        std::vector<Term<T>> terms;
        for (int g = 0; g < n_gates; ++g) {
            if (!takes(Cell::gates[g].operand)) continue;
            for (Index block = 0; block < n_blocks_; ++block)
                terms.push_back(
                    {gate_rows(tape, block, g), vectors(block) * V::width, 1, units_in(block)});
        }
        return terms;
    }

    // The terms of a step: those of the inputs, then those of the state.
    struct StepTerms {
        const Term<T>* all;
        Index n_inputs, n_states;
    };
    // The parts of x_t, then h_{t-1}; in its place, for gates that wait for another, the gated
    // state. Where they lie, for which operands has room, or copied.
    template <int phase>
    StepTerms terms_of(const StepRows& rows, const Features<const T>& inputs, Tape<T>& tape,
                       std::array<Term<T>, 3>& operands) const {
        const Index n_inputs = inputs.n_parts;
        const auto term = [](const Rows<const T>& of) {
            return Term<T>{of.data, of.stride, 1, of.width};
        };
        for (Index part = 0; part < n_inputs; ++part)
            operands[std::size_t(part)] =
                term({inputs[part].row(rows.row), inputs[part].stride, inputs[part].width});
        operands[std::size_t(n_inputs)] = term(
            phase == 0 ? operand_before(rows, tape) : tape.gated.from_row(tape_row(rows, tape)));
        if (copies_operands(tape) && rows.size >= few_rows)
            return copied(operands, n_inputs, rows, tape);
        return {operands.data(), n_inputs, 1};
    }

    template <int phase>
    void forward_phase(const StepRows& rows, const Features<const T>& inputs,
                       const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const {
        std::array<Term<T>, 3> operands;
        const StepTerms terms = terms_of<phase>(rows, inputs, tape, operands);
        const auto sum_phase = [&](Range blocks) {
            for_each_group([&](const GateGroup& group) {
                if (Cell::gates[group.first].phase == phase)
                    sum_gates(group, terms, tape.sums_ahead,
                              [&](const Terms<T>& some, Index first_k) {
                                  multiply_group(group, blocks, some, rows.size, first_k, weights,
                                                 gate_row(rows, tape), tape);
                              });
            });
        };
        if (tape.has_few_rows) {
            sum_phase({0, n_blocks_});
            if (shape_.layer_norm) normalize_gates(rows, phase, weights, tape);
            forward_units<phase>(rows, 0, packed_width(), tape);
            control.poll(rows.size * multiply_adds());
            return;
        }
        if (shape_.layer_norm) {
            for_each_block([&](Index block) { sum_phase({block, block + 1}); });
            normalize_gates(rows, phase, weights, tape);
        }
        for_each_block([&](Index block) {
            if (!shape_.layer_norm) sum_phase({block, block + 1});
            forward_units<phase>(rows, block, vectors(block) * V::width, tape);
            control.poll(rows.size * total_depth_ * vectors(block) * V::width);
        });
    }

    // Calls multiply(terms, first row of the weights) for what is left to sum of a group of gates.
    template <class Multiply>
    void sum_gates(const GateGroup& group, const StepTerms& terms, bool sums_ahead,
                   const Multiply& multiply) const {
        const Operand operand = Cell::gates[group.first].operand;
        const bool has_inputs = takes_input(operand) && sums_ahead;
        const Index n_states = takes_any_state(operand) ? terms.n_states : 0;
        if (has_inputs && n_states == 0) return;
        if (has_inputs || !takes_input(operand))
            multiply(Terms<T>{terms.all + terms.n_inputs, terms.n_states},
                     has_inputs ? input_width_ : 0);
        else
            multiply(Terms<T>{terms.all, terms.n_inputs + n_states}, Index(0));
    }

    // Many rows are read again for every panel of weights, which is worth laying them out for.
    bool copies_operands(const Tape<T>& tape) const {
        return !tape.has_few_rows && n_gates * n_blocks_ >= 4;
    }
    Index operands_width() const {
        Index width = round_up(shape_.n_units);
        for (const Index part : shape_.input_widths) width += round_up(part);
        return width;
    }
    static Index round_up(Index width) {
        return (width + panel_width<T> - 1) / panel_width<T> * panel_width<T>;
    }
    StepTerms copied(const std::array<Term<T>, 3>& operands, Index n_inputs, const StepRows& rows,
                     Tape<T>& tape) const {
        // Kept from one step to the next, which would else begin with allocating them.
        static thread_local std::vector<Term<T>> terms;
        terms.clear();
        T* to = tape.operand_panels.data() + rows.begin * operands_width();
        Index n_input_terms = 0;
        for (Index i = 0; i <= n_inputs; ++i) {
            const Term<T>& x = operands[std::size_t(i)];
            n_input_terms = Index(terms.size());
            to = copy_to_panels<T>({x.data, x.row_stride, x.depth}, rows.size, to, terms);
        }
        return {terms.data(), n_input_terms, Index(terms.size()) - n_input_terms};
    }

    // Adds the terms to z, from row first_k of the weights on; without rows before, to the bias.
    void multiply_group(const GateGroup& group, Range blocks, const Terms<T>& terms, Index n_rows,
                        Index first_k, const PackedWeights<T>& weights, Index row,
                        Tape<T>& tape) const {
        const Index columns = packed_width();
        const auto multiply_panels = [&](int g, Index block, Index n_panels, Index columns_apart,
                                         Index z_apart) {
            const Index width = vectors(block) * V::width, stride = gate_row_stride(tape, block);
            const Index column = (g - group.first) * columns + block * panel_width<T>;
            const Index first =
                columns * group.depth_before + column * group.depth + first_k * width;
            const T* bias = weights.bias.data() + group.first * columns + column;
            const Block<T> z{gate_rows(tape, block, g) + row * stride, stride, z_apart};
            const auto multiply_stored = [&](const auto& panels, const T* scales) {
                using W = std::decay_t<decltype(panels[0])>;
                multiply<T, W>(terms, n_rows, vectors(block), n_panels,
                               {panels.data() + first, width, columns_apart * group.depth},
                               first_k > 0 ? as_const(z) : Block<const T>{bias, 0, columns_apart},
                               z, {scales, 0, columns_apart});
            };
            if constexpr (std::is_same_v<T, float>) {
                if (weights.storage == Storage::float16)
                    return multiply_stored(weights.half_panels, nullptr);
                if (weights.storage == Storage::int8)
                    return multiply_stored(weights.int8_panels,
                                           weights.scales.data() + group.first * columns + column);
            }
            multiply_stored(weights.panels, nullptr);
        };
        // Panels side by side share the broadcasts, and fill the FMA ports where rows are few:
        // those of the blocks, or of the gates if they are more. Every other step goes from the
        // last panel to the first: it begins with those that the step before has left in the
        // caches.
        const auto turn = [row](Index i, Index n) { return row % 2 == 0 ? i : n - 1 - i; };
        constexpr Index at_once = 4;
        const Index n_wide = std::min(blocks.end, n_wide_blocks()) - blocks.begin;
        if (n_wide > group.n_alike) {
            const Index n_bunches = (n_wide + at_once - 1) / at_once;
            for (Index i = 0; i < group.n_alike * n_bunches; ++i) {
                const Index place = turn(i, group.n_alike * n_bunches);
                const Index first = place % n_bunches * at_once;
                multiply_panels(group.first + int(place / n_bunches), blocks.begin + first,
                                std::min(at_once, n_wide - first), panel_width<T>,
                                tape.block_stride);
            }
            blocks.begin += n_wide;
        }
        for (Index i = 0; i < blocks.size(); ++i)
            multiply_panels(group.first, blocks.begin + turn(i, blocks.size()), group.n_alike,
                            columns, tape.gate_stride);
    }

    // Calls multiply(group, terms, steps) for z as far as the inputs make it, for the steps that
    // follow step t in the order of processing.
    template <class Multiply>
    void sum_inputs_ahead(Index t, Index n_steps, const Features<const T>& inputs,
                          const Multiply& multiply) const {
        const Index begin = t / steps_ahead * steps_ahead;
        const Index end = std::min(begin + steps_ahead, n_steps);
        if (t != (shape_.reverse ? end - 1 : begin)) return;
        std::array<Term<T>, 2> terms;
        for (Index part = 0; part < inputs.n_parts; ++part)
            terms[std::size_t(part)] = {inputs[part].row(begin), inputs[part].stride, 1,
                                        inputs[part].width};
        for_each_group([&](const GateGroup& group) {
            if (takes_input(Cell::gates[group.first].operand))
                multiply(group, Terms<T>{terms.data(), inputs.n_parts}, Range{begin, end});
        });
    }

    // A row of one gate in what is laid out as the gates.
    void units_of_row(T* like_gates, int gate, Index row, const Tape<T>& tape,
                      std::vector<UnitsOfRow<T>>& units) const {
        units.clear();
        for_each_block([&](Index block) {
            units.push_back({like_gates + gate * tape.gate_stride + block * tape.block_stride +
                                 row * gate_row_stride(tape, block),
                             block * panel_width<T>, units_in(block)});
        });
    }

    void normalize_gates(const StepRows& rows, int phase, const PackedWeights<T>& weights,
                         Tape<T>& tape) const {
        // Kept from one step to the next, which would else begin with allocating them.
        static thread_local std::vector<UnitsOfRow<T>> sums, normalized;
        normalized.clear();
        for (int g = 0; g < n_gates; ++g) {
            if (Cell::gates[g].phase != phase) continue;
            const Index place = g * packed_width();
            for (Index r = 0; r < rows.size; ++r) {
                const Index row = gate_row(rows, tape) + r;
                units_of_row(tape.gates.data(), g, row, tape, sums);
                if (tape.training) units_of_row(tape.normalized.data(), g, row, tape, normalized);
                const T scale =
                    normalize(sums, normalized, shape_.n_units, weights.gain.data() + place,
                              weights.shift.data() + place);
                if (tape.training) tape.scales[std::size_t(row * n_gates + g)] = scale;
            }
        }
    }

    // From dL/dz, which is kept for the gradient of gains, to dL/ds.
    void normalize_gates_backward(const StepRows& rows, int phase, const PackedWeights<T>& weights,
                                  Tape<T>& tape) const {
        std::vector<UnitsOfRow<T>> ds, dz, normalized;
        for (int g = 0; g < n_gates; ++g) {
            if (Cell::gates[g].phase != phase) continue;
            for (Index row = rows.row; row < rows.row + rows.size; ++row) {
                units_of_row(tape.gates.data(), g, row, tape, ds);
                units_of_row(tape.dz.data(), g, row, tape, dz);
                units_of_row(tape.normalized.data(), g, row, tape, normalized);
                for (std::size_t b = 0; b < ds.size(); ++b)
                    std::copy_n(ds[b].data, ds[b].n, dz[b].data);
                normalize_backward(ds, normalized, shape_.n_units,
                                   weights.gain.data() + g * packed_width(),
                                   tape.scales[std::size_t(row * n_gates + g)]);
            }
        }
    }

    // Sums over the rows, from the last to the first: dg, and behind all of them db.
    void add_gain_gradients(Range blocks, Index n_rows, Pass pass, Tape<T>& tape) const {
        for (int g = 0; g < n_gates; ++g) {
            for (Index block = blocks.begin; block < blocks.end; ++block) {
                const Index width = vectors(block) * V::width, n = units_in(block);
                const Index place = g * tape.gate_stride + block * tape.block_stride;
                T* const dg = tape.gain_sums.data() + g * packed_width() + block * panel_width<T>;
                T* const db = dg + n_gates * packed_width();
                if (pass.begins) std::fill_n(dg, n, T(0));
                if (pass.begins) std::fill_n(db, n, T(0));
                for (Index row = n_rows - 1; row >= 0; --row) {
                    const T* const dz = tape.dz.data() + place + row * width;
                    const T* const normalized = tape.normalized.data() + place + row * width;
                    for (Index u = 0; u < n; ++u) {
                        dg[u] += normalized[u] * dz[u];
                        db[u] += dz[u];
                    }
                }
            }
        }
    }
    void write_gain_gradients(Range blocks, const Tape<T>& tape, T* gradient) const {
        for (int g = 0; g < n_gates; ++g)
            for (Index block = blocks.begin; block < blocks.end; ++block) {
                const Index column = block * panel_width<T>;
                const T* const dg = tape.gain_sums.data() + g * packed_width() + column;
                std::copy_n(dg, units_in(block), gradient + place_of_gain(Cell::gates[g]) + column);
                std::copy_n(dg + n_gates * packed_width(), units_in(block),
                            gradient + place_of_bias(Cell::gates[g]) + column);
            }
    }

    // The states a step starts from, sequence by sequence.
    struct Previous {
        Rows<T> h, operand, c;
    };
    Previous previous(const StepRows& rows, const Tape<T>& tape) const {
        const bool takes_initial_c = rows.starts && (tape.training || tape.skipped == nullptr);
        return {tape.fades() ? tape.faded.from_row(rows.row) : states_before(rows, tape),
                operand_before(rows, tape),
                takes_initial_c ? tape.initial_c.from_row(rows.begin)
                : rows.branches ? tape.branch.c.from_row(rows.begin)
                                : tape.cells.before(rows, shape_.reverse)};
    }
    // As products take them: after recurrent dropout, faded if they fade.
    Rows<T> operand_before(const StepRows& rows, const Tape<T>& tape) const {
        if (tape.fades()) return tape.faded_products_with().from_row(rows.row);
        if (!tape.has_mask) return states_before(rows, tape);
        return rows.starts ? tape.initial_operand.from_row(rows.begin)
                           : tape.operand.from_row(rows.previous);
    }
    // As they are before they fade.
    Rows<T> states_before(const StepRows& rows, const Tape<T>& tape) const {
        return rows.starts ? tape.initial_h.from_row(rows.begin) : tape.h.from_row(rows.previous);
    }

    void resize_branch(Tape<T>& tape, const Batch& batch) const {
        for (Matrix<T>* of_sequences :
             {&tape.branch.c, &tape.branch.dh, &tape.branch.recurrent, &tape.branch.dc})
            of_sequences->resize(batch.n_whole, shape_.n_units);
    }
    void keep_branch(const StepRows& rows, Tape<T>& tape) const {
        const Rows<T> from = tape.cells.before(rows, shape_.reverse);
        for (Index r = 0; r < rows.size; ++r)
            std::copy_n(from.row(r), packed_width(), tape.branch.c.row(rows.begin + r));
    }
    void start_branch(Range sequences, Tape<T>& tape) const {
        for_each_carried(sequences, tape,
                         [&](T*, T* sum) { std::fill_n(sum, packed_width(), T(0)); });
    }
    // What a step of the branch sends back leaves the way that leads to the step before it.
    void sum_branch(const StepRows& rows, Tape<T>& tape) const {
        for_each_carried({rows.begin, rows.begin + rows.size}, tape, [&](T* carried, T* sum) {
            add_rows(carried, packed_width(), sum);
            std::fill_n(carried, packed_width(), T(0));
        });
    }
    void end_branch(const StepRows& rows, Tape<T>& tape) const {
        for_each_carried({rows.begin, rows.begin + rows.size}, tape,
                         [&](T* carried, T* sum) { add_rows(sum, packed_width(), carried); });
    }
    template <class Function>
    void for_each_carried(Range sequences, Tape<T>& tape, const Function& function) const {
        for (Index s = sequences.begin; s < sequences.end; ++s) {
            function(tape.dh.row(s), tape.branch.dh.row(s));
            function(tape.recurrent.row(s), tape.branch.recurrent.row(s));
            if constexpr (Cell::has_cell_state) function(tape.dc.row(s), tape.branch.dc.row(s));
        }
    }

    // Calls kept for runs of rows that are there, skipped for those that are missing.
    template <class Kept, class Skipped>
    static void for_each_run(const StepRows& rows, const Tape<T>& tape, const Kept& kept,
                             const Skipped& skipped) {
        if (tape.skipped == nullptr) return kept(rows);
        const unsigned char* const is_skipped = tape.skipped + rows.row;
        for (Index first = 0, next; first < rows.size; first = next) {
            for (next = first + 1; next < rows.size && is_skipped[next] == is_skipped[first];)
                ++next;
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

    void carry_states(const StepRows& rows, Tape<T>& tape) const {
        const Previous from = previous(rows, tape);
        const Index n = shape_.n_units;
        for (Index r = 0; r < rows.size; ++r) {
            std::copy_n(from.h.row(r), n, tape.h.row(rows.row + r));
            if (tape.has_mask)
                multiply_rows(from.h.row(r), tape.mask.row(rows.begin + r), n,
                              tape.operand.row(rows.row + r));
        }
    }
    void carry_cell_states(const StepRows& rows, Tape<T>& tape) const {
        if (!Cell::has_cell_state || !tape.training) return;
        const Rows<T> from = previous(rows, tape).c, to = tape.cells.c(rows);
        for (Index r = 0; r < rows.size; ++r) std::copy_n(from.row(r), shape_.n_units, to.row(r));
    }
    // Makes the cell states of a segment of steps, and their memos, anew.
    void repeat_cell_states(const Batch& batch, Range shard, Index segment, Tape<T>& tape) const {
        for_each_step(batch, shard, tape.cells.steps(segment, batch), shape_.reverse, false,
                      [&](const StepRows& rows) {
                          for_each_run(
                              rows, tape,
                              [&](const StepRows& some) {
                                  for_each_block([&](Index block) {
                                      forward_units<0, true>(some, block, vectors(block) * V::width,
                                                             tape);
                                  });
                              },
                              [&](const StepRows& skipped) { carry_cell_states(skipped, tape); });
                      });
    }

    void carry_gradients(const StepRows& rows, const Rows<const T>& dy, const Features<T>& dx,
                         bool accumulate, Tape<T>& tape) const {
        for (Index r = 0; r < rows.size; ++r) {
            const Index s = rows.begin + r, row = rows.row + r;
            T *const dh = tape.dh.row(s), *const recurrent = tape.recurrent.row(s);
            for (Index u = 0; u < shape_.n_units; ++u) {
                const T mask = tape.has_mask ? tape.mask.row(s)[u] : T(1);
                dh[u] += recurrent[u] * mask + (dy.data != nullptr ? dy.row(row)[u] : T(0));
                recurrent[u] = T(0);
            }
            for_each_block([&](Index block) {
                const Index width = vectors(block) * V::width;
                for (int g = 0; g < n_gates; ++g) {
                    T* const dz = gate_rows(tape, block, g) + row * width;
                    std::fill_n(dz, width, T(0));
                    if (shape_.layer_norm)
                        std::fill_n(tape.dz.data() + (dz - tape.gates.data()), width, T(0));
                }
            });
            for (Index part = 0; part < dx.n_parts && !accumulate; ++part)
                std::fill_n(dx[part].row(row), dx[part].width, T(0));
        }
    }

    void fade_states(const StepRows& rows, Tape<T>& tape) const {
        const Rows<T> from = states_before(rows, tape);
        for (Index r = 0; r < rows.size; ++r) {
            T* const to = tape.faded.row(rows.row + r);
            multiply_rows(tape.fading.row(rows.row + r), from.row(r), shape_.n_units, to);
            if (tape.has_mask)
                multiply_rows(to, tape.mask.row(rows.begin + r), shape_.n_units,
                              tape.faded_operand.row(rows.row + r));
        }
    }
    // From the gradient of the faded states to those of the states and of their fading.
    void fade_gradients(const StepRows& rows, Tape<T>& tape) const {
        const Rows<T> from = states_before(rows, tape);
        for (Index r = 0; r < rows.size; ++r) {
            const Index s = rows.begin + r;
            const T* const g = tape.fading.row(rows.row + r);
            T *const dg = tape.dfading.row(rows.row + r), *const dh = tape.dh.row(s),
                     *const recurrent = tape.recurrent.row(s);
            for (Index u = 0; u < shape_.n_units; ++u) {
                const T mask = tape.has_mask ? tape.mask.row(s)[u] : T(1);
                const T total = dh[u] + recurrent[u] * mask;
                dg[u] = total * from.row(r)[u];
                dh[u] = total * g[u];
                recurrent[u] = T(0);
            }
        }
    }

    template <int phase>
    void squash_gates(const std::array<T*, n_gates>& gates, Index n_rows, Index width, Index stride,
                      const Tape<T>& tape) const {
        for (int g = 0, next; g < n_gates; g = next) {
            next = g + 1;
            if (Cell::gates[g].phase != phase) continue;
            if (!tape.has_few_rows) {
                squash(Cell::gates[g].squashing, gates[g], n_rows * width, gates[g]);
                continue;
            }
            while (next < n_gates && Cell::gates[next].squashing == Cell::gates[g].squashing &&
                   Cell::gates[next].phase == phase)
                ++next;
            for (Index r = 0; r < n_rows; ++r) {
                T* const z = gates[g] + r * stride;
                squash(Cell::gates[g].squashing, z, (next - g) * width, z);
            }
        }
    }

    template <int phase, bool repeats = false>
    [[gnu::always_inline]] void forward_units(const StepRows& rows, Index block, Index width,
                                              Tape<T>& tape) const {
        const Index stride = gate_row_stride(tape, block);
        std::array<T*, n_gates> gates;
        for (int g = 0; g < n_gates; ++g)
            gates[g] = gate_rows(tape, block, g) + gate_row(rows, tape) * stride;
        if constexpr (!repeats) squash_gates<phase>(gates, rows.size, width, stride, tape);
        forward_cells<phase, repeats>(rows, previous(rows, tape), block * panel_width<T>, width,
                                      gates, stride, tape);
    }

    // From squashed gates to states, for units [first_unit, first_unit + width). Views of rows are
    // taken out of the tape before the loops: a store might change the tape itself, for all that
    // the compiler knows. Always inlined: a step of a small layer is short, and a call that makes
    // all views anew took a tenth of it. Where a step is repeated, only the cell's own states are
    // wanted.
    template <int phase, bool repeats>
    [[gnu::always_inline]] void forward_cells(const StepRows& rows, const Previous& from,
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

    template <int phase>
    void backward_block(const StepRows& rows, Index block, const Rows<const T>& dy,
                        Tape<T>& tape) const {
        constexpr bool is_last = phase + 1 == Cell::n_phases;
        const bool has_mask = tape.has_mask, has_dy = dy.data != nullptr;
        const Index first_row = tape_row(rows, tape), width = vectors(block) * V::width;
        const Previous from = previous(rows, tape);
        const Rows<T> h = tape.h.from_row(rows.row), memo = tape.cells.memo(rows),
                      dh = tape.dh.from_row(rows.begin), dc = tape.dc.from_row(rows.begin),
                      recurrent = tape.recurrent.from_row(rows.begin),
                      mask = tape.mask.from_row(rows.begin);
        const Rows<const T> dy_rows{has_dy ? dy.row(rows.row) : nullptr, dy.stride, dy.width};
        std::array<T*, n_gates> gates;
        for (int g = 0; g < n_gates; ++g) gates[g] = gate_rows(tape, block, g) + first_row * width;
        for (Index r = 0; r < rows.size; ++r) {
            for (Index lane = 0; lane < width; lane += V::width) {
                const Index unit = block * panel_width<T> + lane, at = r * width + lane;
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

    void truncate(const Batch& batch, const StepRows& rows, Index bptt_steps, Tape<T>& tape) const {
        for (Index s = rows.begin; s < rows.begin + rows.size; ++s) {
            const std::size_t i = std::size_t(s);
            const Index to_end =
                shape_.reverse ? rows.t + 1 : batch.length[i] + batch.behind[i] - rows.t;
            if (to_end % bptt_steps != 0) continue;
            std::fill_n(tape.dh.row(s), packed_width(), T(0));
            std::fill_n(tape.recurrent.row(s), packed_width(), T(0));
            if constexpr (Cell::has_cell_state) std::fill_n(tape.dc.row(s), packed_width(), T(0));
        }
    }

    // Where the sums of a block's weights stand: gate by gate, W_xh, b, W_hh as far as it has them.
    // A bias is the weight of an input that is always one.
    T* sums_of(Tape<T>& tape, Index block) const {
        return tape.gradient.data() + block * panel_width<T> * (total_depth_ + n_gates);
    }

    void add_state_products(Range blocks, const Run& run, TransposedRows<T>& operand, Tape<T>& tape,
                            Control& control) const {
        const Rows<T> states = tape.fades() ? tape.faded_products_with().rows()
                               : run.starts ? tape.initial_products_with()
                                            : tape.products_with();
        operand.pack(states.reversed(run.operand_row, run.size), run.size, false);
        add_products(blocks, takes_state, -shape_.n_units, operand, run.row, tape, control);
        if constexpr (has_gated_state) {
            operand.pack(tape.gated.rows().reversed(run.row, run.size), run.size, false);
            add_products(blocks, takes_gated_state, -shape_.n_units, operand, run.row, tape,
                         control);
        }
    }

    // Adds operand^T dz for the gates that take the operand. first_sum is where the operand stands
    // among a gate's sums, negative if counted from their end.
    void add_products(Range blocks, bool (*takes)(Operand), Index first_sum,
                      const TransposedRows<T>& operand, Index row, Tape<T>& tape,
                      Control& control) const {
        for (Index block = blocks.begin; block < blocks.end; ++block) {
            const Index width = vectors(block) * V::width;
            T* sums = sums_of(tape, block);
            for_each_group([&](const GateGroup& group) {
                const Index n_sums = group.depth + 1;
                if (takes(Cell::gates[group.first].operand)) {
                    const Index first = first_sum < 0 ? n_sums + first_sum : first_sum;
                    add_outer<T>(
                        operand, vectors(block), group.n_alike,
                        {gate_rows(tape, block, group.first) + (row + operand.depth - 1) * width,
                         -width, tape.gate_stride},
                        {sums + first * width, width, n_sums * width});
                    control.poll(operand.depth * operand.n_columns * group.n_alike * width);
                }
                sums += group.n_alike * n_sums * width;
            });
        }
    }

    void unpack(Index block, const T* sums, T* gradient) const {
        const Index width = vectors(block) * V::width, column = block * panel_width<T>;
        const auto copy_rows = [&](Index n_rows, T* to) {
            for (Index k = 0; k < n_rows; ++k, sums += width)
                std::copy_n(sums, units_in(block), to + k * row_stride());
        };
        for (const Gate& gate : Cell::gates) {
            const Index offset = gate.column * shape_.n_units + column;
            if (takes_input(gate.operand))
                copy_rows(input_width_, gradient + shape_.offsets.W_xh + offset);
            copy_rows(1, gate.recurrent_bias ? gradient + shape_.offsets.b_hn + column
                                             : gradient + shape_.offsets.b_h + offset);
            if (takes_any_state(gate.operand))
                copy_rows(shape_.n_units, gradient + shape_.offsets.W_hh + offset);
        }
    }

    RecurrenceShape shape_;
    Index n_columns_ = 0, input_width_ = 0, packed_width_ = 0, n_blocks_ = 0;
    std::array<GateGroup, n_gates> groups_;
    int n_groups_ = 0;
    Index total_depth_ = 0;  // of all gates' sums
};

}  // namespace elman
