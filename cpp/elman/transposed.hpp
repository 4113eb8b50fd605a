// Layers whose units leave lanes idle, on sequences of one length: a lane of a register is a
// sequence.
//
// RecurrenceOf puts units side by side in a register, and 20 of them fill no more than 20 lanes of
// 32, in every product and every squashing. Here all is transposed, and a bundle of sequences
// stands side by side instead:
//
//     z_t^T = b + [W_xh; W_hh]^T [x_t, h_{t-1}]^T
//
// The tiles are the same; what they read by broadcast are the weights, of which a panel's columns
// are neighbours. Each sum has the terms and the order of RecurrenceOf, so outputs are the same to
// the bit. h_t and dL/dx_t go back into rows, where other layers find them. The gradient of the
// weights is summed sequence by sequence (lane_products.hpp), another order than RecurrenceOf's;
// so whether a layer is trained like this depends on its shape and on the mini-batch, and not on
// the instruction set. Of two such layers one above the other the upper one reads h_t and leaves
// dL/dx_t side by side, without rows between them.
//
// Operands and states are kept by the index i of a step in the order of processing, which makes a
// reverse layer a matter of reading and writing rows.
#pragma once

#include "elman/lane_products.hpp"
#include "elman/narrow.hpp"

namespace elman {

template <class Cell, class T>
class TransposedRecurrenceOf : public NarrowRecurrenceOf<Cell, T> {
    static_assert(Cell::n_phases == 1);

public:
    using Base = NarrowRecurrenceOf<Cell, T>;
    using V = Vec<T>;
    static constexpr int n_gates = Cell::n_gates;

    using Base::Base;

    static bool suits(const RecurrenceShape& shape) {
        return (is_trained_transposed(shape.n_units) || is_predicted_transposed(shape)) &&
               !shape.may_miss && !shape.layer_norm;
    }
    // Where registers of 64 bytes would leave a quarter of their lanes idle.
    static bool is_trained_transposed(Index n_units) {
        return leaves_idle(4, n_units, Index(64 / sizeof(T)));
    }
    // Whether mini-batches of so many sequences are; threads take them by as many, whatever the
    // instruction set.
    static constexpr bool fills_lanes(Index n_sequences) { return n_sequences % n_sum_lanes == 0; }

    Index sequences_side_by_side() const override { return pays(true) ? n_sum_lanes : 1; }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        Base::pack(parameters, training, weights);
        const Index first = shape_.offsets.W_xh;
        weights.flat.assign(parameters + first, parameters + shape_.end_of_parameters());
        weights.spread_bias.resize(std::size_t(n_gates * n_units() * panel_width<T>));
        T* to = weights.spread_bias.data();
        for (const Gate& gate : Cell::gates)
            for (Index u = 0; u < n_units(); ++u, to += panel_width<T>)
                std::fill_n(to, panel_width<T>, parameters[shape_.place_of_bias(gate) + u]);
    }

    void resize(Tape<T>& tape, const Batch& batch) const override {
        Base::resize(tape, batch);
        Lanes<T>& lanes = tape.lanes;
        const Index n = (batch.n_sequences() + n_sum_lanes - 1) / n_sum_lanes * n_sum_lanes;
        const bool fills =
            tape.training ? fills_lanes(batch.n_sequences()) : 3 * batch.n_sequences() > 2 * n;
        lanes.active = pays(tape.training) && batch.is_regular && fills && !tape.has_mask &&
                       batch.branch_step == 0;
        lanes.below = nullptr;
        lanes.has_above = false;
        if (!lanes.active) return;
        lanes.operand_width = operand_width();
        lanes.first_state = 1 + shape_.input_width();
        lanes.stride = n;
        lanes.bundles.assign(std::size_t(n / V::width), 0);
        lanes.n_kept = lanes.n_operands = tape.training ? batch.n_steps() + 1 : 2;
        lanes.kept = lanes.kept_operands = tape.training ? ~Index(0) : Index(1);
        const Index units = n * n_units();
        make_room(lanes.operands, checked_multiply(lanes.n_operands, n * operand_width()));
        make_room(lanes.z, checked_multiply(lanes.n_kept, n * z_width()));
        if constexpr (Cell::has_cell_state) {
            make_room(lanes.c, checked_multiply(lanes.n_kept, units));
            make_room(lanes.memo, checked_multiply(lanes.n_kept, units));
        }
        if (!tape.training) return;
        for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc, &lanes.incoming})
            make_room(*carried, units);
        make_room(lanes.outgoing, n * shape_.input_width());
        make_room(lanes.sums, (shape_.total_depth() + n_gates) * n_units() * n_sum_lanes);
    }

    bool is_transposed(const Tape<T>& tape) const override { return tape.lanes.active; }
    void link(const Batch& batch, Tape<T>& tape, Tape<T>& above) const override {
        Lanes<T>& lanes = tape.lanes;
        lanes.has_above = true;
        above.lanes.below = &lanes;
        lanes.n_operands = batch.n_steps() + 1;
        lanes.kept_operands = ~Index(0);
        make_room(lanes.operands,
                  checked_multiply(lanes.n_operands, lanes.stride * lanes.operand_width));
        if (tape.training)
            make_room(lanes.dy, checked_multiply(batch.n_steps(), lanes.stride * n_units()));
    }
    bool takes_token_sums(const Tape<T>& tape) const override { return !tape.lanes.active; }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active || weights.storage != Storage::full)
            return Base::forward(batch, shard, inputs, weights, tape, control);
        for_each_bundle(shard, [&](const Bundle& bundle) {
            forward_bundle(batch, bundle, inputs, weights, tape, control);
        });
    }

    void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                  Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx, bool accumulate,
                  Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active)
            return Base::backward(batch, shard, weights, bptt_steps, dy, dx, accumulate, tape,
                                  control);
        for_each_bundle(shard, [&](const Bundle& bundle) {
            backward_bundle(batch, bundle, weights, bptt_steps, dy, dx, accumulate, tape, control);
        });
    }

    // Of the gradient: tiles of the columns that gates have side by side.
    Index n_gradient_blocks() const override {
        Index n = 0;
        shape_.for_each_group(
            [&](const GateGroup& group) { n += n_column_tiles(group.n_alike * n_units()); });
        return n;
    }

    void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                  const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                  Control& control) const override {
        if (!tape.lanes.active) {
            const Index n = Base::n_gradient_blocks();
            blocks = {n * blocks.begin / n_gradient_blocks(), n * blocks.end / n_gradient_blocks()};
            if (blocks.size() > 0)
                Base::gradient(blocks, batch, inputs, runs, pass, tape, gradient, control);
            return;
        }
        for_each_strip(blocks, tape.lanes, [&](const Strip& strip) {
            add_products(strip, batch, pass.begins, tape.lanes, control);
            if (pass.ends) add_up(strip, gradient);
        });
    }

protected:
    // Whether one of so many parts of the lanes of a row, or more, is idle.
    static bool leaves_idle(Index n_parts, Index n_units, Index vector_width = V::width) {
        return n_parts * n_units <= (n_parts - 1) * packed_columns(n_units, vector_width);
    }
    // Where an eighth of the lanes or more would be idle (of a single gate a quarter), to go from
    // rows to lanes costs less than they do. Few units with many inputs stay in rows: to turn those
    // round would be most of the work.
    static bool is_predicted_transposed(const RecurrenceShape& shape) {
        return shape.input_width() <= 4 * shape.n_units &&
               leaves_idle(n_gates > 1 ? 8 : 4, shape.n_units);
    }
    bool pays(bool training) const {
        return training ? is_trained_transposed(n_units()) : is_predicted_transposed(shape_);
    }

    // Sequences [first, first + size), in as many lanes of each column.
    struct Bundle {
        Index first, size, lanes;
    };
    template <class Function>
    static void for_each_bundle(Range shard, const Function& function) {
        for (Index first = shard.begin; first < shard.end; first += panel_width<T>)
            function(bundle_of(first, std::min(panel_width<T>, shard.end - first)));
    }

    // Where forward has put a sequence.
    static Bundle bundle_with(Index sequence, const Lanes<T>& lanes) {
        std::size_t i = std::size_t(sequence / V::width);
        while (lanes.bundles[i] == 0) --i;
        return bundle_of(Index(i) * V::width, lanes.bundles[i]);
    }
    static Bundle bundle_of(Index first, Index size) {
        return {first, size, panel_vectors<T>(0, size) * V::width};
    }

    using Base::n_units;
    using Base::shape_;
    Index operand_width() const { return 1 + shape_.input_width() + n_units(); }

    // Column by column what a bundle has in an array of `width` columns a step.
    static T* at(Array<T>& array, const Bundle& bundle, Index width, Index i, Index n_kept) {
        return array.data() + (bundle.first * n_kept + i * bundle.lanes) * width;
    }
    // By column ones, which biases are the weights of, x_i and h_{i-1}; that behind the last step
    // has its h.
    static T* operand_at(Lanes<T>& lanes, const Bundle& bundle, Index i) {
        return at(lanes.operands, bundle, lanes.operand_width, i & lanes.kept_operands,
                  lanes.n_operands);
    }
    static T* h_before(Lanes<T>& lanes, const Bundle& bundle, Index i) {
        return operand_at(lanes, bundle, i) + lanes.first_state * bundle.lanes;
    }
    static T* dy_at(Lanes<T>& lanes, const Bundle& bundle, Index i, Index n_units) {
        return at(lanes.dy, bundle, n_units, i, lanes.n_operands - 1);
    }
    // Then the gates, and on the way back dz.
    T* z_at(Lanes<T>& lanes, const Bundle& bundle, Index i) const {
        return at(lanes.z, bundle, z_width(), i & lanes.kept, lanes.n_kept);
    }
    // Odd, so that a column of one step and of the next compete for other sets of the cache.
    Index z_width() const { return (n_gates * n_units()) | 1; }
    T* c_before(Lanes<T>& lanes, const Bundle& bundle, Index i) const {
        return at(lanes.c, bundle, n_units(), i & lanes.kept, lanes.n_kept);
    }
    T* memo_at(Lanes<T>& lanes, const Bundle& bundle, Index i) const {
        return at(lanes.memo, bundle, n_units(), i & lanes.kept, lanes.n_kept);
    }
    T* carried(Array<T>& array, const Bundle& bundle) const {
        return at(array, bundle, n_units(), 0, 1);
    }

    static void read(const Rows<const T>& rows, Index first_row, const Bundle& bundle, T* to) {
        rows_to_lanes<T>({rows.row(first_row + bundle.first), rows.stride, rows.width}, bundle.size,
                         to, bundle.lanes);
    }
    static void write(const T* from, const Bundle& bundle, const Rows<T>& rows, Index first_row) {
        lanes_to_rows<T>(from, bundle.lanes, bundle.size,
                         {rows.row(first_row + bundle.first), rows.stride, rows.width});
    }

    void forward_bundle(const Batch& batch, const Bundle& bundle, const Features<const T>& inputs,
                        const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const {
        Lanes<T>& lanes = tape.lanes;
        const Index n_steps = batch.n_steps();
        lanes.bundles[std::size_t(bundle.first / V::width)] = bundle.size;
        read(tape.initial_h.rows(), 0, bundle, h_before(lanes, bundle, 0));
        if constexpr (Cell::has_cell_state)
            read(tape.initial_c.rows(), 0, bundle, c_before(lanes, bundle, 0));
        for (Index i = 0; i < n_steps; ++i) {
            const Index row = batch.row(shape_.step_at(batch, i), 0);
            read_inputs(i, row, bundle, inputs, lanes);
            T* const z = z_at(lanes, bundle, i);
            sum_gates(operand_at(lanes, bundle, i), bundle, weights, z);
            forward_units(i, bundle, z, z_at(lanes, bundle, std::min(i + 1, n_steps - 1)), lanes);
            if ((tape.every_step && !lanes.has_above) || i + 1 == n_steps)
                write(h_before(lanes, bundle, i + 1), bundle, tape.h.rows(), row);
            control.poll(bundle.size * this->multiply_adds());
        }
        if constexpr (Cell::has_cell_state)
            write(c_before(lanes, bundle, n_steps), bundle,
                  tape.cells.last(batch, 0, shape_.reverse), 0);
    }

    void read_inputs(Index i, Index row, const Bundle& bundle, const Features<const T>& inputs,
                     Lanes<T>& lanes) const {
        T* x = operand_at(lanes, bundle, i);
        x = std::fill_n(x, bundle.lanes, T(1));
        if (lanes.below != nullptr) {
            std::copy_n(h_before(*lanes.below, bundle, i + 1), shape_.input_width() * bundle.lanes,
                        x);
            return;
        }
        for (Index part = 0; part < inputs.n_parts; ++part) {
            read(inputs[part], row, bundle, x);
            x += inputs[part].width * bundle.lanes;
        }
    }

    // z of all gates.
    void sum_gates(const T* operand, const Bundle& bundle, const PackedWeights<T>& weights,
                   T* z) const {
        const ParameterOffsets& at = shape_.offsets;
        const Index stride = shape_.row_stride();
        shape_.for_each_group([&](const GateGroup& group) {
            const Gate& gate = Cell::gates[group.first];
            const T* const W_xh = weights.flat.data() + gate.column * n_units();
            std::array<Term<T>, 2> terms;
            Index n_terms = 0;
            if (takes_input(gate.operand))
                terms[std::size_t(n_terms++)] = {W_xh, 1, stride, shape_.input_width()};
            if (takes_state(gate.operand))
                terms[std::size_t(n_terms++)] = {W_xh + at.W_hh - at.W_xh, 1, stride, n_units()};
            const Index begin = takes_input(gate.operand) ? 1 : 1 + shape_.input_width();
            const T* const from = operand + begin * bundle.lanes;
            const Index first = group.first * n_units();
            multiply_rows_of<T>(
                {terms.data(), n_terms}, group.n_alike * n_units(),
                {from, bundle.lanes, bundle.lanes},
                {weights.spread_bias.data() + first * panel_width<T>, panel_width<T>, 0},
                {z + first * bundle.lanes, bundle.lanes, bundle.lanes});
        });
    }

    // out = start + B^T operand, with rows k of a matrix B that is packed in panels of its
    // n_columns and has `depth` rows in all.
    static void multiply_columns(const T* panels, Index n_columns, Index depth, Range k,
                                 const T* operand, const Bundle& bundle,
                                 const Block<const T>& start, T* out) {
        for (Index column = 0; column < n_columns; column += panel_width<T>) {
            const Index width = panel_vectors<T>(column, n_columns) * V::width;
            const Term<T> term{panels + column * depth + k.begin * width, 1, width, k.size()};
            multiply_rows_of<T>(
                {&term, 1}, std::min(panel_width<T>, n_columns - column),
                {operand, bundle.lanes, bundle.lanes},
                {start.data + column * start.row_stride, start.row_stride, start.panel_stride},
                {out + column * bundle.lanes, bundle.lanes, bundle.lanes});
        }
    }

    void forward_units(Index i, const Bundle& bundle, T* z, const T* next_z,
                       Lanes<T>& lanes) const {
        const Index n = n_units() * bundle.lanes;
        for (int g = 0, next; g < n_gates; g = next) {
            for (next = g + 1;
                 next < n_gates && Cell::gates[next].squashing == Cell::gates[g].squashing;)
                ++next;
            squash_many(Cell::gates[g].squashing, 1, (next - g) * n, 0, z + g * n, z + g * n);
        }
        const T* const h_previous = h_before(lanes, bundle, i);
        T* const h = h_before(lanes, bundle, i + 1);
        const T* const c_previous = Cell::has_cell_state ? c_before(lanes, bundle, i) : nullptr;
        T* const c = Cell::has_cell_state ? c_before(lanes, bundle, i + 1) : nullptr;
        T* const memo = Cell::has_cell_state ? memo_at(lanes, bundle, i) : nullptr;
        for (Index at = 0; at < n; at += V::width) {
            V a[n_gates];
            for (int g = 0; g < n_gates; ++g) a[g] = V::load(z + g * n + at);
            for (int g = 0; g < n_gates; ++g) prefetch(next_z + g * n + at);
            Step<V> step;
            step.h_previous = step.h_operand = V::load(h_previous + at);
            if constexpr (Cell::has_cell_state) step.c_previous = V::load(c_previous + at);
            Cell::template forward<0>(a, step);
            if (n_gates > 1)
                for (int g = 0; g < n_gates; ++g)
                    if (Cell::gates[g].squashing == Squashing::none) a[g].store(z + g * n + at);
            step.h.store(h + at);
            if constexpr (Cell::has_cell_state) {
                step.c.store(c + at);
                step.memo.store(memo + at);
            }
        }
    }

    void backward_bundle(const Batch& batch, const Bundle& bundle, const PackedWeights<T>& weights,
                         Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx,
                         bool accumulate, Tape<T>& tape, Control& control) const {
        Lanes<T>& lanes = tape.lanes;
        tape.recurrent.rows().clear(std::max(bundle.first, batch.n_continuing),
                                    bundle.first + bundle.size);
        read(tape.dh.rows(), 0, bundle, carried(lanes.dh, bundle));
        read(tape.recurrent.rows(), 0, bundle, carried(lanes.recurrent, bundle));
        if constexpr (Cell::has_cell_state)
            read(tape.dc.rows(), 0, bundle, carried(lanes.dc, bundle));
        for (Index i = batch.n_steps() - 1; i >= 0; --i) {
            const Index t = shape_.step_at(batch, i), row = batch.row(t, 0);
            const T* incoming = nullptr;
            if (lanes.has_above) {
                incoming = dy_at(lanes, bundle, i, n_units());
            } else if (dy.data != nullptr) {
                read(dy, row, bundle, carried(lanes.incoming, bundle));
                incoming = carried(lanes.incoming, bundle);
            }
            T* const z = z_at(lanes, bundle, i);
            backward_units(i, bundle, z, z_at(lanes, bundle, std::max<Index>(i - 1, 0)), incoming,
                           lanes);
            sum_gradients(z, bundle, takes_state, n_units(), weights.state_transposed, false,
                          carried(lanes.recurrent, bundle));
            if (bptt_steps > 0 && shape_.steps_to_end(batch, t, 0) % bptt_steps == 0)
                for (Array<T>* array : {&lanes.dh, &lanes.recurrent, &lanes.dc})
                    std::fill_n(carried(*array, bundle), n_units() * bundle.lanes, T(0));
            if (lanes.below != nullptr)
                sum_gradients(z, bundle, takes_input, shape_.input_width(),
                              weights.input_transposed[0], false,
                              dy_at(*lanes.below, bundle, i, shape_.input_width()));
            for (Index part = 0; lanes.below == nullptr && part < dx.n_parts; ++part)
                send_to_inputs(z, bundle, row, dx[part],
                               weights.input_transposed[std::size_t(part)], accumulate, lanes);
            control.poll(2 * bundle.size * this->multiply_adds());
        }
        write(carried(lanes.dh, bundle), bundle, tape.dh.rows(), 0);
        write(carried(lanes.recurrent, bundle), bundle, tape.recurrent.rows(), 0);
        if constexpr (Cell::has_cell_state)
            write(carried(lanes.dc, bundle), bundle, tape.dc.rows(), 0);
    }

    // dz takes the place of the gates.
    void backward_units(Index i, const Bundle& bundle, T* z, const T* next_z, const T* dy,
                        Lanes<T>& lanes) const {
        const Index n = n_units() * bundle.lanes;
        const T* const h_previous = h_before(lanes, bundle, i);
        const T* const h = h_before(lanes, bundle, i + 1);
        T* const dh = carried(lanes.dh, bundle);
        const T* const recurrent = carried(lanes.recurrent, bundle);
        const T* const c_previous = Cell::has_cell_state ? c_before(lanes, bundle, i) : nullptr;
        const T* const memo = Cell::has_cell_state ? memo_at(lanes, bundle, i) : nullptr;
        const Index next = std::max<Index>(i - 1, 0);
        const T* const next_c = Cell::has_cell_state ? c_before(lanes, bundle, next) : nullptr;
        const T* const next_memo = Cell::has_cell_state ? memo_at(lanes, bundle, next) : nullptr;
        T* const dc = carried(lanes.dc, bundle);
        for (Index at = 0; at < n; at += V::width) {
            V a[n_gates];
            for (int g = 0; g < n_gates; ++g) a[g] = V::load(z + g * n + at);
            for (int g = 0; g < n_gates; ++g) prefetch(next_z + g * n + at);
            StepGradient<V> step;
            step.h_previous = step.h_operand = V::load(h_previous + at);
            step.h = V::load(h + at);
            step.dh = V::load(dh + at) + V::load(recurrent + at);
            if (dy != nullptr) step.dh = V::load(dy + at) + step.dh;
            if constexpr (Cell::has_cell_state) {
                step.c_previous = V::load(c_previous + at);
                step.memo = V::load(memo + at);
                prefetch(next_c + at);
                prefetch(next_memo + at);
                step.dc = V::load(dc + at);
            }
            Cell::template backward<0>(a, step);
            for (int g = 0; g < n_gates; ++g) a[g].store(z + g * n + at);
            step.dh_previous.store(dh + at);
            if constexpr (Cell::has_cell_state) step.dc.store(dc + at);
        }
    }

    // Some of the columns that gates have side by side, and the sums of them all: of b, W_xh and
    // W_hh as far as the gates have them.
    struct Strip {
        GateGroup group;
        Index n_columns;  // of all gates
        Range tiles;
        T* sums;

        Range columns() const {
            return {columns_of_tile(n_columns, tiles.begin).begin,
                    columns_of_tile(n_columns, tiles.end - 1).end};
        }
        T* row(Index k) const { return sums + k * n_columns * n_sum_lanes; }
    };
    template <class Function>
    void for_each_strip(Range blocks, Lanes<T>& lanes, const Function& function) const {
        Index first = 0;
        T* sums = lanes.sums.data();
        shape_.for_each_group([&](const GateGroup& group) {
            const Index n_columns = group.n_alike * n_units(), n = n_column_tiles(n_columns);
            const Range tiles{std::max<Index>(blocks.begin - first, 0),
                              std::min(blocks.end - first, n)};
            if (tiles.size() > 0) function(Strip{group, n_columns, tiles, sums});
            first += n;
            sums += (group.depth + 1) * n_columns * n_sum_lanes;
        });
    }

    void add_products(const Strip& strip, const Batch& batch, bool begins, Lanes<T>& lanes,
                      Control& control) const {
        const Operand operand = Cell::gates[strip.group.first].operand;
        const Index at_once = steps_at_once(batch.n_sequences());
        LanePlaces<T> places;
        for (Index end = batch.n_steps(); end > 0; end -= at_once) {
            const Range steps{std::max<Index>(end - at_once, 0), end};
            find_places(steps, batch.n_sequences(), strip.group.first * n_units(), lanes, places);
            const auto add = [&](Range operands, Index k) {
                add_lane_products<T>(places, operands, strip.n_columns, strip.tiles,
                                     begins && end == batch.n_steps(), strip.row(k));
            };
            if (takes_input(operand)) {
                add({0, strip.group.depth + 1}, 0);
            } else {
                add({0, 1}, 0);
                add({lanes.first_state, lanes.first_state + strip.group.depth}, 1);
            }
            control.poll(steps.size() * batch.n_sequences() * (strip.group.depth + 1) *
                         strip.columns().size());
        }
    }

    // Many, since sums are read and written once for these; but where a register takes less than a
    // cache line, so few that lines are still there for the next one.
    static Index steps_at_once(Index n_sequences) {
        constexpr Index n_places = sizeof(V) < 64 ? 32 : 96;
        return std::max<Index>(n_places * n_sum_lanes / n_sequences, 1);
    }

    // From the last step and sequence to the first.
    void find_places(Range steps, Index n_sequences, Index first_column, Lanes<T>& lanes,
                     LanePlaces<T>& places) const {
        for (auto& of_register : places) of_register.clear();
        for (Index i = steps.end - 1; i >= steps.begin; --i)
            for (Index s = n_sequences - V::width; s >= 0; s -= V::width) {
                const Bundle bundle = bundle_with(s, lanes);
                const Index within = s - bundle.first;
                places[std::size_t(s % n_sum_lanes / V::width)].push_back(
                    {operand_at(lanes, bundle, i) + within,
                     z_at(lanes, bundle, i) + first_column * bundle.lanes + within, bundle.lanes});
            }
    }

    void add_up(const Strip& strip, T* gradient) const {
        const Range columns = strip.columns();
        Index k = 0;
        const auto add_rows = [&](Index n_rows, Index offset) {
            for (Index row = 0; row < n_rows; ++row, ++k)
                add_up_lanes<T>(strip.row(k) + columns.begin * n_sum_lanes, columns.size(),
                                gradient + offset + row * shape_.row_stride() + columns.begin);
        };
        const Gate& gate = Cell::gates[strip.group.first];
        const Index first = gate.column * n_units();
        add_rows(1, shape_.place_of_bias(gate));
        if (takes_input(gate.operand)) add_rows(shape_.input_width(), shape_.offsets.W_xh + first);
        if (takes_any_state(gate.operand)) add_rows(n_units(), shape_.offsets.W_hh + first);
    }

    // out = W dz over the gates that take an operand, of which W has n_rows rows; or added to it.
    void sum_gradients(const T* dz, const Bundle& bundle, bool (*takes)(Operand), Index n_rows,
                       const Array<T>& transposed, bool adds, T* out) const {
        Index depth = 0, done = 0;
        for (const Gate& gate : Cell::gates) depth += takes(gate.operand) ? n_units() : 0;
        for (int g = 0, next; g < n_gates; g = next) {
            const auto is_taking = [&](int gate) {
                return gate < n_gates && takes(Cell::gates[gate].operand);
            };
            for (next = g + 1; is_taking(g) && is_taking(next);) ++next;
            if (!is_taking(g)) continue;
            const Index k = (next - g) * n_units();
            multiply_columns(transposed.data(), n_rows, depth, {done, done + k},
                             dz + g * n_units() * bundle.lanes, bundle,
                             adds ? Block<const T>{out, bundle.lanes, 0} : zeros<T>(), out);
            adds = true;
            done += k;
        }
    }

    void send_to_inputs(const T* dz, const Bundle& bundle, Index first_row, const Rows<T>& dx,
                        const Array<T>& transposed, bool accumulate, Lanes<T>& lanes) const {
        T* const out = at(lanes.outgoing, bundle, shape_.input_width(), 0, 1);
        if (accumulate) read(dx, first_row, bundle, out);
        sum_gradients(dz, bundle, takes_input, dx.width, transposed, accumulate, out);
        write(out, bundle, dx, first_row);
    }
};

}  // namespace elman
