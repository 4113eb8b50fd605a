// A recurrent layer of networks side by side: a lane of a register is a network.
//
// What RecurrenceOf (layer.hpp) computes for one network, with its equations, which the cells have,
// and the order of its sums, so that each lane has the bits of its network alone:
//
//     z_t = b + x_t W_xh + h_{t-1} W_hh            k upwards, x before h
//     dL/dh_{t-1} = dz_t W_hh^T                    gate by gate, unit by unit
//     dW = sum_t operand_t^T dz_t                  from the last row to the first
//
// and where a layer of few units sums its gradient over 16 sequences side by side (lanes.hpp,
// lane_products.hpp), over these. One direction, no step is missing, no dropout of states, no layer
// normalisation.
#pragma once

#include <memory>

#include "elman/cells.hpp"
#include "elman/fleet/batch.hpp"

namespace elman::fleet {

// What a pass leaves behind, by row of the batch, unit and lane; without training only h keeps
// every step.
template <class T>
struct Tape {
    Array<T> z, h, c, memo, gated;
    Array<T> dh, dc, recurrent;               // by place
    Array<T> to_states, to_gated, to_inputs;  // transposed weights, gate by gate
    Array<T> sums;                            // of the gradient, by sequence modulo 16
};

// dL/dh at each step, or only of the last state of each sequence, by place; null where there is
// none.
template <class T>
struct StateGradients {
    const T* of_steps = nullptr;
    const T* of_ends = nullptr;
};

template <class T>
class Layer {
public:
    virtual ~Layer() = default;
    virtual Index n_units() const = 0;
    virtual Index multiply_adds() const = 0;  // of one row, forwards
    virtual void forward(const LaneBatch<T>& batch, bool training, const T* parameters, const T* x,
                         Tape<T>& tape, Control& control) const = 0;
    // dx may be null.
    virtual void backward(const LaneBatch<T>& batch, Index bptt_steps, const T* parameters,
                          const StateGradients<T>& dy, T* dx, Tape<T>& tape,
                          Control& control) const = 0;
    virtual void gradient(const LaneBatch<T>& batch, const std::vector<Run>& runs, const T* x,
                          Tape<T>& tape, T* gradient, Control& control) const = 0;
};

template <class Cell, class T>
class LayerOf final : public Layer<T> {
public:
    using V = Vec<T>;
    static constexpr int n_gates = Cell::n_gates;
    static constexpr bool has_gated_state = Cell::n_phases > 1;

    explicit LayerOf(const RecurrenceShape& shape)
        : shape_(shape), H_(shape.n_units), D_(shape.input_width()) {
        for (const Gate& gate : Cell::gates)
            stride_ = std::max<Index>(stride_, (gate.column + 1) * H_);
        const ParameterOffsets& at = shape_.offsets;
        end_ = Cell::has_recurrent_bias ? at.b_hn + H_ : at.b_h + stride_;
        if constexpr (Cell::n_phases == 1) {
            is_small_ = SmallRecurrenceOf<Cell, T>::suits(shape_);
            is_transposed_ = !is_small_ && TransposedRecurrenceOf<Cell, T>::suits(shape_) &&
                             TransposedRecurrenceOf<Cell, T>::is_trained_transposed(H_);
        }
    }

    Index n_units() const override { return H_; }
    Index multiply_adds() const override {
        return n_gates * H_ * (D_ + (has_recurrent_weights<Cell> ? H_ : 0) + 1);
    }

    void forward(const LaneBatch<T>& batch, bool training, const T* parameters, const T* x,
                 Tape<T>& tape, Control& control) const override {
        resize(batch, training, tape);
        for_each_step(batch.rows(), batch.places(), false, false, [&](const StepRows& rows) {
            const Index row = training ? rows.row : rows.begin;
            forward_phase<0>(rows, row, training, parameters, x, tape);
            if constexpr (has_gated_state)
                forward_phase<1>(rows, row, training, parameters, x, tape);
            hide_ended(batch, rows, training, tape);
            control.poll(rows.size * multiply_adds() * n_lanes<T>);
        });
    }

    void backward(const LaneBatch<T>& batch, Index bptt_steps, const T* parameters,
                  const StateGradients<T>& dy, T* dx, Tape<T>& tape,
                  Control& control) const override {
        for (Array<T>* carried : {&tape.dh, &tape.dc, &tape.recurrent})
            std::fill(carried->begin(), carried->end(), T(0));
        if constexpr (has_recurrent_weights<Cell>)
            pack(takes_state, shape_.offsets.W_hh, H_, parameters, tape.to_states);
        if constexpr (has_gated_state)
            pack(takes_gated_state, shape_.offsets.W_hh, H_, parameters, tape.to_gated);
        if (dx != nullptr) pack(takes_input, shape_.offsets.W_xh, D_, parameters, tape.to_inputs);
        for_each_step(batch.rows(), batch.places(), false, true, [&](const StepRows& rows) {
            if (dy.of_ends != nullptr) take_ends(batch, rows, dy.of_ends, tape);
            backward_phase<Cell::n_phases - 1>(rows, dy.of_steps, tape);
            if constexpr (has_gated_state) {
                send_back(rows, takes_gated_state, H_, tape.to_gated, {},
                          of_units(tape.recurrent, rows.begin), tape);
                backward_phase<0>(rows, dy.of_steps, tape);
            }
            if constexpr (has_recurrent_weights<Cell>)
                send_back(rows, takes_state, H_, tape.to_states,
                          has_gated_state ? of_units(tape.recurrent, rows.begin) : Block<T>{},
                          of_units(tape.recurrent, rows.begin), tape);
            if (dx != nullptr)
                send_back(rows, takes_input, D_, tape.to_inputs, {},
                          {dx + rows.row * D_ * V::width, D_}, tape);
            if (bptt_steps > 0) truncate(batch, rows, bptt_steps, tape);
            control.poll(2 * rows.size * multiply_adds() * n_lanes<T>);
        });
    }

    void gradient(const LaneBatch<T>& batch, const std::vector<Run>& runs, const T* x,
                  Tape<T>& tape, T* gradient, Control& control) const override {
        std::array<bool, std::size_t(n_lanes<T>)> by_sequence{};
        Index n_by_sequence = 0, n_used = 0;
        for (Index lane = 0; lane < n_lanes<T>; ++lane) {
            if (batch.n_members(lane) == 0) continue;
            ++n_used;
            by_sequence[std::size_t(lane)] =
                batch.is_regular(lane) && sums_by_sequence(batch.n_members(lane));
            n_by_sequence += by_sequence[std::size_t(lane)] ? 1 : 0;
        }
        if (n_by_sequence < n_used) sum_over_rows(batch.rows(), runs, x, tape, gradient, control);
        if (n_by_sequence == 0) return;
        sum_by_sequence(batch.rows(), x, tape, control);
        for (Index p = begin(); p < end_; ++p)
            for (Index lane = 0; lane < n_lanes<T>; ++lane)
                if (by_sequence[std::size_t(lane)])
                    gradient[p * n_lanes<T> + lane] =
                        tape.sums[std::size_t((p - begin()) * n_lanes<T> + lane)];
    }

private:
    static constexpr Index sequences_side_by_side = 16;

    // Whether a layer alone does so with a mini-batch of so many sequences of one length.
    bool sums_by_sequence(Index n_sequences) const {
        if constexpr (Cell::n_phases == 1)
            if (is_transposed_) return TransposedRecurrenceOf<Cell, T>::fills_lanes(n_sequences);
        return is_small_ && n_sequences >= sequences_side_by_side / 2;
    }

    Index begin() const { return shape_.offsets.W_xh; }
    static T* at(Array<T>& array, Index element) { return array.data() + element * V::width; }
    Block<T> of_units(Array<T>& array, Index row) const { return {at(array, row * H_), H_}; }
    T* z_of(Tape<T>& tape, Index row, int g) const { return at(tape.z, (row * n_gates + g) * H_); }
    static const T* from(const T* parameters, Index place) { return parameters + place * V::width; }
    Index place_of(Index offset, int g) const { return offset + Cell::gates[g].column * H_; }
    Index place_of_bias(int g) const {
        const ParameterOffsets& at = shape_.offsets;
        return Cell::gates[g].recurrent_bias ? at.b_hn : at.b_h + Cell::gates[g].column * H_;
    }

    void resize(const LaneBatch<T>& batch, bool training, Tape<T>& tape) const {
        const Index n_places = batch.rows().n_sequences(), n_rows = batch.rows().n_rows();
        const Index of_units = (training ? n_rows : n_places) * H_ * V::width;
        make_room(tape.z, n_gates * of_units);
        make_room(tape.h, n_rows * H_ * V::width);
        if constexpr (Cell::has_cell_state) make_room(tape.c, of_units);
        if constexpr (has_gated_state) make_room(tape.gated, of_units);
        if (!training) return;
        if constexpr (Cell::has_cell_state) make_room(tape.memo, of_units);
        for (Array<T>* carried : {&tape.dh, &tape.dc, &tape.recurrent})
            make_room(*carried, n_places * H_ * V::width);
    }

    // Calls function(first, n) for neighbouring gates that take the same and have neighbouring
    // columns.
    template <class Function>
    static void for_each_group(bool (*takes)(Operand), const Function& function) {
        for (int g = 0, next; g < n_gates; g = next) {
            next = g + 1;
            const Gate& gate = Cell::gates[g];
            if (!takes(gate.operand)) continue;
            while (next < n_gates && Cell::gates[next].operand == gate.operand &&
                   Cell::gates[next].phase == gate.phase &&
                   Cell::gates[next].recurrent_bias == gate.recurrent_bias &&
                   Cell::gates[next].column == gate.column + next - g)
                ++next;
            function(g, next - g);
        }
    }
    static constexpr bool takes_anything(Operand) { return true; }

    // The states before a step; zeros before the first one.
    Grid<T> states_before(const StepRows& rows, Tape<T>& tape) const {
        return rows.starts ? zeros<T>() : Grid<T>{at(tape.h, rows.previous * H_), H_, 1};
    }

    template <int phase>
    void forward_phase(const StepRows& rows, Index row, bool training, const T* parameters,
                       const T* x, Tape<T>& tape) const {
        const Grid<T> inputs{x + rows.row * D_ * V::width, D_, 1};
        Grid<T> states = states_before(rows, tape);
        if constexpr (phase > 0) states = {at(tape.gated, row * H_), H_, 1};
        for_each_group(takes_anything, [&](int g, int n) {
            const Gate& gate = Cell::gates[g];
            if (gate.phase != phase) return;
            const Block<T> z{z_of(tape, row, g), n_gates * H_};
            Block<const T> start{from(parameters, place_of_bias(g)), 0};
            const auto add = [&](Index depth, const Grid<T>& operand, Index offset) {
                multiply<T>(rows.size, n * H_, depth, operand,
                            from(parameters, place_of(offset, g)), stride_, start, z);
                start = z;
            };
            if (takes_input(gate.operand)) add(D_, inputs, shape_.offsets.W_xh);
            if (takes_any_state(gate.operand)) add(H_, states, shape_.offsets.W_hh);
        });
        for (Index r = 0; r < rows.size; ++r) {
            for (int g = 0; g < n_gates; ++g) {
                T* const z = z_of(tape, row + r, g);
                if (Cell::gates[g].phase == phase)
                    squash_many(Cell::gates[g].squashing, 1, H_ * V::width, 0, z, z);
            }
            forward_units<phase>(rows, row, r, training, tape);
        }
    }

    template <int phase>
    void forward_units(const StepRows& rows, Index row, Index r, bool training,
                       Tape<T>& tape) const {
        constexpr bool is_last = phase + 1 == Cell::n_phases;
        const Grid<T> states = states_before(rows, tape);
        for (Index u = 0; u < H_; ++u) {
            const Index unit = (row + r) * H_ + u;
            V z[n_gates];
            for (int g = 0; g < n_gates; ++g) z[g] = V::load(z_of(tape, row + r, g) + u * V::width);
            Step<V> step;
            step.h_previous = step.h_operand = V::load(states.at(r, u));
            if constexpr (Cell::has_cell_state)
                step.c_previous =
                    rows.starts ? V::zero() : V::load(cell_before(rows, r, u, training, tape));
            Cell::template forward<phase>(z, step);
            for (int g = 0; g < n_gates; ++g)
                if (Cell::gates[g].squashing == Squashing::none)
                    z[g].store(z_of(tape, row + r, g) + u * V::width);
            if constexpr (Cell::has_cell_state) {
                step.c.store(at(tape.c, unit));
                if (training) step.memo.store(at(tape.memo, unit));
            }
            if constexpr (is_last)
                step.h.store(at(tape.h, (rows.row + r) * H_ + u));
            else
                step.gated.store(at(tape.gated, unit));
        }
    }
    const T* cell_before(const StepRows& rows, Index r, Index u, bool training,
                         Tape<T>& tape) const {
        return at(tape.c, ((training ? rows.previous : rows.begin) + r) * H_ + u);
    }

    // States behind the end of a lane's sequence would go on from inputs of zero, and might grow.
    void hide_ended(const LaneBatch<T>& batch, const StepRows& rows, bool training,
                    Tape<T>& tape) const {
        for (Index r = 0; r < rows.size; ++r) {
            const Index s = rows.begin + r;
            if (rows.t < batch.shortest(s)) continue;
            std::array<T, std::size_t(n_lanes<T>)> has_step{};
            for (Index lane = 0; lane < n_lanes<T>; ++lane)
                has_step[std::size_t(lane)] = T(rows.t < batch.length(s, lane) ? 1 : 0);
            const V mask = V::load(has_step.data());
            const auto hide = [&](Array<T>& states, Index row) {
                for (Index unit = row * H_; unit < (row + 1) * H_; ++unit)
                    (mask * V::load(at(states, unit))).store(at(states, unit));
            };
            hide(tape.h, rows.row + r);
            if (Cell::has_cell_state) hide(tape.c, training ? rows.row + r : s);
        }
    }

    // Into the last states of the sequences that end at this step.
    void take_ends(const LaneBatch<T>& batch, const StepRows& rows, const T* of_ends,
                   Tape<T>& tape) const {
        for (Index s = rows.begin; s < rows.begin + rows.size; ++s)
            for (Index lane = 0; lane < n_lanes<T>; ++lane)
                for (Index u = 0; batch.length(s, lane) == rows.t + 1 && u < H_; ++u) {
                    const Index place = (s * H_ + u) * V::width + lane;
                    tape.dh[std::size_t(place)] = of_ends[place];
                }
    }

    template <int phase>
    void backward_phase(const StepRows& rows, const T* dy, Tape<T>& tape) const {
        constexpr bool is_last = phase + 1 == Cell::n_phases;
        const Grid<T> states = states_before(rows, tape);
        for (Index r = 0; r < rows.size; ++r) {
            for (Index u = 0; u < H_; ++u) {
                const Index unit = (rows.row + r) * H_ + u, place = (rows.begin + r) * H_ + u;
                V z[n_gates];
                for (int g = 0; g < n_gates; ++g)
                    z[g] = V::load(z_of(tape, rows.row + r, g) + u * V::width);
                StepGradient<V> step;
                step.h_previous = step.h_operand = V::load(states.at(r, u));
                step.h = V::load(at(tape.h, unit));
                const V sent_back = V::load(at(tape.recurrent, place));
                if constexpr (is_last) {
                    step.dh = V::load(at(tape.dh, place)) + sent_back;
                    if (dy != nullptr) step.dh = V::load(dy + unit * V::width) + step.dh;
                } else {
                    step.d_gated = sent_back;
                }
                if constexpr (Cell::has_cell_state) {
                    step.c_previous =
                        rows.starts ? V::zero() : V::load(cell_before(rows, r, u, true, tape));
                    step.memo = V::load(at(tape.memo, unit));
                    step.dc = V::load(at(tape.dc, place));
                }
                Cell::template backward<phase>(z, step);
                for (int g = 0; g < n_gates; ++g)
                    z[g].store(z_of(tape, rows.row + r, g) + u * V::width);
                if constexpr (is_last) step.dh_previous.store(at(tape.dh, place));
                if constexpr (!is_last) step.dh_operand.store(at(tape.recurrent, place));
                if constexpr (Cell::has_cell_state) step.dc.store(at(tape.dc, place));
            }
        }
    }

    // The weights of the gates that take an operand, transposed.
    void pack(bool (*takes)(Operand), Index offset, Index n_operands, const T* parameters,
              Array<T>& to) const {
        make_room(to, n_gates * H_ * n_operands * V::width);
        T* end = to.data();
        for_each_group(takes, [&](int g, int n) {
            end =
                transpose(from(parameters, place_of(offset, g)), n_operands, n * H_, stride_, end);
        });
    }

    // Their product with dz.
    void send_back(const StepRows& rows, bool (*takes)(Operand), Index n_operands,
                   const Array<T>& weights, Block<const T> start, const Block<T>& out,
                   Tape<T>& tape) const {
        const T* W = weights.data();
        for_each_group(takes, [&](int g, int n) {
            const Grid<T> dz{z_of(tape, rows.row, g), n_gates * H_, 1};
            multiply<T>(rows.size, n_operands, n * H_, dz, W, n_operands, start, out);
            W += n * H_ * n_operands * V::width;
            start = out;
        });
    }

    void truncate(const LaneBatch<T>& batch, const StepRows& rows, Index bptt_steps,
                  Tape<T>& tape) const {
        for (Index s = rows.begin; s < rows.begin + rows.size; ++s)
            for (Index lane = 0; lane < n_lanes<T>; ++lane) {
                if ((batch.length(s, lane) - rows.t) % bptt_steps != 0) continue;
                for (Array<T>* carried : {&tape.dh, &tape.dc, &tape.recurrent})
                    for (Index u = 0; u < H_; ++u) at(*carried, s * H_ + u)[lane] = T(0);
            }
    }

    // Rows row, row - step, ..., n of them, to whose states before belong rows previous, likewise.
    struct SomeRows {
        Index row, n, step;
        Index previous = -1;
    };

    // Adds operand^T dz of some gates, and stores it at a place in the gradient.
    void add_product(const SomeRows& rows, int g, int n, Index n_operands, const Grid<T>& operand,
                     Index place, Tape<T>& tape, T* gradient) const {
        const Block<T> to{gradient + place * V::width, stride_};
        multiply<T>(n_operands, n * H_, rows.n, operand, z_of(tape, rows.row, g),
                    -rows.step * n_gates * H_, to, to);
    }
    // What the rows add to the gradient of the weights on inputs, and of biases.
    void add_inputs(const SomeRows& rows, const T* x, Tape<T>& tape, T* gradient) const {
        const Grid<T> inputs{x + rows.row * D_ * V::width, 1, -rows.step * D_};
        for_each_group(takes_anything, [&](int g, int n) {
            if (takes_input(Cell::gates[g].operand))
                add_product(rows, g, n, D_, inputs, place_of(shape_.offsets.W_xh, g), tape,
                            gradient);
            add_product(rows, g, n, 1, ones<T>(), place_of_bias(g), tape, gradient);
        });
    }
    // And on states.
    void add_states(const SomeRows& rows, Tape<T>& tape, T* gradient) const {
        const Grid<T> states{at(tape.h, rows.previous * H_), 1, -rows.step * H_};
        for_each_group(takes_any_state, [&](int g, int n) {
            Grid<T> operand = states;
            if (has_gated_state && takes_gated_state(Cell::gates[g].operand))
                operand.data = at(tape.gated, rows.row * H_);
            add_product(rows, g, n, H_, operand, place_of(shape_.offsets.W_hh, g), tape, gradient);
        });
    }

    void sum_over_rows(const Batch& batch, const std::vector<Run>& runs, const T* x, Tape<T>& tape,
                       T* gradient, Control& control) const {
        const Index at_once = rows_at_once();
        std::fill(gradient + begin() * V::width, gradient + end_ * V::width, T(0));
        for (Index end = batch.n_rows(); end > 0; end -= at_once) {
            const Index n = std::min(at_once, end);
            add_inputs({end - 1, n, 1}, x, tape, gradient);
            control.poll(n * multiply_adds() * n_lanes<T>);
        }
        if constexpr (has_recurrent_weights<Cell>)
            for (auto run = runs.rbegin(); run != runs.rend(); ++run)
                for (Index end = run->size; end > 0; end -= at_once)
                    add_states(
                        {run->row + end - 1, std::min(at_once, end), 1, run->operand_row + end - 1},
                        tape, gradient);
    }

    // So many rows of dz stay in the first-level cache while all weights take their turn.
    Index rows_at_once() const {
        constexpr Index cached_bytes = 16384;
        const Index bytes_of_row = Index(sizeof(T)) * V::width * n_gates * H_;
        return std::max<Index>(cached_bytes / bytes_of_row, 4);
    }

    // Calls function(rows) for the sequences first, first + 16, ..., from the last step to the
    // first and at each step from the last sequence to the first. Where there are as many at every
    // step, their rows lie evenly.
    template <class Function>
    void for_each_run(const Batch& batch, Index first, const Function& function) const {
        constexpr Index step = sequences_side_by_side;
        const Index n_steps = batch.n_steps(), n = batch.n_sequences();
        if (batch.n_rows() == n_steps * n && n % step == 0) {
            const Index begun = n / step, at_once = rows_at_once();
            for (Index end = begun * n_steps; end > begun; end -= at_once) {
                const Index row = (end - 1) * step + first;
                function(SomeRows{row, std::min(at_once, end - begun), step, row - n});
            }
            function(SomeRows{(begun - 1) * step + first, begun, step});
            return;
        }
        for (Index t = n_steps - 1; t >= 0; --t) {
            const Index n_rows = (batch.active(t) - first + step - 1) / step;
            const Index last = first + (n_rows - 1) * step;
            if (n_rows > 0)
                function(SomeRows{batch.row(t, last), n_rows, step,
                                  t > 0 ? batch.row(t - 1, last) : -1});
        }
    }

    // As lanes.hpp and lane_products.hpp sum: sequence s at place s mod 16, and these added up at
    // the end.
    void sum_by_sequence(const Batch& batch, const T* x, Tape<T>& tape, Control& control) const {
        const Index n = (end_ - begin()) * V::width;
        make_room(tape.sums, sequences_side_by_side * n);
        std::fill_n(tape.sums.data(), sequences_side_by_side * n, T(0));
        for (Index first = 0; first < sequences_side_by_side; ++first) {
            T* const sums = tape.sums.data() + first * n - begin() * V::width;
            for_each_run(batch, first, [&](const SomeRows& rows) {
                add_inputs(rows, x, tape, sums);
                if constexpr (has_recurrent_weights<Cell>)
                    if (rows.previous >= 0) add_states(rows, tape, sums);
            });
            control.poll(batch.n_rows() * multiply_adds());
        }
        for (Index half = sequences_side_by_side / 2; half > 0; half /= 2)
            for (Index i = 0; i < half * n; i += V::width)
                (V::load(tape.sums.data() + i) + V::load(tape.sums.data() + half * n + i))
                    .store(tape.sums.data() + i);
    }

    RecurrenceShape shape_;
    Index H_, D_;
    Index stride_ = 0;  // of a row of W_xh or W_hh
    Index end_;         // of the layer's parameters
    bool is_small_ = false, is_transposed_ = false;
};

template <class T>
std::unique_ptr<Layer<T>> make_layer(const CellOptions& options, const RecurrenceShape& shape) {
    return with_cell(options, [&](auto type) -> std::unique_ptr<Layer<T>> {
        return std::make_unique<LayerOf<typename decltype(type)::type, T>>(shape);
    });
}

}  // namespace elman::fleet
