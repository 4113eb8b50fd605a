// Layers of a few units on sequences of one length: a lane of a register is a sequence.
//
// RecurrenceOf puts units side by side in a register; of one or two units most lanes would be idle.
// Here 16 sequences lie side by side instead, and a weight is broadcast:
//
//     h_t[u, :] = cell(b[u] + sum_d W_xh[d, u] x_t[d, :] + sum_k W_hh[k, u] h_{t-1}[k, :])
//
// Each sum has the terms and the order of RecurrenceOf, so outputs are the same to the bit. The
// gradient of a weight is summed lane by lane, over steps and sequences from the last to the first,
// and the 16 lanes are added up at the end in one order.
//
// Everything is kept by the index i of a step in the order of processing, which makes a reverse
// layer a matter of copying rows in and out.
#pragma once

#include "elman/lane_products.hpp"
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
        constexpr Index max_weights = 72;
        const Index weights = n_gates * shape.n_units * (shape.input_width() + shape.n_units);
        return shape.n_units <= max_units && weights <= max_weights && !shape.may_miss &&
               !shape.layer_norm;
    }

    Index sequences_side_by_side() const override { return n_lanes; }

    void pack(const T* parameters, bool training, PackedWeights<T>& weights) const override {
        Base::pack(parameters, training, weights);
        weights.flat.assign(parameters, parameters + shape_.end_of_parameters());
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
        make_room(lanes.x, n_steps * lanes.stride * shape_.input_width());
        make_room(lanes.h, (n_steps + 1) * units);
        make_room(lanes.z, n_steps * n_gates * units);
        if constexpr (Cell::has_cell_state) {
            make_room(lanes.c, (n_steps + 1) * units);
            make_room(lanes.memo, n_steps * units);
        }
        if (!tape.training) return;
        for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc, &lanes.incoming})
            make_room(*carried, units);
        make_room(lanes.outgoing, lanes.stride * shape_.input_width());
        make_room(lanes.sums,
                  n_gates * n_units() * (shape_.input_width() + n_units() + 1) * n_lanes);
    }

    bool takes_token_sums(const Tape<T>& tape) const override { return !tape.lanes.active; }

    void forward(const Batch& batch, Range shard, const Features<const T>& inputs,
                 const PackedWeights<T>& weights, Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active) return Base::forward(batch, shard, inputs, weights, tape, control);
        Lanes<T>& lanes = tape.lanes;
        if (!are_in_lanes(batch, inputs)) gather_inputs(batch, shard, inputs, lanes);
        read_rows(shard, tape.initial_h.rows(), 0, lanes.h.data(), lanes.stride);
        if constexpr (Cell::has_cell_state)
            read_rows(shard, tape.initial_c.rows(), 0, lanes.c.data(), lanes.stride);
        const T* const x = inputs_of(batch, inputs, lanes);
        for_each_register(shard, [&](auto several, auto most, Index lane) {
            forward_steps<decltype(several), most>(batch.n_steps(), lane, x,
                                                   weights_in(weights.flat.data()), lanes, control);
        });
        for (Index i = tape.every_step ? 0 : batch.n_steps() - 1; i < batch.n_steps(); ++i)
            write_rows(shard, lanes.h.data() + (i + 1) * n_units() * lanes.stride, lanes.stride,
                       tape.h.rows(), batch.row(shape_.step_at(batch, i), 0));
        if constexpr (Cell::has_cell_state)
            write_rows(shard, lanes.c.data() + batch.n_steps() * n_units() * lanes.stride,
                       lanes.stride, tape.cells.last(batch, 0, shape_.reverse), 0);
    }

    void backward(const Batch& batch, Range shard, const PackedWeights<T>& weights,
                  Index bptt_steps, const Rows<const T>& dy, const Features<T>& dx, bool accumulate,
                  Tape<T>& tape, Control& control) const override {
        if (!tape.lanes.active)
            return Base::backward(batch, shard, weights, bptt_steps, dy, dx, accumulate, tape,
                                  control);
        Lanes<T>& lanes = tape.lanes;
        if (batch.n_continuing == 0) start_gradients(shard, tape);
        const Weights w = weights_in(weights.flat.data());
        const bool has_dy = dy.data != nullptr;
        for_each_register(shard, [&](auto several, auto most, Index lane) {
            using Several = decltype(several);
            const Range here{lane, std::min(lane + Several::width, shard.end)};
            const Index work = 2 * Several::width * this->multiply_adds();
            WayBack<Several, most> way_back(n_units(), lane, w, lanes);
            for (Index i = batch.n_steps() - 1; i >= 0; --i) {
                const Index t = shape_.step_at(batch, i), row = batch.row(t, 0);
                if (has_dy) read_rows(here, dy, row, lanes.incoming.data(), lanes.stride);
                way_back.step(i, has_dy);
                if (bptt_steps > 0 && shape_.steps_to_end(batch, t, 0) % bptt_steps == 0)
                    way_back.truncate();
                if (dx.n_parts > 0) {
                    send_to_inputs<Several>(i, lane, w, dx.width(), lanes);
                    add_rows(here, lanes.outgoing.data(), lanes.stride, dx, row, accumulate);
                }
                control.poll(work);
            }
            way_back.end(lane, lanes);
        });
        if (batch.first_step == 0) end_gradients(shard, tape);
    }

    void gradient(Range blocks, const Batch& batch, const Features<const T>& inputs,
                  const std::vector<Run>& runs, Pass pass, Tape<T>& tape, T* gradient,
                  Control& control) const override {
        Lanes<T>& lanes = tape.lanes;
        if (!lanes.active)
            return Base::gradient(blocks, batch, inputs, runs, pass, tape, gradient, control);
        if (blocks.size() == 0) return;
        const T* const x = inputs_of(batch, inputs, lanes);
        T* sum = lanes.sums.data();
        for (int g = 0; g < n_gates; ++g) {
            for (Index u = 0; u < n_units(); ++u) {
                std::array<Weight, weights_at_once> weights;
                std::size_t n = 0;
                const auto add = [&] {
                    if (pass.begins) std::fill_n(sum, Index(n) * n_lanes, T(0));
                    add_lanes(batch.n_steps(), z_of(lanes, 0, g, u), weights, n, lanes, sum);
                    for (std::size_t i = 0; i < n; ++i, sum += n_lanes)
                        if (pass.ends) gradient[weights[i].place] = total(sum);
                    n = 0;
                };
                for_each_weight(g, u, x, lanes, [&](const Weight& weight) {
                    weights[n++] = weight;
                    if (n == weights_at_once) add();
                });
                if (n > 0) add();
            }
        }
        control.poll(batch.n_rows() * this->multiply_adds());
    }

private:
    static constexpr Index n_lanes = n_sum_lanes, max_units = 4;
    static constexpr std::array<T, n_lanes> ones_{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    using Base::n_units;
    using Base::shape_;

    // Where the weights of unit u in a gate stand in the flat parameters.
    Index place_of_input(int g, Index d, Index u) const {
        return shape_.offsets.W_xh + d * shape_.row_stride() + Cell::gates[g].column * n_units() +
               u;
    }
    Index place_of_state(int g, Index k, Index u) const {
        return shape_.offsets.W_hh + k * shape_.row_stride() + Cell::gates[g].column * n_units() +
               u;
    }
    Index place_of_bias(int g, Index u) const { return shape_.place_of_bias(Cell::gates[g]) + u; }

    // Calls function(Vecs, most units, first lane) for the lanes of a shard, which begins at whole
    // ones. A step of a few units is a long chain of operations: several registers go through it
    // side by side, and where the compiler is told of one unit, it stays in them from step to step.
    // A cell of several gates would gain a tenth by that, for 2 % of a wheel's size.
    template <class Function>
    void for_each_register(Range shard, const Function& function) const {
        constexpr int n_vectors = std::min(2 * int(n_lanes) / V::width, 4);
        const Index end = (shard.end + n_lanes - 1) / n_lanes * n_lanes;
        constexpr std::integral_constant<int, max_units> any;
        Index lane = shard.begin;
        const auto side_by_side = [&](auto most) {
            for (; lane + n_vectors * V::width <= end; lane += n_vectors * V::width)
                function(Vecs<T, n_vectors>(), most, lane);
        };
        if constexpr (n_gates == 1)
            if (n_units() == 1) side_by_side(std::integral_constant<int, 1>());
        side_by_side(any);
        for (; lane < end; lane += V::width) function(Vecs<T, 1>(), any, lane);
    }

    // Of one channel, rows of a step are lanes already where they fill them.
    bool are_in_lanes(const Batch& batch, const Features<const T>& inputs) const {
        return inputs.n_parts == 1 && inputs[0].stride == 1 && !shape_.reverse &&
               batch.n_sequences() % n_lanes == 0;
    }
    const T* inputs_of(const Batch& batch, const Features<const T>& inputs,
                       const Lanes<T>& lanes) const {
        return are_in_lanes(batch, inputs) ? inputs[0].data : lanes.x.data();
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
            T* to = lanes.x.data() + i * shape_.input_width() * lanes.stride;
            for (Index part = 0; part < inputs.n_parts; ++part) {
                read_rows(shard, inputs[part], batch.row(shape_.step_at(batch, i), 0), to,
                          lanes.stride);
                to += inputs[part].width * lanes.stride;
            }
        }
    }

    template <class V>
    [[gnu::always_inline]] static V squashed(Squashing squashing, const V& z) {
        return squashing == Squashing::sigmoid ? sigmoid(z)
               : squashing == Squashing::tanh  ? tanh(z)
                                               : z;
    }

    // Where the gates' weights of unit 0 begin, and how far its next operand's are.
    struct Weights {
        std::array<const T*, n_gates> bias, input, state;
        Index row_stride;
    };
    Weights weights_in(const T* flat) const {
        Weights weights{};
        for (std::size_t g = 0; g < n_gates; ++g) {
            weights.bias[g] = flat + place_of_bias(int(g), 0);
            weights.input[g] = flat + place_of_input(int(g), 0, 0);
            weights.state[g] = flat + place_of_state(int(g), 0, 0);
        }
        weights.row_stride = shape_.row_stride();
        return weights;
    }

    // Of each unit a register, or several.
    template <class V, int most>
    struct Units {
        V of_unit[most];

        V& operator[](Index u) { return of_unit[u]; }
        const V& operator[](Index u) const { return of_unit[u]; }
        void load(Index n, const T* from, Index stride) {
            for (Index u = 0; u < n; ++u) of_unit[u] = V::load(from + u * stride);
        }
        void store(Index n, T* to, Index stride) const {
            for (Index u = 0; u < n; ++u) of_unit[u].store(to + u * stride);
        }
        void clear() { std::fill_n(of_unit, most, V::zero()); }
    };
    // The number of units, which the compiler knows where it is one at most.
    template <int most>
    static Index known(Index n_units) {
        return most == 1 ? 1 : n_units;
    }

    // Views are taken out of the lanes before the loop: a store might change the lanes themselves,
    // for all that the compiler knows.
    template <class V, int most>
    void forward_steps(Index n_steps, Index lane, const T* inputs, const Weights& weights,
                       Lanes<T>& lanes, Control& control) const {
        const Weights w = weights;
        const Index H = known<most>(n_units()), D = shape_.input_width(), S = lanes.stride;
        const Index work = V::width * this->multiply_adds();
        const T* x = inputs + lane;
        T *h_of_step = lanes.h.data() + lane, *z_of_step = lanes.z.data() + lane,
          *c_of_step = lanes.c.data() + lane, *memo_of_step = lanes.memo.data() + lane;
        Units<V, most> h, c;
        h.load(H, h_of_step, S);
        if constexpr (Cell::has_cell_state) c.load(H, c_of_step, S);
        for (Index i = 0; i < n_steps; ++i, x += D * S) {
            const Units<V, most> h_previous = h;
            h_of_step += H * S;
            c_of_step += H * S;
            for (Index u = 0; u < H; ++u) {
                V z[n_gates];
                for (std::size_t g = 0; g < n_gates; ++g) {
                    z[g] = V::broadcast(w.bias[g] + u);
                    if (takes_input(Cell::gates[g].operand))
                        for (Index d = 0; d < D; ++d)
                            z[g] = fma(V::load(x + d * S),
                                       V::broadcast(w.input[g] + d * w.row_stride + u), z[g]);
                    if (takes_state(Cell::gates[g].operand))
                        for (Index k = 0; k < H; ++k)
                            z[g] = fma(h_previous[k],
                                       V::broadcast(w.state[g] + k * w.row_stride + u), z[g]);
                    z[g] = squashed(Cell::gates[g].squashing, z[g]);
                }
                Step<V> step;
                step.h_previous = step.h_operand = h_previous[u];
                if constexpr (Cell::has_cell_state) step.c_previous = c[u];
                Cell::template forward<0>(z, step);
                for (Index g = 0; g < n_gates; ++g) z[g].store(z_of_step + (g * H + u) * S);
                h[u] = step.h;
                h[u].store(h_of_step + u * S);
                if constexpr (Cell::has_cell_state) {
                    c[u] = step.c;
                    c[u].store(c_of_step + u * S);
                    step.memo.store(memo_of_step + u * S);
                }
            }
            z_of_step += n_gates * H * S;
            memo_of_step += H * S;
            control.poll(work);
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
            for (Array<T>* carried : {&lanes.dh, &lanes.recurrent, &lanes.dc, &lanes.incoming})
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

    // The way back through a register of sequences or several, step by step: what flows from a step
    // to the one before it is on its way.
    template <class V, int most>
    class WayBack {
    public:
        WayBack(Index n_units, Index lane, const Weights& weights, Lanes<T>& lanes)
            : w_(weights),
              n_units_(n_units),
              stride_(lanes.stride),
              h_(lanes.h.data() + lane),
              c_(lanes.c.data() + lane),
              memo_(lanes.memo.data() + lane),
              incoming_(lanes.incoming.data() + lane),
              z_(lanes.z.data() + lane) {
            dh_.load(H(), lanes.dh.data() + lane, stride_);
            recurrent_.load(H(), lanes.recurrent.data() + lane, stride_);
            dc_.load(H(), lanes.dc.data() + lane, stride_);
        }

        [[gnu::always_inline]] void step(Index i, bool has_dy) {
            const Index H = this->H(), S = stride_;
            const T *const h_previous = h_ + i * H * S, *const h = h_previous + H * S;
            T* const z_of_step = z_ + i * n_gates * H * S;
            V z[most][n_gates];
            for (Index u = 0; u < H; ++u) {
                for (Index g = 0; g < n_gates; ++g) z[u][g] = V::load(z_of_step + (g * H + u) * S);
                StepGradient<V> step;
                step.h_previous = step.h_operand = V::load(h_previous + u * S);
                step.h = V::load(h + u * S);
                step.dh = dh_[u] + recurrent_[u];
                if (has_dy) step.dh = V::load(incoming_ + u * S) + step.dh;
                if constexpr (Cell::has_cell_state) {
                    step.c_previous = V::load(c_ + (i * H + u) * S);
                    step.memo = V::load(memo_ + (i * H + u) * S);
                    step.dc = dc_[u];
                }
                Cell::template backward<0>(z[u], step);
                for (Index g = 0; g < n_gates; ++g) z[u][g].store(z_of_step + (g * H + u) * S);
                dh_[u] = step.dh_previous;
                if constexpr (Cell::has_cell_state) dc_[u] = step.dc;
            }
            for (Index k = 0; k < H; ++k) {
                recurrent_[k] = V::zero();
                for (std::size_t g = 0; g < n_gates; ++g)
                    if (takes_state(Cell::gates[g].operand))
                        for (Index u = 0; u < H; ++u)
                            recurrent_[k] =
                                fma(z[u][g], V::broadcast(w_.state[g] + k * w_.row_stride + u),
                                    recurrent_[k]);
            }
        }
        void truncate() {
            for (Units<V, most>* carried : {&dh_, &recurrent_, &dc_}) carried->clear();
        }
        void end(Index lane, Lanes<T>& lanes) const {
            dh_.store(H(), lanes.dh.data() + lane, stride_);
            recurrent_.store(H(), lanes.recurrent.data() + lane, stride_);
            dc_.store(H(), lanes.dc.data() + lane, stride_);
        }

    private:
        Index H() const { return known<most>(n_units_); }

        Weights w_;
        Index n_units_, stride_;
        const T *h_, *c_, *memo_, *incoming_;
        T* z_;
        Units<V, most> dh_, recurrent_, dc_;
    };

    template <class V>
    void send_to_inputs(Index i, Index lane, const Weights& w, Index n_inputs,
                        Lanes<T>& lanes) const {
        for (Index d = 0; d < n_inputs; ++d) {
            V sum = V::zero();
            for (int g = 0; g < n_gates; ++g)
                if (takes_input(Cell::gates[g].operand))
                    for (Index u = 0; u < n_units(); ++u)
                        sum =
                            fma(V::load(z_of(lanes, i, g, u) + lane),
                                V::broadcast(w.input[std::size_t(g)] + d * w.row_stride + u), sum);
            sum.store(lanes.outgoing.data() + d * lanes.stride + lane);
        }
    }

    // A weight's operand at the first step, how far it moves from step to step and from lane to
    // lane, and where the weight stands in the flat parameters.
    struct Weight {
        const T* operand;
        Index step, lane_stride, place;
    };
    template <class Function>
    void for_each_weight(int g, Index u, const T* inputs, const Lanes<T>& lanes,
                         const Function& function) const {
        const Index S = lanes.stride, D = shape_.input_width(), H = n_units();
        function(Weight{ones_.data(), 0, 0, place_of_bias(g, u)});
        if (takes_input(Cell::gates[g].operand))
            for (Index d = 0; d < D; ++d)
                function(Weight{inputs + d * S, D * S, 1, place_of_input(g, d, u)});
        if (takes_state(Cell::gates[g].operand))
            for (Index k = 0; k < H; ++k)
                function(Weight{lanes.h.data() + k * S, H * S, 1, place_of_state(g, k, u)});
    }

    static constexpr int vectors_of_lanes = int(n_lanes) / V::width;
    static constexpr std::size_t weights_at_once =
        std::size_t(std::clamp(8 / vectors_of_lanes, 1, 4));

    // sums[lane] += operand dz over the steps, from the last to the first, for the first n weights
    // of one unit in a gate, whose dz at the first step is given.
    void add_lanes(Index n_steps, const T* dz, std::array<Weight, weights_at_once> weights,
                   std::size_t n, const Lanes<T>& lanes, T* sums) const {
        std::fill(weights.begin() + std::ptrdiff_t(n), weights.end(), weights[0]);
        V sum[weights_at_once][vectors_of_lanes];
        for (std::size_t k = 0; k < n; ++k)
            for (int v = 0; v < vectors_of_lanes; ++v)
                sum[k][v] = V::load(sums + Index(k) * n_lanes + v * V::width);
        const Index dz_step = n_gates * n_units() * lanes.stride,
                    last_lane = lanes.stride - n_lanes;
        for (Index i = n_steps - 1; i >= 0; --i) {
            std::array<const T*, weights_at_once> operand;
            for (std::size_t k = 0; k < weights_at_once; ++k)
                operand[k] = weights[k].operand + i * weights[k].step;
            const T* const dz_of_step = dz + i * dz_step;
            for (Index lane = last_lane; lane >= 0; lane -= n_lanes)
                for (int v = 0; v < vectors_of_lanes; ++v) {
                    const V of_lane = V::load(dz_of_step + lane + v * V::width);
                    for (std::size_t k = 0; k < weights_at_once; ++k)
                        sum[k][v] =
                            fma(V::load(operand[k] + lane * weights[k].lane_stride + v * V::width),
                                of_lane, sum[k][v]);
                }
        }
        for (std::size_t k = 0; k < n; ++k)
            for (int v = 0; v < vectors_of_lanes; ++v)
                sum[k][v].store(sums + Index(k) * n_lanes + v * V::width);
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
