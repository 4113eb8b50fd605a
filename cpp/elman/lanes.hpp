// Layers of a few units on sequences of one length: a lane of a register is a sequence.
//
// RecurrenceOf puts units side by side in a register; of one or two units most lanes would be idle.
// Here 16 sequences lie side by side instead, and a weight is broadcast:
//
//     h_t[u, :] = cell(b[u] + sum_d W_xh[d, u] x_t[d, :] + sum_k W_hh[k, u] h_{t-1}[k, :])
//
// Each sum has the terms and the order of RecurrenceOf, so outputs are the same to the bit. The
// gradient of a weight is summed lane by lane over the steps, from the last to the first, and the
// 16 lanes are added up at the end in one order.
//
// Everything is kept by the index i of a step in the order of processing, which makes a reverse
// layer a matter of copying rows in and out.
#pragma once

#include "elman/narrow.hpp"

namespace elman {

template <class Cell, class T>
class SmallRecurrenceOf final : public NarrowRecurrenceOf<Cell, T> {
    static_assert(Cell::n_phases == 1);

public:
    using Base = NarrowRecurrenceOf<Cell, T>;
    using V = Vec<T>;
    static constexpr int n_gates = Cell::n_gates;

    using Base::Base;

    // Every weight is loaded again for each register of sequences, and more of them than this took
    // longer than the idle lanes of RecurrenceOf (training of each cell at widths 1 to 4).
    static bool suits(const RecurrenceShape& shape) {
        constexpr Index max_units = 4, max_weights = 72;
        const Index weights = n_gates * shape.n_units * (shape.input_width() + shape.n_units);
        return shape.n_units <= max_units && weights <= max_weights && !shape.may_miss &&
               !shape.layer_norm;
    }

    Index sequences_side_by_side() const override { return n_lanes; }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        Base::pack(parameters, training, weights);
        weights.flat.assign(parameters, parameters + end_of_parameters());
    }

    void resize(Tape<T>& tape, const Batch& batch) const override {
        Lanes<T>& lanes = tape.lanes;
        lanes.active = batch.is_regular && batch.n_sequences() >= n_lanes / 2 && !tape.has_mask &&
                       batch.branch_step == 0;
        Base::resize(tape, batch);
        if (!lanes.active) return;
        const Index n_steps = batch.n_steps();
        lanes.stride = (batch.n_sequences() + n_lanes - 1) / n_lanes * n_lanes;
        const Index units = lanes.stride * n_units();
        make_room(lanes.x, n_steps * lanes.stride * this->input_width_);
        make_room(lanes.h, (n_steps + 1) * units);
        make_room(lanes.z, n_steps * n_gates * units);
        if constexpr (Cell::has_cell_state) {
            make_room(lanes.c, (n_steps + 1) * units);
            make_room(lanes.memo, n_steps * units);
        }
        if (!tape.training) return;
        for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc})
            make_room(*carried, units);
        make_room(lanes.sums, n_gates * n_units() * (this->input_width_ + n_units() + 1) * n_lanes);
    }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active) return Base::forward(batch, shard, inputs, weights, tape, control);
        Lanes<T>& lanes = tape.lanes;
        gather_inputs(batch, shard, inputs, lanes);
        read_rows(shard, tape.initial_h.rows(), 0, lanes.h.data(), lanes.stride);
        if constexpr (Cell::has_cell_state)
            read_rows(shard, tape.initial_c.rows(), 0, lanes.c.data(), lanes.stride);
        for (Index i = 0; i < batch.n_steps(); ++i) {
            for_each_register(shard, [&](Index lane) { forward_step(i, lane, weights, lanes); });
            control.poll(shard.size() * this->multiply_adds());
        }
        for (Index i = tape.every_step ? 0 : batch.n_steps() - 1; i < batch.n_steps(); ++i)
            write_rows(shard, lanes.h.data() + (i + 1) * n_units() * lanes.stride, lanes.stride,
                       tape.h.rows(), batch.row(step_at(batch, i), 0));
        if constexpr (Cell::has_cell_state)
            write_rows(shard, lanes.c.data() + batch.n_steps() * n_units() * lanes.stride,
                       lanes.stride, tape.cells.last(batch, 0, this->shape_.reverse), 0);
    }

    void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                  Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx, bool accumulate,
                  Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active)
            return Base::backward(batch, shard, weights, bptt_steps, dy, dx, accumulate, tape,
                                  control);
        Lanes<T>& lanes = tape.lanes;
        if (batch.n_continuing == 0) start_gradients(shard, tape);
        Array<T> incoming(dy.data != nullptr ? std::size_t(n_units() * lanes.stride) : 0);
        Array<T> outgoing(std::size_t(dx.width() * lanes.stride));
        for (Index i = batch.n_steps() - 1; i >= 0; --i) {
            const Index t = step_at(batch, i), row = batch.row(t, 0);
            if (dy.data != nullptr) read_rows(shard, dy, row, incoming.data(), lanes.stride);
            for_each_register(shard, [&](Index lane) {
                backward_step(i, lane, weights, incoming.empty() ? nullptr : incoming.data(),
                              lanes);
            });
            if (bptt_steps > 0 && steps_to_end(batch, t) % bptt_steps == 0) truncate(shard, lanes);
            for_each_register(shard, [&](Index lane) {
                send_to_inputs(i, lane, weights, dx.width(), lanes, outgoing.data());
            });
            add_rows(shard, outgoing.data(), lanes.stride, dx, row, accumulate);
            control.poll(2 * shard.size() * this->multiply_adds());
        }
        if (batch.first_step == 0) end_gradients(shard, tape);
    }

    void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                  const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                  Control& control) const override {
        Lanes<T>& lanes = tape.lanes;
        if (!lanes.active)
            return Base::gradient(blocks, batch, inputs, runs, pass, tape, gradient, control);
        if (blocks.size() == 0) return;
        T* sum = lanes.sums.data();
        const auto add = [&](int g, Index u, const T* operand, Index step, Index lane_stride,
                             T* weight_gradient) {
            if (pass.begins) std::fill_n(sum, n_lanes, T(0));
            add_lanes(batch.n_steps(), g, u, operand, step, lane_stride, lanes, sum);
            if (pass.ends) *weight_gradient = total(sum);
            sum += n_lanes;
        };
        for (int g = 0; g < n_gates; ++g)
            for (Index u = 0; u < n_units(); ++u)
                for_each_weight(g, u, lanes,
                                [&](const T* operand, Index step, Index lane_stride, Index place) {
                                    add(g, u, operand, step, lane_stride, gradient + place);
                                });
        control.poll(batch.n_rows() * this->multiply_adds());
    }

private:
    static constexpr Index n_lanes = 16;
    static constexpr std::array<T, n_lanes> ones_{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    Index n_units() const { return this->shape_.n_units; }
    Index step_at(const Batch& batch, Index i) const {
        return this->shape_.reverse ? batch.n_steps() - 1 - i : i;
    }
    Index steps_to_end(const Batch& batch, Index t) const {
        return this->shape_.reverse ? t + 1 : batch.length[0] + batch.behind[0] - t;
    }
    Index end_of_parameters() const {
        const ParameterOffsets& at = this->shape_.offsets;
        const Index end = at.b_h + this->n_columns_ * n_units();
        return at.b_hn < 0 ? end : std::max(end, at.b_hn + n_units());
    }

    // Where the weights of unit u in a gate stand in the flat parameters.
    Index place_of_input(int g, Index d, Index u) const {
        return this->shape_.offsets.W_xh + d * this->row_stride() +
               Cell::gates[g].column * n_units() + u;
    }
    Index place_of_state(int g, Index k, Index u) const {
        return this->shape_.offsets.W_hh + k * this->row_stride() +
               Cell::gates[g].column * n_units() + u;
    }
    Index place_of_bias(int g, Index u) const {
        const ParameterOffsets& at = this->shape_.offsets;
        return Cell::gates[g].recurrent_bias ? at.b_hn + u
                                             : at.b_h + Cell::gates[g].column * n_units() + u;
    }

    // Calls function(first lane) for the registers of a shard, which begins at whole lanes.
    template <class Function>
    static void for_each_register(Range shard, const Function& function) {
        const Index end = (shard.end + n_lanes - 1) / n_lanes * n_lanes;
        for (Index lane = shard.begin; lane < end; lane += V::width) function(lane);
    }

    // From rows of sequences to lanes and back.
    static void read_rows(Range shard, const Rows<const T>& rows, Index first_row, T* to,
                          Index stride) {
        if (rows.stride == 1) {
            std::copy_n(rows.row(first_row + shard.begin), shard.size(), to + shard.begin);
            return;
        }
        for (Index k = 0; k < rows.width; ++k)
            for (Index s = shard.begin; s < shard.end; ++s)
                to[k * stride + s] = rows.row(first_row + s)[k];
    }
    static void write_rows(Range shard, const T* from, Index stride, const Rows<T>& rows,
                           Index first_row) {
        for (Index k = 0; k < rows.width; ++k)
            for (Index s = shard.begin; s < shard.end; ++s)
                rows.row(first_row + s)[k] = from[k * stride + s];
    }
    static void add_rows(Range shard, const T* from, Index stride, const Features<T>& dx, Index row,
                         bool accumulate) {
        for (Index part = 0; part < dx.n_parts; from += dx[part].width * stride, ++part)
            for (Index k = 0; k < dx[part].width; ++k)
                for (Index s = shard.begin; s < shard.end; ++s) {
                    T& to = dx[part].row(row + s)[k];
                    to = accumulate ? to + from[k * stride + s] : from[k * stride + s];
                }
    }
    void gather_inputs(const Batch& batch, Range shard, const Features<const T>& inputs,
                       Lanes<T>& lanes) const {
        for (Index i = 0; i < batch.n_steps(); ++i) {
            T* to = lanes.x.data() + i * this->input_width_ * lanes.stride;
            for (Index part = 0; part < inputs.n_parts; ++part) {
                read_rows(shard, inputs[part], batch.row(step_at(batch, i), 0), to, lanes.stride);
                to += inputs[part].width * lanes.stride;
            }
        }
    }

    static V squashed(Squashing squashing, const V& z) {
        return squashing == Squashing::sigmoid ? sigmoid(z)
               : squashing == Squashing::tanh  ? tanh(z)
                                               : z;
    }

    void forward_step(Index i, Index lane, const PackedWeights<T>& weights, Lanes<T>& lanes) const {
        const Index H = n_units(), D = this->input_width_, S = lanes.stride;
        const T* const x = lanes.x.data() + i * D * S + lane;
        const T* const h_previous = lanes.h.data() + i * H * S + lane;
        const T* const w = weights.flat.data();
        for (Index u = 0; u < H; ++u) {
            V z[n_gates];
            for (int g = 0; g < n_gates; ++g) {
                z[g] = V::broadcast(w + place_of_bias(g, u));
                if (takes_input(Cell::gates[g].operand))
                    for (Index d = 0; d < D; ++d)
                        z[g] = fma(V::load(x + d * S), V::broadcast(w + place_of_input(g, d, u)),
                                   z[g]);
                if (takes_state(Cell::gates[g].operand))
                    for (Index k = 0; k < H; ++k)
                        z[g] = fma(V::load(h_previous + k * S),
                                   V::broadcast(w + place_of_state(g, k, u)), z[g]);
                z[g] = squashed(Cell::gates[g].squashing, z[g]);
            }
            Step<V> step;
            step.h_previous = step.h_operand = V::load(h_previous + u * S);
            if constexpr (Cell::has_cell_state)
                step.c_previous = V::load(lanes.c.data() + (i * H + u) * S + lane);
            Cell::template forward<0>(z, step);
            for (int g = 0; g < n_gates; ++g) z[g].store(z_of(lanes, i, g, u) + lane);
            step.h.store(lanes.h.data() + ((i + 1) * H + u) * S + lane);
            if constexpr (Cell::has_cell_state) {
                step.c.store(lanes.c.data() + ((i + 1) * H + u) * S + lane);
                step.memo.store(lanes.memo.data() + (i * H + u) * S + lane);
            }
        }
    }

    T* z_of(Lanes<T>& lanes, Index i, int g, Index u) const {
        return lanes.z.data() + ((i * n_gates + g) * n_units() + u) * lanes.stride;
    }

    // What flows into the last states; idle lanes get zeros, and so leave no trace in sums.
    void start_gradients(Range shard, Tape<T>& tape) const {
        Lanes<T>& lanes = tape.lanes;
        const Index end = (shard.end + n_lanes - 1) / n_lanes * n_lanes;
        for (Index u = 0; u < n_units(); ++u)
            for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc})
                std::fill(carried->data() + u * lanes.stride + shard.begin,
                          carried->data() + u * lanes.stride + end, T(0));
        read_rows(shard, tape.dh.rows(), 0, lanes.dh.data(), lanes.stride);
        if constexpr (Cell::has_cell_state)
            read_rows(shard, tape.dc.rows(), 0, lanes.dc.data(), lanes.stride);
    }

    // What flows out of the first states, to where RecurrenceOf leaves it.
    void end_gradients(Range shard, Tape<T>& tape) const {
        const Lanes<T>& lanes = tape.lanes;
        write_rows(shard, lanes.dh.data(), lanes.stride, tape.dh.rows(), 0);
        write_rows(shard, lanes.recurrent.data(), lanes.stride, tape.recurrent.rows(), 0);
        if constexpr (Cell::has_cell_state)
            write_rows(shard, lanes.dc.data(), lanes.stride, tape.dc.rows(), 0);
    }

    void truncate(Range shard, Lanes<T>& lanes) const {
        for_each_register(shard, [&](Index lane) {
            for (Index u = 0; u < n_units(); ++u)
                for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc})
                    V::zero().store(carried->data() + u * lanes.stride + lane);
        });
    }

    void backward_step(Index i, Index lane, const PackedWeights<T>& weights, const T* dy,
                       Lanes<T>& lanes) const {
        const Index H = n_units(), S = lanes.stride;
        for (Index u = 0; u < H; ++u) {
            const Index at = u * S + lane;
            V z[n_gates];
            for (int g = 0; g < n_gates; ++g) z[g] = V::load(z_of(lanes, i, g, u) + lane);
            StepGradient<V> step;
            step.h_previous = step.h_operand = V::load(lanes.h.data() + i * H * S + at);
            step.h = V::load(lanes.h.data() + (i + 1) * H * S + at);
            step.dh = V::load(lanes.dh.data() + at) + V::load(lanes.recurrent.data() + at);
            if (dy != nullptr) step.dh = V::load(dy + at) + step.dh;
            if constexpr (Cell::has_cell_state) {
                step.c_previous = V::load(lanes.c.data() + i * H * S + at);
                step.memo = V::load(lanes.memo.data() + i * H * S + at);
                step.dc = V::load(lanes.dc.data() + at);
            }
            Cell::template backward<0>(z, step);
            for (int g = 0; g < n_gates; ++g) z[g].store(z_of(lanes, i, g, u) + lane);
            step.dh_previous.store(lanes.dh.data() + at);
            if constexpr (Cell::has_cell_state) step.dc.store(lanes.dc.data() + at);
        }
        for (Index k = 0; k < H; ++k) {
            V sum = V::zero();
            for (int g = 0; g < n_gates; ++g)
                if (takes_state(Cell::gates[g].operand))
                    for (Index u = 0; u < H; ++u)
                        sum = fma(V::load(z_of(lanes, i, g, u) + lane),
                                  V::broadcast(weights.flat.data() + place_of_state(g, k, u)), sum);
            sum.store(lanes.recurrent.data() + k * S + lane);
        }
    }

    void send_to_inputs(Index i, Index lane, const PackedWeights<T>& weights, Index n_inputs,
                        Lanes<T>& lanes, T* dx) const {
        for (Index d = 0; d < n_inputs; ++d) {
            V sum = V::zero();
            for (int g = 0; g < n_gates; ++g)
                if (takes_input(Cell::gates[g].operand))
                    for (Index u = 0; u < n_units(); ++u)
                        sum = fma(V::load(z_of(lanes, i, g, u) + lane),
                                  V::broadcast(weights.flat.data() + place_of_input(g, d, u)), sum);
            sum.store(dx + d * lanes.stride + lane);
        }
    }

    // Calls function(operand at the first step, from step to step, from lane to lane, place).
    template <class Function>
    void for_each_weight(int g, Index u, const Lanes<T>& lanes, const Function& function) const {
        const Index S = lanes.stride, D = this->input_width_, H = n_units();
        function(ones_.data(), Index(0), Index(0), place_of_bias(g, u));
        if (takes_input(Cell::gates[g].operand))
            for (Index d = 0; d < D; ++d)
                function(lanes.x.data() + d * S, D * S, Index(1), place_of_input(g, d, u));
        if (takes_state(Cell::gates[g].operand))
            for (Index k = 0; k < H; ++k)
                function(lanes.h.data() + k * S, H * S, Index(1), place_of_state(g, k, u));
    }

    // sum[lane] += operand dz over the steps, from the last to the first.
    void add_lanes(Index n_steps, int g, Index u, const T* operand, Index step, Index lane_stride,
                   Lanes<T>& lanes, T* sum) const {
        constexpr int n_vectors = int(n_lanes / V::width);
        V sums[n_vectors];
        for (int v = 0; v < n_vectors; ++v) sums[v] = V::load(sum + v * V::width);
        for (Index i = n_steps - 1; i >= 0; --i) {
            const T* const dz = z_of(lanes, i, g, u);
            for (Index lane = 0; lane < lanes.stride; lane += n_lanes)
                for (int v = 0; v < n_vectors; ++v)
                    sums[v] = fma(V::load(operand + i * step + lane * lane_stride + v * V::width),
                                  V::load(dz + lane + v * V::width), sums[v]);
        }
        for (int v = 0; v < n_vectors; ++v) sums[v].store(sum + v * V::width);
    }

    static T total(const T* sum) {
        std::array<T, n_lanes> lanes;
        std::copy_n(sum, n_lanes, lanes.begin());
        for (std::size_t half = n_lanes / 2; half > 0; half /= 2)
            for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
        return lanes[0];
    }
};

}  // namespace elman
