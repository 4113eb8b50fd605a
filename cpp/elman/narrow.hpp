// Layers of so few units that the gates share registers, when nothing is trained.
//
// RecurrenceOf gives each gate whole registers: of 20 units the 4 gates of an LSTM take 8 of 16
// lanes, though 80 columns fill 5. Here the columns of gates with the same operands stand side by
// side in a row of z, those that go through the same function next to each other:
//
//     z         | i f o g |                                        one strip of an LSTM
//     z         | r z  | n  | m  |                                 three of a GRU, each from a
//                                                                  register's beginning on
//     squashed  | sigmoid(i f o) tanh(g) |
//
// and the weights are read row by row, [W_xh; W_hh] as far as the strip takes them, with no idle
// lane but at the end of a row: what it multiplies there are weights of the next row, and nobody
// reads the sums. Each sum has the terms and the order of RecurrenceOf, so outputs are the same to
// the bit.
//
// A squashed row is a place of its own, since whole registers are written, and where one function's
// gates end within a register the next one's begin.
#pragma once

#include "elman/layer.hpp"

namespace elman {

template <class Cell, class T>
class NarrowRecurrenceOf : public RecurrenceOf<Cell, T> {
public:
    using Base = RecurrenceOf<Cell, T>;
    using V = Vec<T>;
    static constexpr int n_gates = Cell::n_gates;

    explicit NarrowRecurrenceOf(RecurrenceShape shape) : Base(std::move(shape)) {
        is_narrow_ = !shape_.may_miss && !shape_.layer_norm;
        shape_.for_each_group([this](const GateGroup& group) { place(group); });
    }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        weights.side_by_side = is_narrow_ && !training && weights.storage == Storage::full;
        if (!weights.side_by_side) return Base::pack(parameters, training, weights);
        weights.panels.resize(std::size_t(n_weights_));
        weights.bias.resize(std::size_t(row_width_));
        shape_.for_each_group([&](const GateGroup& group) {
            for (int g = group.first; g < group.first + group.n_alike; ++g)
                pack_gate(g, strips_[std::size_t(group.first)], parameters, weights);
        });
    }

    void resize(Tape<T>& tape, const Batch& batch) const override {
        Base::resize(tape, batch);
        const Index n_rows = tape.sums_ahead ? steps_ahead : batch.n_sequences();
        if (is_narrow_ && !tape.training)
            make_room(tape.gates, checked_multiply(n_rows, row_stride_of_gates()));
    }

    void sum_tokens(const Rows<const T>& x, Range places, const PackedWeights<T>& weights,
                    Tape<T>& tape) const override {
        if (!weights.side_by_side) return Base::sum_tokens(x, places, weights, tape);
        const Index stride = token_stride(shape_);
        const Term<T> term{x.row(places.begin), x.stride, 1, x.width};
        shape_.for_each_group([&](const GateGroup& group) {
            if (takes_input(shape_.gate(group.first).operand))
                add_products(group, Terms<T>{&term, 1}, places.size(), 0, weights,
                             tape.token_sums.data() + places.begin * stride, stride);
        });
    }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!weights.side_by_side)
            return Base::forward(batch, shard, inputs, weights, tape, control);
        for_each_step(batch, shard, shape_.reverse, false, [&](const StepRows& rows) {
            if (Cell::has_cell_state && batch.begins_branch(rows.t))
                keep_branch(shape_, rows, tape);
            if (tape.sums_ahead && !tape.has_token_sums())
                sum_inputs_ahead(shape_, rows.t, batch.n_steps(), inputs,
                                 [&](const GateGroup& group, const Terms<T>& terms, Range steps) {
                                     add_products(group, terms, steps.size(), 0, weights,
                                                  z_of(tape, 0), row_stride_of_gates());
                                 });
            forward_step<0>(rows, inputs, weights, tape);
            if constexpr (Base::has_gated_state) forward_step<1>(rows, inputs, weights, tape);
            control.poll(rows.size * this->multiply_adds());
        });
    }

protected:
    using Base::shape_;
    Index n_units() const { return shape_.n_units; }

    static Index whole_registers(Index n) { return (n + V::width - 1) / V::width * V::width; }

private:
    // The columns of a group of gates, and where in the packed weights theirs begin.
    struct Strip {
        Index first, n_columns, first_weight;
    };
    // Columns that go through the same function.
    struct Span {
        Squashing squashing;
        int phase;
        Index first, n_columns;
    };

    // Of a row of z and what it is squashed to, which may begin within a register and so end in one
    // more.
    Index row_stride_of_gates() const { return 2 * row_width_ + V::width; }
    T* z_of(Tape<T>& tape, Index row) const {
        return tape.gates.data() + row * row_stride_of_gates();
    }

    void place(const GateGroup& group) {
        const Strip strip{row_width_, group.n_alike * n_units(), n_weights_};
        Index column = strip.first;
        for (const Squashing squashing : {Squashing::none, Squashing::sigmoid, Squashing::tanh}) {
            const Index first = column;
            for (int g = group.first; g < group.first + group.n_alike; ++g) {
                if (Cell::gates[g].squashing != squashing) continue;
                places_[std::size_t(g)] = column;
                column += n_units();
            }
            if (column > first && squashing != Squashing::none)
                spans_[std::size_t(n_spans_++)] = {squashing, Cell::gates[group.first].phase, first,
                                                   column - first};
        }
        strips_[std::size_t(group.first)] = strip;
        row_width_ += whole_registers(strip.n_columns);
        n_weights_ += whole_registers(group.depth * strip.n_columns);
        is_narrow_ = is_narrow_ && strip.n_columns <= detail::max_registers_of_a_row * V::width;
    }

    void pack_gate(int g, const Strip& strip, const T* parameters,
                   PackedWeights<T>& weights) const {
        const Gate& gate = Cell::gates[g];
        const Index place = places_[std::size_t(g)];
        T* to = weights.panels.data() + strip.first_weight + place - strip.first;
        const auto pack_rows = [&](Index W, Index n_rows) {
            const T* from = parameters + W + gate.column * n_units();
            for (Index k = 0; k < n_rows; ++k, from += shape_.row_stride(), to += strip.n_columns)
                std::copy_n(from, n_units(), to);
        };
        if (takes_input(gate.operand)) pack_rows(shape_.offsets.W_xh, shape_.input_width());
        if (takes_any_state(gate.operand)) pack_rows(shape_.offsets.W_hh, n_units());
        std::copy_n(parameters + shape_.place_of_bias(gate), n_units(),
                    weights.bias.data() + place);
    }

    // Whole rows, since those of gates without inputs are written anew.
    void copy_token_sums(const StepRows& rows, T* z, const Tape<T>& tape) const {
        for (Index r = 0; r < rows.size; ++r, z += row_stride_of_gates()) {
            const T* const from =
                tape.token_sums.data() + tape.token_of_row[rows.row + r] * token_stride(shape_);
            for (Index lane = 0; lane < row_width_; lane += V::width)
                V::load(from + lane).store(z + lane);
        }
    }

    // Adds the terms to z, from row first_k of the weights on; without rows before, to the bias.
    void add_products(const GateGroup& group, const Terms<T>& terms, Index n_rows, Index first_k,
                      const PackedWeights<T>& weights, T* z, Index stride) const {
        const Strip& strip = strips_[std::size_t(group.first)];
        T* const out = z + strip.first;
        const T* const start = first_k > 0 ? out : weights.bias.data() + strip.first;
        const Rows<const T> b{
            weights.panels.data() + strip.first_weight + first_k * strip.n_columns, strip.n_columns,
            strip.n_columns};
        if (n_rows == 1)
            multiply_row_of(terms, b, start, out);
        else
            multiply_rows_of<T>(terms, n_rows, b, {start, first_k > 0 ? stride : 0, panel_width<T>},
                                {out, stride, strip.n_columns});
    }

    template <int phase>
    void forward_step(const StepRows& rows, const Features<const T>& inputs,
                      const PackedWeights<T>& weights, Tape<T>& tape) const {
        std::array<Term<T>, 3> operands;
        const auto terms = terms_of(shape_, phase, rows, inputs, tape, operands);
        T* const z = z_of(tape, gate_row(rows, tape));
        if (phase == 0 && tape.has_token_sums()) copy_token_sums(rows, z, tape);
        shape_.for_each_group([&](const GateGroup& group) {
            if (Cell::gates[group.first].phase == phase)
                sum_gates(shape_, group, terms, tape.has_input_sums(),
                          [&](const Terms<T>& some, Index first_k) {
                              add_products(group, some, rows.size, first_k, weights, z,
                                           row_stride_of_gates());
                          });
        });
        T* const squashed = z + row_width_;
        const Index stride = row_stride_of_gates();
        for (int i = 0; i < n_spans_; ++i) {
            const Span& span = spans_[std::size_t(i)];
            if (span.phase == phase)
                squash(span.squashing, rows.size, span.n_columns, stride, z + span.first,
                       squashed + span.first);
        }
        std::array<T*, n_gates> gates;
        for (std::size_t g = 0; g < n_gates; ++g)
            gates[g] = (Cell::gates[g].squashing == Squashing::none ? z : squashed) + places_[g];
        this->template forward_cells<phase, false>(rows, previous_states(shape_, rows, tape), 0,
                                                   shape_.packed_width(), gates, stride, tape);
    }

    bool is_narrow_;
    std::array<Strip, n_gates> strips_;  // by the first gate of a group
    std::array<Span, n_gates> spans_;
    int n_spans_ = 0;
    std::array<Index, n_gates> places_;  // of gates in a row
    Index row_width_ = 0, n_weights_ = 0;
};

}  // namespace elman
