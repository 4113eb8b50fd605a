// One layer of a stack: a recurrence in one direction or two, and the junction behind it.
//
//     inputs -> directions -> states -> junction -> outputs
//
// Outputs are of each step; of a network that is asked for one output a sequence the last layer
// hands on the forward state after the last step beside the reverse state after the first.
#pragma once

#include "elman/junction.hpp"
#include "elman/network_options.hpp"
#include "elman/workspace.hpp"

namespace elman {

template <class T>
class NetworkLayer {
public:
    // Layer l. add(name, shape) adds a parameter and returns where it begins in the flat vector.
    template <class Add>
    NetworkLayer(const NetworkOptions& options, Index l, const std::vector<Index>& input_widths,
                 const Add& add)
        : l_(l),
          n_units_(options.n_units(l)),
          is_last_(l + 1 == options.n_layers()),
          may_drop_(options.head || !is_last_),
          skips_missing_(options.missing == "mask"),
          fades_(options.missing == "decay" && l == 0),
          has_cell_state_(cell_layout(options.cell).has_cell_state),
          directions_(make_directions(options, l, input_widths, add)),
          junction_(merge_of(options.merge_mode), n_directions(), n_units_,
                    options.residual && l > 0) {
        const Index n_inputs = std::accumulate(input_widths.begin(), input_widths.end(), Index(0));
        if (junction_.is_residual() && junction_.width() != n_inputs)
            throw std::invalid_argument("elman: a residual layer has " + std::to_string(n_inputs) +
                                        " inputs and " + std::to_string(junction_.width()) +
                                        " outputs");
    }

    std::vector<Index> output_widths() const {
        return std::vector<Index>(std::size_t(junction_.n_parts()), n_units_);
    }
    Index sequences_side_by_side() const {
        Index n = 1;
        for (const auto& direction : directions_)
            n = std::max(n, direction->sequences_side_by_side());
        return n;
    }
    Index multiply_adds() const {
        Index sum = 0;
        for (const auto& direction : directions_) sum += direction->multiply_adds();
        return sum;
    }
    // Numbers that its directions hand on at a step.
    Index n_features() const { return n_directions() * n_units_; }

    void round(Storage storage, T* parameters) const {
        for (const auto& direction : directions_) direction->round(storage, parameters);
    }
    void pack(const T* parameters, bool training, std::array<PackedWeights<T>, 2>& weights) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).pack(parameters, training, at(weights, d));
    }

    // Of x and what belongs to it there is room already; the tapes point at some.
    void resize(Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        LayerRows<T>& rows = rows_of(workspace);
        const bool training = workspace.training, every_step = has_every_step(workspace);
        for (Index d = 0; d < n_directions(); ++d) {
            Tape<T>& tape = at(rows.tapes, d);
            tape.training = training;
            tape.is_shared = workspace.is_shared;
            tape.has_mask = workspace.dropout.recurrent > 0.0;
            tape.every_step = every_step;
            tape.skipped = skips_missing_ ? workspace.is_missing.data() : nullptr;
            tape.token_of_row = nullptr;
            Matrix<T>& dh = at(rows.dh, d);
            if (training && every_step) dh.resize(batch.n_rows(), n_units_);
            tape.dy = training && every_step ? dh.rows() : Rows<T>{};
            tape.fading = fades_ ? workspace.decay.g_h.rows() : Rows<T>{};
            tape.dfading = fades_ ? workspace.decay.dg_h.rows() : Rows<T>{};
            direction(d).resize(tape, batch);
        }
        const Index n_rows = every_step ? batch.n_rows() : batch.n_sequences();
        for (Index p = 0; p < junction_.n_parts(); ++p) {
            if (has_dropout(workspace)) at(rows.masks, p).resize(n_rows, n_units_);
            if (hands_on_states(workspace)) continue;
            at(rows.joined, p).resize(n_rows, n_units_);
            if (training) at(rows.djoined, p).resize(n_rows, n_units_);
        }
    }

    // Once both have been resized: whether the layer above reads states side by side.
    void link(const NetworkLayer& above, Workspace<T>& workspace) const {
        if (has_every_step(workspace) && hands_on_states(workspace) && is_transposed(workspace) &&
            above.is_transposed(workspace) && !above.junction_.is_residual())
            direction(0).link(workspace.batch, at(rows_of(workspace).tapes, 0),
                              at(above.rows_of(workspace).tapes, 0));
    }

    // Of the first layer, which may read what it makes of each token (token_sums.hpp).
    bool takes_token_sums(const Workspace<T>& workspace) const {
        for (Index d = 0; d < n_directions(); ++d)
            if (!direction(d).takes_token_sums(at(rows_of(workspace).tapes, d))) return false;
        return true;
    }
    void resize_tokens(Workspace<T>& workspace) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).resize_tokens(workspace.distinct, at(rows_of(workspace).tapes, d));
    }
    void sum_tokens(const std::array<PackedWeights<T>, 2>& weights, Range places,
                    Workspace<T>& workspace) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).sum_tokens(workspace.distinct.x(), places, at(weights, d),
                                    at(rows_of(workspace).tapes, d));
    }
    void add_token_gradients(Range places, Workspace<T>& workspace) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).add_token_gradients(workspace.distinct, places,
                                             at(rows_of(workspace).tapes, d));
    }
    void send_to_tokens(const std::array<PackedWeights<T>, 2>& weights, Range places,
                        Workspace<T>& workspace) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).send_to_tokens(places, at(weights, d), workspace.distinct.dx.rows(), d > 0,
                                        at(rows_of(workspace).tapes, d));
    }

    // Whether the outputs are states as they are: those at each step, or the last ones, which lie
    // side by side where sequences have one length.
    bool hands_on_states(const Workspace<T>& workspace) const {
        return !has_dropout(workspace) && junction_.is_plain() &&
               (has_every_step(workspace) || workspace.batch.is_regular);
    }
    Features<const T> outputs(const Workspace<T>& workspace) const {
        Features<const T> outputs;
        for (Index p = 0; p < junction_.n_parts(); ++p)
            outputs.add(hands_on_states(workspace) ? states_handed_on(workspace, p)
                                                   : at(rows_of(workspace).joined, p).rows());
        return outputs;
    }
    // The states have moved, and what was made of outputs() has to follow; other parts stay.
    void reconnect(const Workspace<T>& workspace, Features<const T>& read) const {
        if (!hands_on_states(workspace)) return;
        for (Index d = 0; d < n_directions(); ++d)
            at(read.parts, d) = states_handed_on(workspace, d);
    }
    Features<T> output_gradients(const Workspace<T>& workspace) const {
        return hands_on_states(workspace)
                   ? state_gradients(workspace)
                   : parts_of(rows_of(workspace).djoined, junction_.n_parts());
    }

    void forward(const Features<const T>& inputs, const std::array<PackedWeights<T>, 2>& weights,
                 Range shard, Workspace<T>& workspace, Control& control) const {
        for (Index d = 0; d < n_directions(); ++d)
            direction(d).forward(workspace.batch, shard, inputs, at(weights, d),
                                 at(rows_of(workspace).tapes, d), control);
        join(inputs, shard, workspace);
    }

    // From the gradient of the outputs to those of the states at each step, or of the last ones;
    // these stand on the tapes, where more may flow into them before backward goes on.
    void begin_backward(Range shard, Workspace<T>& workspace) const {
        clear_last_gradients(shard, workspace);
        split(shard, workspace);
    }

    // To every dz on the tapes, and to dinputs.
    void backward(const std::array<PackedWeights<T>, 2>& weights, Range shard, Index bptt_steps,
                  const Features<T>& dinputs, Workspace<T>& workspace, Control& control) const {
        LayerRows<T>& rows = rows_of(workspace);
        for (Index d = 0; d < n_directions(); ++d) {
            const Rows<const T> dh =
                has_every_step(workspace) ? Rows<const T>(at(rows.dh, d).rows()) : Rows<const T>{};
            direction(d).backward(workspace.batch, shard, at(weights, d), bptt_steps, dh, dinputs,
                                  d > 0, at(rows.tapes, d), control);
        }
        if (junction_.is_residual()) add_residual(workspace, shard, dinputs);
    }

    // Each direction's blocks of units in n_parts ranges.
    Index n_gradient_tasks(Index n_parts) const { return n_directions() * n_parts; }
    void gradient(Index task, Index n_parts, Pass pass, const Features<const T>& inputs,
                  Workspace<T>& workspace, T* gradient, Control& control) const {
        const Index d = task / n_parts, part = task % n_parts;
        const Index n_blocks = direction(d).n_gradient_blocks();
        direction(d).gradient(Range{0, n_blocks}.part(part, n_parts), workspace.batch, inputs,
                              workspace.runs.of_direction(d), pass, at(rows_of(workspace).tapes, d),
                              gradient, control);
    }

private:
    // In one direction.
    bool is_transposed(const Workspace<T>& workspace) const {
        return n_directions() == 1 && direction(0).is_transposed(at(rows_of(workspace).tapes, 0));
    }

    using Directions = std::vector<std::unique_ptr<Recurrence<T>>>;

    template <class Add>
    static Directions make_directions(const NetworkOptions& options, Index l,
                                      const std::vector<Index>& input_widths, const Add& add) {
        Directions directions;
        for (Index d = 0; d < options.n_directions(l); ++d) {
            RecurrenceShape shape{input_widths, options.n_units(l), d == 1, {}};
            shape.may_miss = options.missing != "none";
            shape.layer_norm = options.layer_norm;
            shape.offsets =
                add_parameters(cell_layout(options.cell), shape, direction_prefix(l, d), add);
            directions.push_back(make_recurrence<T>(options.cell, std::move(shape)));
        }
        return directions;
    }

    template <class Add>
    static ParameterOffsets add_parameters(const CellLayout& cell, const RecurrenceShape& shape,
                                           const std::string& prefix, const Add& add) {
        const Index units = shape.n_units, columns = cell.n_columns * units;
        const auto add_if = [&](bool exists, const char* name, std::vector<Index> sizes) {
            return exists ? add(prefix + name, std::move(sizes)) : -1;
        };
        ParameterOffsets offsets{};
        offsets.W_xh = add(prefix + "W_xh", {shape.input_width(), columns});
        offsets.W_hh = add_if(cell.has_recurrent_weights, "W_hh", {units, columns});
        offsets.b_h = add(prefix + "b_h", {columns});
        offsets.b_hn = add_if(cell.has_recurrent_bias, "b_hn", {units});
        offsets.g_h = add_if(shape.layer_norm, "g_h", {columns});
        offsets.g_hn = add_if(shape.layer_norm && cell.has_recurrent_bias, "g_hn", {units});
        return offsets;
    }

    template <class Pair>
    static auto& at(Pair& pair, Index i) {
        return pair[std::size_t(i)];
    }
    Index n_directions() const { return Index(directions_.size()); }
    const Recurrence<T>& direction(Index d) const { return *at(directions_, d); }
    template <class AnyWorkspace>
    auto& rows_of(AnyWorkspace& workspace) const {
        return at(workspace.layers, l_);
    }

    // Dropout stands behind every layer but the last of a network without a head.
    bool has_dropout(const Workspace<T>& workspace) const {
        return may_drop_ && workspace.dropout.output > 0.0;
    }
    bool has_every_step(const Workspace<T>& workspace) const {
        return !is_last_ || workspace.per_step;
    }

    static Features<T> parts_of(const std::array<Matrix<T>, 2>& matrices, Index n) {
        Features<T> parts;
        for (Index p = 0; p < n; ++p) parts.add(at(matrices, p).rows());
        return parts;
    }
    Rows<T> states_handed_on(const Workspace<T>& workspace, Index d) const {
        const Matrix<T>& h = at(rows_of(workspace).tapes, d).h;
        const Batch& batch = workspace.batch;
        if (has_every_step(workspace) || batch.n_sequences() == 0) return h.rows();
        return h.from_row(batch.last_row(0, d == 1));
    }
    // Where what flows into them is wanted by backward.
    Features<T> state_gradients(const Workspace<T>& workspace) const {
        Features<T> dstates;
        for (Index d = 0; d < n_directions(); ++d)
            dstates.add(has_every_step(workspace) ? at(rows_of(workspace).dh, d).rows()
                                                  : at(rows_of(workspace).tapes, d).dh.rows());
        return dstates;
    }
    Features<T> states_of(const Workspace<T>& workspace) const {
        Features<T> states;
        for (Index d = 0; d < n_directions(); ++d)
            states.add(at(rows_of(workspace).tapes, d).h.rows());
        return states;
    }
    Features<T> masks_of(const Workspace<T>& workspace) const {
        return parts_of(rows_of(workspace).masks, has_dropout(workspace) ? junction_.n_parts() : 0);
    }

    // Calls function(rows of the junction, sequence, steps of the states) for what a shard's
    // sequences get from the layer: a vector at each step, or of those that end here one.
    template <class Function>
    void for_each_vector(const Workspace<T>& workspace, Range shard,
                         const Function& function) const {
        const Batch& batch = workspace.batch;
        if (has_every_step(workspace)) {
            for_each_step(batch, shard, false, false, [&](const StepRows& rows) {
                const Index t = batch.first_step + rows.t;
                for (Index r = 0; r < rows.size; ++r) {
                    const Index row = rows.row + r;
                    function(JunctionRows{{row, row}, row}, rows.begin + r, std::array{t, t});
                }
            });
            return;
        }
        for (Index s = std::max(shard.begin, batch.n_continuing); s < shard.end; ++s)
            function(JunctionRows{{batch.last_row(s, false), batch.last_row(s, true)}, s}, s,
                     std::array{batch.first_step + batch.length[std::size_t(s)] - 1, Index(0)});
    }

    void join(const Features<const T>& inputs, Range shard, Workspace<T>& workspace) const {
        if (hands_on_states(workspace)) return;
        const Features<T> states = states_of(workspace), masks = masks_of(workspace);
        const Features<T> outputs = parts_of(rows_of(workspace).joined, junction_.n_parts());
        const Index width = junction_.width();
        for_each_vector(workspace, shard,
                        [&](const JunctionRows& rows, Index s, const std::array<Index, 2>& t) {
                            for (Index p = 0; p < masks.n_parts; ++p)
                                dropout_mask(workspace.dropout.output_key(l_), s,
                                             at(t, p) * width + p * n_units_, n_units_,
                                             workspace.dropout.output, masks[p].row(rows.output));
                            junction_.forward(rows, states, inputs, masks, outputs);
                        });
    }

    void split(Range shard, Workspace<T>& workspace) const {
        if (hands_on_states(workspace)) return;
        const bool every_step = has_every_step(workspace);
        const Features<T> states = states_of(workspace), masks = masks_of(workspace);
        const Features<T> doutputs = output_gradients(workspace);
        const Features<T> dstates = state_gradients(workspace);
        for_each_vector(workspace, shard,
                        [&](const JunctionRows& rows, Index s, const std::array<Index, 2>&) {
                            const JunctionRows last{{s, s}, s};
                            junction_.backward(rows, states, masks, doutputs,
                                               every_step ? rows : last, dstates);
                        });
    }

    void add_residual(const Workspace<T>& workspace, Range shard,
                      const Features<T>& dinputs) const {
        const Features<T> doutputs = output_gradients(workspace);
        for_each_vector(workspace, shard,
                        [&](const JunctionRows& rows, Index, const std::array<Index, 2>&) {
                            junction_.add_to_inputs(rows, doutputs, dinputs);
                        });
    }

    // Nothing flows into the states behind the last step, but for what outputs put there.
    void clear_last_gradients(Range shard, Workspace<T>& workspace) const {
        const Index first = std::max(shard.begin, workspace.batch.n_continuing);
        const bool are_outputs = hands_on_states(workspace) && !has_every_step(workspace);
        for (Index d = 0; d < n_directions(); ++d) {
            Tape<T>& tape = at(rows_of(workspace).tapes, d);
            if (!are_outputs) tape.dh.rows().clear(first, shard.end);
            if (has_cell_state_) tape.dc.rows().clear(first, shard.end);
        }
    }

    Index l_, n_units_;
    bool is_last_, may_drop_, skips_missing_, fades_, has_cell_state_;
    Directions directions_;
    Junction<T> junction_;
};

}  // namespace elman
