// A stack of recurrent layers, each of one direction or two, and a dense head; before them, where
// steps are tokens, an embedding.
//
//     (tokens -> embedding -> dropout ->) x
//     x (-> input layer) -> layer 0 -> junction -> layer 1 -> junction -> ... -> head -> outputs
//
// where a junction is what stands behind a layer: directions merged, a residual, dropout. The
// input layer is relu(x W + b) of each step; the head may read x beside the last junction.
//
// Outputs are per step, or per sequence: then the head reads the forward state after the last
// step beside the reverse state after the first. The network holds shapes; parameters are one
// flat vector, cut by the list parameters(). What a pass leaves behind is its Workspace.
#pragma once

#include <array>
#include <optional>

#include "elman/cells.hpp"
#include "elman/decay.hpp"
#include "elman/dropout.hpp"
#include "elman/embedding.hpp"
#include "elman/head.hpp"
#include "elman/initialize.hpp"
#include "elman/junction.hpp"
#include "elman/transpose.hpp"

namespace elman {

struct NetworkOptions {
    CellOptions cell;
    std::vector<Index> hidden_layer_sizes;
    std::vector<bool> bidirectional;  // one for each layer
    Index n_channels;
    Index n_outputs;  // ignored without a head
    bool head;
    Index n_tokens = 0;  // steps are tokens below it, and channels what an embedding makes of them
    std::string merge_mode = "concat";  // of the directions of a layer
    bool residual = false;              // around each layer but the first
    // What NaN is: "none" an error of the caller, "mask" a step that every layer skips, "decay" a
    // value that fades (decay.hpp).
    std::string missing = "none";
    bool layer_norm = false;   // of each gate's sums
    Index input_layer = 0;     // units of a dense layer before the first one, or 0 for none
    Index head_layer = 0;      // units of the head's hidden layer, or 0 for none
    bool head_inputs = false;  // whether the head reads the inputs of the step beside the states
    // Steps from this one on all start from the states before it, none from another; 0 for none.
    Index branch_step = 0;
};

struct Parameter {
    std::string name;
    std::vector<Index> shape;
    Index offset;

    Index size() const {
        return shape.size() == 2 ? checked_multiply(shape[0], shape[1]) : shape[0];
    }
    bool is_matrix() const { return shape.size() == 2; }
};

// Columns [offset, offset + width) of a row of states; of a layer, or -1 for the decay's.
struct State {
    std::string name;
    Index layer, width, offset;
    bool is_cell_state;
};

template <class T>
struct NetworkWeights {
    const T* parameters = nullptr;  // as they came, for an embedding or a decay
    std::vector<std::array<PackedWeights<T>, 2>> layers;
    PackedDense<T> input;
    PackedHead<T> head;
};

// The memory of one pass over a mini-batch, used again for the next.
template <class T>
struct Workspace {
    template <class U>
    using ByDirection = std::vector<std::array<U, 2>>;

    bool training = false;
    bool per_step = false;
    bool is_shared = false;     // the shards of a pass that is not training go to several threads
    bool wants_inputs = false;  // backward makes dL/d(inputs), also where no parameter needs it
    Dropout dropout;
    Batch batch;
    RecurrentRuns runs;
    TokenRows<T> tokens;
    Matrix<T> x;
    Matrix<T> dx;                         // where an embedding or a decay stands before, or wanted
    Matrix<T> inputs, dinputs;            // of the first layer, where an input layer does
    Matrix<T> x_mask;                     // of dropout behind an embedding
    std::vector<Features<const T>> read;  // by each layer, and by the head
    std::vector<unsigned char> is_missing;  // by row, where steps may be skipped
    DecayRows<T> decay;
    ByDirection<Tape<T>> tapes;
    ByDirection<Matrix<T>> dh;  // dL/d(a direction's states), at each step
    // By layer and part: what its junction makes, where that is not the states themselves, at each
    // step or of the last one; its gradient; the masks of dropout.
    ByDirection<Matrix<T>> joined, djoined, masks;
    // Of the head, by row of the outputs: its hidden layer, the inputs of the last steps where
    // only these count, and dL/d(inputs).
    HeadRows<T> head;
    Matrix<T> last_x, dhead_x;
    Matrix<T> outputs, doutputs;
    const T* dfinal_states = nullptr;  // what flows into the last states from elsewhere, by place
    bool states_by_place = false;  // rows of states are in the order of the batch, not the caller's
};

template <class T>
class Network {
public:
    explicit Network(NetworkOptions options)
        : options_(std::move(options)), skips_missing_(options_.missing == "mask") {
        check_options();
        layout_ = cell_layout(options_.cell);
        if (options_.n_tokens > 0)
            embedding_.emplace(
                options_.n_tokens, options_.n_channels,
                add_parameter("embedding", {options_.n_tokens, options_.n_channels}));
        if (options_.missing == "decay") decay_ = add_decay();
        if (options_.input_layer > 0) {
            const Index W = add_parameter("input.W", {n_inputs(), options_.input_layer});
            const Index b = add_parameter("input.b", {options_.input_layer});
            input_.emplace(std::vector<Index>{n_inputs()}, options_.input_layer, W, b);
        }
        std::vector<Index> widths{input_ ? options_.input_layer : n_inputs()};
        for (Index l = 0; l < n_layers(); ++l) {
            const Index units = options_.hidden_layer_sizes[std::size_t(l)];
            const Index n = options_.bidirectional[std::size_t(l)] ? 2 : 1;
            layers_.emplace_back();
            for (Index d = 0; d < n; ++d)
                layers_.back().push_back(make_recurrence<T>(
                    options_.cell, {widths, units, d == 1, add_parameters(l, d, widths, units),
                                    options_.missing != "none", options_.layer_norm}));
            const bool is_residual = options_.residual && l > 0;
            junctions_.emplace_back(merge_of(options_.merge_mode), n, units, is_residual);
            if (is_residual && junctions_.back().width() != total(widths))
                throw std::invalid_argument("elman: a residual layer has " +
                                            std::to_string(total(widths)) + " inputs and " +
                                            std::to_string(junctions_.back().width()) + " outputs");
            widths.assign(std::size_t(junctions_.back().n_parts()), units);
        }
        recurrent_size_ = state_size_;
        if (decay_) {
            add_state("decay.last", -1, options_.n_channels, false);
            add_state("decay.since", -1, options_.n_channels, false);
        }
        if (!options_.head) {
            options_.n_outputs = total(widths);
            return;
        }
        if (options_.head_inputs) widths.push_back(n_inputs());
        head_.emplace(widths, options_.head_layer, options_.n_outputs,
                      [this](std::string name, std::vector<Index> shape) {
                          return add_parameter(std::move(name), std::move(shape));
                      });
    }

    const NetworkOptions& options() const { return options_; }
    const std::vector<Parameter>& parameters() const { return parameters_; }
    Index n_parameters() const { return n_parameters_; }
    const std::vector<State>& states() const { return states_; }
    Index state_size() const { return state_size_; }
    Index n_layers() const { return Index(options_.hidden_layer_sizes.size()); }
    bool has_reverse() const {
        const std::vector<bool>& both = options_.bidirectional;
        return std::count(both.begin(), both.end(), true) > 0;
    }
    // Whether the steps behind some others need no more of them than their states.
    bool runs_in_segments() const { return !has_reverse() && options_.branch_step == 0; }
    const std::optional<Embedding<T>>& embedding() const { return embedding_; }
    // Whether NaN may come in.
    bool may_miss() const { return skips_missing_ || decay_; }

    Index sequences_side_by_side() const {
        Index n = 1;
        for (const auto& directions : layers_)
            for (const auto& direction : directions)
                n = std::max(n, direction->sequences_side_by_side());
        return n;
    }
    // Numbers that enter and leave the layers at one step of one sequence.
    Index n_features() const {
        Index sum = options_.n_channels + options_.input_layer + options_.head_layer;
        for (Index l = 0; l < n_layers(); ++l)
            sum += n_directions(l) * options_.hidden_layer_sizes[std::size_t(l)];
        return sum;
    }

    // Of one step of one sequence, forwards.
    Index multiply_adds() const {
        Index sum = head_ ? head_->multiply_adds() : 0;
        if (input_) sum += input_->multiply_adds();
        for (const auto& directions : layers_)
            for (const auto& direction : directions) sum += direction->multiply_adds();
        return sum;
    }

    void initialize(std::uint64_t seed, T* weights, Control& control) const {
        std::fill_n(weights, n_parameters_, T(0));
        for (std::size_t p = 0; p < parameters_.size(); ++p) {
            const Parameter& parameter = parameters_[p];
            T* const to = weights + parameter.offset;
            const std::uint64_t key = random_bits(seed, std::uint64_t(p));
            const auto ends_with = [&](const std::string& end) {
                return parameter.name.size() >= end.size() &&
                       parameter.name.compare(parameter.name.size() - end.size(), end.size(),
                                              end) == 0;
            };
            if (parameter.name == "embedding") {
                initialize_normal(key, parameter.size(), to);
            } else if (ends_with("W_xh")) {
                const Index units = parameter.shape[1] / layout_.n_columns;
                initialize_glorot(key, parameter.shape[0], units, parameter.size(), to);
            } else if (ends_with(".g_h") || ends_with(".g_hn")) {
                std::fill_n(to, parameter.size(), T(1));
            } else if (parameter.name == "decay.w_x") {
                std::fill_n(to, parameter.size(), T(0.1));
            } else if (ends_with(".W") || parameter.name == "decay.W_h") {
                initialize_glorot(key, parameter.shape[0], parameter.shape[1], parameter.size(),
                                  to);
            } else if (ends_with("W_hh")) {
                const Index units = parameter.shape[0];
                for (Index column = 0; column < layout_.n_columns; ++column)
                    initialize_orthogonal(random_bits(key, std::uint64_t(column)), units,
                                          parameter.shape[1], to + column * units, control);
            } else if (parameter.name != "decay.b_h" && ends_with("b_h") &&
                       layout_.forget_column >= 0) {
                const Index units = parameter.shape[0] / layout_.n_columns;
                std::fill_n(to + layout_.forget_column * units, units, T(1));
            }
        }
    }

    // Rounds the matrices of its layers to what they can be stored as.
    void round(Storage storage, T* parameters) const {
        for (const auto& directions : layers_)
            for (const auto& direction : directions) direction->round(storage, parameters);
    }

    // The weights must outlive what is packed of them: an embedding or a decay is read where it is.
    void pack(const T* weights, bool training, NetworkWeights<T>& packed) const {
        packed.parameters = weights;
        packed.layers.resize(std::size_t(n_layers()));
        for (Index l = 0; l < n_layers(); ++l)
            for (Index d = 0; d < n_directions(l); ++d)
                direction(l, d).pack(weights, training, at(packed.layers, l, d));
        if (input_) input_->pack(weights, training, packed.input);
        if (head_) head_->pack(weights, training, packed.head);
    }

    // The row of states from which a sequence starts where no others are given.
    void start(const T* parameters, T* states) const {
        std::fill_n(states, recurrent_size_, T(0));
        if (decay_) decay_->start(parameters, states + recurrent_size_);
    }

    // Makes ready for a pass over workspace.batch, with the initial states (n_sequences rows of
    // state_size, in the caller's order) or those of start(). One thread.
    void prepare(const Sequences<T>& sequences, Workspace<T>& workspace,
                 const T* initial_state) const {
        resize(workspace);
        begin(sequences, workspace, initial_state);
    }

    // The two halves of it, for passes over batches of one shape: the room, and what goes in.
    void begin(const Sequences<T>& sequences, Workspace<T>& workspace,
               const T* initial_state) const {
        begin_steps(sequences, workspace);
        if (workspace.training) workspace.runs.assign(workspace.batch, initial_state != nullptr);
        set_initial_states(workspace, initial_state);
    }
    // Of steps that go on from the states that are there.
    void begin_steps(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        if (embedding_) prepare_tokens(sequences, workspace);
        if (skips_missing_) std::fill_n(workspace.is_missing.begin(), workspace.batch.n_rows(), 0);
    }
    void resize(Workspace<T>& workspace) const {
        workspace.batch.branch_step = options_.branch_step;
        const Batch& batch = workspace.batch;
        const Dropout& dropout = workspace.dropout;
        workspace.x.resize(batch.n_rows(), n_inputs(), n_inputs());
        if (decay_)
            decay_->resize(batch.n_rows(), batch.n_sequences(), workspace.training,
                           workspace.decay);
        if (workspace.training && makes_input_gradients(workspace))
            workspace.dx.resize(batch.n_rows(), n_inputs());
        if (input_) workspace.inputs.resize(batch.n_rows(), options_.input_layer);
        if (input_ && workspace.training)
            workspace.dinputs.resize(batch.n_rows(), options_.input_layer);
        if (skips_missing_) workspace.is_missing.resize(std::size_t(batch.n_rows()));
        for (auto* matrices :
             {&workspace.joined, &workspace.djoined, &workspace.masks, &workspace.dh})
            matrices->resize(std::size_t(n_layers()));
        workspace.tapes.resize(std::size_t(n_layers()));
        for (Index l = 0; l < n_layers(); ++l) {
            const Index units = options_.hidden_layer_sizes[std::size_t(l)];
            const bool every_step = has_every_step(workspace, l);
            for (Index d = 0; d < n_directions(l); ++d) {
                Tape<T>& tape = at(workspace.tapes, l, d);
                tape.training = workspace.training;
                tape.is_shared = workspace.is_shared;
                tape.has_mask = dropout.recurrent > 0.0;
                tape.every_step = every_step;
                tape.skipped = skips_missing_ ? workspace.is_missing.data() : nullptr;
                tape.fading = decay_ && l == 0 ? workspace.decay.g_h.rows() : Rows<T>{};
                tape.dfading = decay_ && l == 0 ? workspace.decay.dg_h.rows() : Rows<T>{};
                direction(l, d).resize(tape, batch);
                if (workspace.training && every_step)
                    at(workspace.dh, l, d).resize(batch.n_rows(), units);
            }
            const Index rows = every_step ? batch.n_rows() : batch.n_sequences();
            for (Index p = 0; p < junction(l).n_parts(); ++p) {
                if (has_dropout(workspace, l)) at(workspace.masks, l, p).resize(rows, units);
                if (!has_junction(workspace, l)) continue;
                at(workspace.joined, l, p).resize(rows, units);
                if (workspace.training) at(workspace.djoined, l, p).resize(rows, units);
            }
        }
        const Index n_outputs_rows = workspace.per_step ? batch.n_rows() : batch.n_sequences();
        workspace.outputs.resize(n_outputs_rows, options_.n_outputs);
        if (head_) prepare_head(n_outputs_rows, workspace);
        if (workspace.training) workspace.doutputs.resize(n_outputs_rows, options_.n_outputs);
        workspace.read.clear();
        for (Index l = 0; l < n_layers(); ++l) workspace.read.push_back(layer_inputs(workspace, l));
        workspace.read.push_back(head_inputs(workspace));
    }

    // The outputs of the sequences of a shard.
    void forward(const Sequences<T>& sequences, const NetworkWeights<T>& weights, Range shard,
                 Workspace<T>& workspace, Control& control) const {
        if (embedding_)
            embed(weights.parameters + embedding_->offset(), shard, workspace);
        else
            gather(sequences, shard, workspace);
        if (skips_missing_) skip_missing(shard, workspace);
        if (decay_)
            for (Index s = shard.begin; s < shard.end; ++s)
                decay_->forward(weights.parameters, workspace.batch, s, workspace.decay,
                                workspace.x.rows());
        if (input_) enter(weights, shard, workspace);
        for (Index l = 0; l < n_layers(); ++l) {
            const Features<const T>& inputs = workspace.read[std::size_t(l)];
            for (Index d = 0; d < n_directions(l); ++d)
                direction(l, d).forward(workspace.batch, shard, inputs, at(weights.layers, l, d),
                                        at(workspace.tapes, l, d), control);
            join(workspace, l, inputs, shard);
        }
        if (options_.head_inputs && !workspace.per_step) gather_last(shard, workspace);
        const Features<const T>& features = workspace.read.back();
        for_each_output(workspace, shard, [&](Index row, Index n_rows) {
            if (head_)
                head_->forward(row, n_rows, features, weights.head, workspace.head,
                               workspace.outputs.rows());
            else
                copy_outputs(row, n_rows, features, workspace.outputs.rows());
        });
    }

    // From workspace.doutputs to every dz on the tapes.
    void backward(const NetworkWeights<T>& weights, Range shard, Index bptt_steps,
                  Workspace<T>& workspace, Control& control) const {
        const Features<T> dfeatures = feature_gradients(workspace);
        for_each_output(workspace, shard, [&](Index row, Index n_rows) {
            if (head_)
                head_->backward(row, n_rows, workspace.doutputs.rows(), weights.head,
                                workspace.head, dfeatures);
            else
                copy_gradients(row, n_rows, workspace.doutputs.rows(), dfeatures);
        });
        for (Index l = n_layers() - 1; l >= 0; --l) {
            start_gradients(workspace, l, shard);
            split(workspace, l, shard);
            if (workspace.dfinal_states != nullptr) add_final_gradients(workspace, l, shard);
            Features<T> dx;
            if (l > 0) dx = output_gradients(workspace, l - 1);
            if (l == 0 && input_)
                dx.add(workspace.dinputs.rows());
            else if (l == 0 && makes_input_gradients(workspace))
                dx.add(workspace.dx.rows());
            for (Index d = 0; d < n_directions(l); ++d) {
                const Rows<const T> dy = has_every_step(workspace, l)
                                             ? Rows<const T>(at(workspace.dh, l, d).rows())
                                             : Rows<const T>{};
                direction(l, d).backward(workspace.batch, shard, at(weights.layers, l, d),
                                         bptt_steps, dy, dx, d > 0, at(workspace.tapes, l, d),
                                         control);
            }
            if (junction(l).is_residual()) add_residual(workspace, l, shard, dx);
        }
        if (input_) leave(weights, shard, workspace);
        if (options_.head_inputs && makes_input_gradients(workspace))
            add_head_gradients(shard, workspace);
        if (embedding_ && workspace.dropout.embedding > 0.0)
            mask_inputs(workspace, shard, workspace.dx.rows());
    }

    // dL/d(inputs) at each step of sequence s, once backward has been there and if they are wanted.
    // Of a decay, of the values that are there; what is missing has none.
    void input_gradients(const Workspace<T>& workspace, Index s, T* dinputs) const {
        const Batch& batch = workspace.batch;
        const Index n_channels = options_.n_channels, n_steps = batch.length[std::size_t(s)];
        for (Index t = 0; t < n_steps; ++t) {
            const Index row = batch.row(t, s);
            if (skips_missing_ && workspace.is_missing[std::size_t(row)] != 0)
                std::fill_n(dinputs + t * n_channels, n_channels, T(0));
            else
                std::copy_n(workspace.dx.row(row), n_channels, dinputs + t * n_channels);
        }
        if (decay_) decay_->backward(batch, s, workspace.decay, workspace.x.rows(), dinputs);
    }

    // dL/d(initial states), by place, once backward has been there.
    void initial_gradients(const Workspace<T>& workspace, Range shard, T* dstates) const {
        for_each_state([&](Index l, Index d, const State& state) {
            const Tape<T>& tape = at(workspace.tapes, l, d);
            for (Index s = shard.begin; s < shard.end; ++s) {
                T* const to = dstates + s * state_size_ + state.offset;
                if (state.is_cell_state) {
                    std::copy_n(tape.dc.row(s), state.width, to);
                    continue;
                }
                const T *const dh = tape.dh.row(s), *const recurrent = tape.recurrent.row(s);
                for (Index u = 0; u < state.width; ++u)
                    to[u] = dh[u] + recurrent[u] * (tape.has_mask ? tape.mask.row(s)[u] : T(1));
            }
        });
    }

    // The gradient of the weights in independent pieces: each direction's blocks of units in
    // n_parts ranges, the embedding's tokens and the input layer's units likewise, and the head's.
    // An embedding's is added to what is there, and only to the rows of the tokens that occur.
    Index n_gradient_tasks(Index n_parts) const {
        Index n = (head_ ? head_->n_gradient_tasks(n_parts) : 0) + (learns_inputs() ? n_parts : 0) +
                  (input_ ? n_parts : 0);
        for (Index l = 0; l < n_layers(); ++l) n += n_directions(l) * n_parts;
        return n;
    }
    void gradient(Index task, Index n_parts, Pass pass, const NetworkWeights<T>& weights,
                  Workspace<T>& workspace, T* gradient, Control& control) const {
        for (Index l = 0; l < n_layers(); ++l) {
            for (Index d = 0; d < n_directions(l); ++d, task -= n_parts) {
                if (task >= n_parts) continue;
                const Index n_blocks = direction(l, d).n_gradient_blocks();
                direction(l, d).gradient(
                    {n_blocks * task / n_parts, n_blocks * (task + 1) / n_parts}, workspace.batch,
                    workspace.read[std::size_t(l)], workspace.runs.of_direction(d), pass,
                    at(workspace.tapes, l, d), gradient, control);
                return;
            }
        }
        const Batch& batch = workspace.batch;
        if (learns_inputs()) {
            if (task < n_parts) {
                input_gradient(task, n_parts, pass, weights, workspace, gradient);
                return;
            }
            task -= n_parts;
        }
        if (input_) {
            if (task < n_parts) {
                input_->gradient(0, batch.n_rows(), true, pass, steps_of(workspace),
                                 workspace.dinputs.rows(), gradient, control, task, n_parts);
                return;
            }
            task -= n_parts;
        }
        const Range rows = workspace.per_step ? Range{0, batch.n_rows()}
                                              : Range{batch.n_continuing, batch.n_sequences()};
        head_->gradient(task, n_parts, rows, workspace.per_step, pass, workspace.read.back(),
                        workspace.head, workspace.doutputs.rows(), gradient, control);
    }

    // Where sequences start: rows of states, or start() where there are none.
    void set_initial_states(Workspace<T>& workspace, const T* initial_state) const {
        workspace.decay.starts = initial_state == nullptr;
        for (Index s = 0; s < workspace.batch.n_sequences(); ++s)
            set_initial_state(
                workspace, s,
                initial_state == nullptr ? nullptr : state_row(workspace, initial_state, s));
    }
    // Of sequence s: a row of states, or null.
    void set_initial_state(Workspace<T>& workspace, Index s, const T* states) const {
        if (decay_ && states != nullptr)
            std::copy_n(states + recurrent_size_, decay_->state_size(),
                        workspace.decay.observed.row(s));
        for_each_state([&](Index l, Index d, const State& state) {
            Tape<T>& tape = at(workspace.tapes, l, d);
            T* const to = (state.is_cell_state ? tape.initial_c : tape.initial_h).row(s);
            if (states == nullptr)
                std::fill_n(to, state.width, T(0));
            else
                std::copy_n(states + state.offset, state.width, to);
            if (!tape.has_mask || state.is_cell_state) return;
            T* const mask = tape.mask.row(s);
            dropout_mask(workspace.dropout.recurrent_key(l), s, d * state.width, state.width,
                         workspace.dropout.recurrent, mask);
            multiply_rows(to, mask, state.width, tape.initial_operand.row(s));
        });
    }

    void initial_states(const Workspace<T>& workspace, T* states) const {
        const Range all{0, workspace.batch.n_sequences()};
        copy_states(workspace, all, states, [&](const Tape<T>& tape, Index s, Index, bool is_c) {
            return is_c ? tape.initial_c.row(s) : tape.initial_h.row(s);
        });
    }

    // States after the last step in the order of processing, for the sequences of the batch.
    void final_states(const Workspace<T>& workspace, Range shard, T* states) const {
        copy_states(workspace, shard, states,
                    [&](const Tape<T>& tape, Index s, Index d, bool is_c) {
                        return is_c ? tape.cells.last(workspace.batch, s, d == 1).data
                                    : tape.h.row(last_row(workspace.batch, s, d));
                    });
    }

    // The states after one step of each sequence are the initial ones of the next; no training.
    void carry_states(Workspace<T>& workspace) const {
        for_each_state([&](Index l, Index d, const State& state) {
            Tape<T>& tape = at(workspace.tapes, l, d);
            if (state.is_cell_state) {
                tape.cells.exchange(tape.initial_c);
                return;
            }
            swap(tape.h, tape.initial_h);
            if (!has_junction(workspace, l))
                workspace.read[std::size_t(l + 1)].parts[std::size_t(d)] = tape.h.rows();
        });
    }

private:
    static Index total(const std::vector<Index>& widths) {
        Index sum = 0;
        for (const Index width : widths) sum += width;
        return sum;
    }
    template <class Matrices>
    static auto& at(Matrices& matrices, Index l, Index d) {
        return matrices[std::size_t(l)][std::size_t(d)];
    }
    Index n_directions(Index l) const { return Index(layers_[std::size_t(l)].size()); }
    const Recurrence<T>& direction(Index l, Index d) const { return *at(layers_, l, d); }
    const Junction<T>& junction(Index l) const { return junctions_[std::size_t(l)]; }

    void check_options() const {
        const auto require = [](bool holds, const char* what) {
            if (!holds) throw std::invalid_argument(std::string("elman: ") + what);
        };
        require(!options_.hidden_layer_sizes.empty(), "a network needs a layer");
        require(options_.bidirectional.size() == options_.hidden_layer_sizes.size(),
                "bidirectional needs one entry for each layer");
        for (const Index size : options_.hidden_layer_sizes)
            require(size >= 1 && size <= 1 << 24, "a layer needs 1 to 2^24 units");
        require(options_.n_channels >= 1, "n_channels must be at least 1");
        require(
            options_.missing == "none" || options_.missing == "mask" || options_.missing == "decay",
            "missing must be 'none', 'mask' or 'decay'");
        require(options_.missing == "none" || options_.n_tokens == 0, "tokens cannot be missing");
        require(options_.missing != "decay" || !options_.bidirectional.front(),
                "a layer of two directions cannot decay");
        require(options_.n_tokens >= 0 && options_.n_tokens <= std::numeric_limits<int>::max(),
                "n_tokens must be in [0, 2^31)");
        require(!options_.head || options_.n_outputs >= 1, "n_outputs must be at least 1");
        require(options_.input_layer >= 0 && options_.input_layer <= 1 << 24,
                "input_layer must be in [0, 2^24]");
        require(options_.head_layer >= 0 && options_.head_layer <= 1 << 24,
                "head_layer must be in [0, 2^24]");
        require(options_.head || (options_.head_layer == 0 && !options_.head_inputs),
                "head_layer and head_inputs need a head");
        require(options_.branch_step >= 0, "branch_step must be at least 0");
        require(options_.branch_step == 0 || (!has_reverse() && options_.missing == "none"),
                "steps branch in layers of one direction, none of them missing");
    }

    Index add_parameter(std::string name, std::vector<Index> shape) {
        parameters_.push_back({std::move(name), std::move(shape), n_parameters_});
        n_parameters_ += parameters_.back().size();
        return parameters_.back().offset;
    }

    ParameterOffsets add_parameters(Index l, Index d, const std::vector<Index>& widths,
                                    Index units) {
        const std::string prefix = "layers." + std::to_string(l) + (d == 1 ? ".reverse." : ".");
        const Index columns = layout_.n_columns * units;
        ParameterOffsets offsets{};
        offsets.W_xh = add_parameter(prefix + "W_xh", {total(widths), columns});
        offsets.W_hh =
            layout_.has_recurrent_weights ? add_parameter(prefix + "W_hh", {units, columns}) : -1;
        offsets.b_h = add_parameter(prefix + "b_h", {columns});
        offsets.b_hn = layout_.has_recurrent_bias ? add_parameter(prefix + "b_hn", {units}) : -1;
        offsets.g_h = options_.layer_norm ? add_parameter(prefix + "g_h", {columns}) : -1;
        offsets.g_hn = options_.layer_norm && layout_.has_recurrent_bias
                           ? add_parameter(prefix + "g_hn", {units})
                           : -1;
        add_state(prefix + "h", l, units, false);
        if (layout_.has_cell_state) add_state(prefix + "c", l, units, true);
        return offsets;
    }

    Decay<T> add_decay() {
        const Index channels = options_.n_channels, units = options_.hidden_layer_sizes.front();
        const auto add = [&](const char* name, std::vector<Index> shape) {
            return add_parameter(std::string("decay.") + name, std::move(shape));
        };
        DecayOffsets offsets{};
        offsets.mean = add("mean", {channels});
        offsets.w_x = add("w_x", {channels});
        offsets.b_x = add("b_x", {channels});
        offsets.W_h = add("W_h", {channels, units});
        offsets.b_h = add("b_h", {units});
        return Decay<T>(channels, units, offsets);
    }
    // Whether parameters stand before x.
    bool learns_inputs() const { return embedding_ || decay_; }
    bool makes_input_gradients(const Workspace<T>& workspace) const {
        return workspace.wants_inputs || learns_inputs();
    }
    // What the first layer reads of a step, or the input layer before it, and the head.
    Index n_inputs() const { return options_.n_channels * (decay_ ? 2 : 1); }

    void add_state(std::string name, Index layer, Index width, bool is_cell_state) {
        states_.push_back({std::move(name), layer, width, state_size_, is_cell_state});
        state_size_ += width;
    }

    template <class Function>
    void for_each_state(const Function& function) const {
        auto state = states_.begin();
        for (Index l = 0; l < n_layers(); ++l)
            for (Index d = 0; d < n_directions(l); ++d)
                for (int i = 0; i < (layout_.has_cell_state ? 2 : 1); ++i) function(l, d, *state++);
    }

    // from(tape, sequence, direction, whether it is a cell state): one state of a sequence.
    template <class From>
    void copy_states(const Workspace<T>& workspace, Range shard, T* states,
                     const From& from) const {
        for_each_state([&](Index l, Index d, const State& state) {
            for (Index s = shard.begin; s < shard.end; ++s)
                std::copy_n(from(at(workspace.tapes, l, d), s, d, state.is_cell_state), state.width,
                            state_row(workspace, states, s) + state.offset);
        });
        for (Index s = shard.begin; decay_ && s < shard.end; ++s)
            std::copy_n(workspace.decay.observed.row(s), decay_->state_size(),
                        state_row(workspace, states, s) + recurrent_size_);
    }

    template <class U>
    U* state_row(const Workspace<T>& workspace, U* states, Index s) const {
        const Index row = workspace.states_by_place ? s : workspace.batch.source[std::size_t(s)];
        return states + row * state_size_;
    }
    static Index last_row(const Batch& batch, Index s, Index d) {
        return d == 0 ? batch.last_row(s) : batch.row(0, s);
    }

    void prepare_tokens(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        embedding_->collect(sequences, workspace.batch, workspace.dropout, workspace.tokens);
        const Index n_rows = workspace.batch.n_rows();
        if (workspace.dropout.embedding > 0.0) workspace.x_mask.resize(n_rows, embedding_->width());
        if (workspace.training) embedding_->sort(workspace.tokens);
    }

    void prepare_head(Index n_rows, Workspace<T>& workspace) const {
        head_->resize(n_rows, workspace.training, workspace.head);
        if (!options_.head_inputs) return;
        if (!workspace.per_step) workspace.last_x.resize(n_rows, n_inputs());
        if (workspace.training && makes_input_gradients(workspace))
            workspace.dhead_x.resize(n_rows, n_inputs());
    }

    // Through the input layer.
    void enter(const NetworkWeights<T>& weights, Range shard, Workspace<T>& workspace) const {
        const Features<const T> x = steps_of(workspace);
        for_each_step(workspace.batch, shard, false, false, [&](const StepRows& rows) {
            input_->forward(rows.row, rows.size, x, weights.input, workspace.inputs.rows());
            rectify(rows.row, rows.size, workspace.inputs.rows());
        });
    }

    // And back.
    void leave(const NetworkWeights<T>& weights, Range shard, Workspace<T>& workspace) const {
        Features<T> dx;
        if (makes_input_gradients(workspace)) dx.add(workspace.dx.rows());
        for_each_step(workspace.batch, shard, false, false, [&](const StepRows& rows) {
            rectify_gradient(rows.row, rows.size, workspace.inputs.rows(),
                             workspace.dinputs.rows());
            input_->backward(rows.row, rows.size, workspace.dinputs.rows(), weights.input, dx);
        });
    }

    void gather_last(Range shard, Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        for (Index s = std::max(shard.begin, batch.n_continuing); s < shard.end; ++s)
            std::copy_n(workspace.x.row(batch.last_row(s)), n_inputs(), workspace.last_x.row(s));
    }

    // What the head sends to x directly.
    void add_head_gradients(Range shard, Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        for_each_output(workspace, shard, [&](Index first, Index n_rows) {
            for (Index row = first; row < first + n_rows; ++row)
                add_rows(workspace.dhead_x.row(row), n_inputs(),
                         workspace.dx.row(workspace.per_step ? row : batch.last_row(row)));
        });
    }

    // Of what stands before x: some tokens of an embedding, some units of a decay.
    void input_gradient(Index task, Index n_parts, Pass pass, const NetworkWeights<T>& weights,
                        Workspace<T>& workspace, T* gradient) const {
        const Index n =
            embedding_ ? workspace.tokens.n_tokens() : options_.hidden_layer_sizes.front();
        const Range range{n * task / n_parts, n * (task + 1) / n_parts};
        if (embedding_)
            embedding_->gradient(range, workspace.tokens, workspace.dx.rows(), gradient);
        else
            decay_->gradient(range, workspace.batch.n_rows(), pass, weights.parameters,
                             workspace.decay, workspace.x.rows(), workspace.dx.rows(), gradient);
    }

    void embed(const T* E, Range shard, Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        const bool has_mask = workspace.dropout.embedding > 0.0;
        const Index width = embedding_->width();
        for_each_step(batch, shard, false, false, [&](const StepRows& rows) {
            for (Index r = 0; r < rows.size; ++r) {
                embedding_->forward(E, workspace.tokens, rows.row + r,
                                    workspace.x.row(rows.row + r));
                if (has_mask)
                    dropout_mask(workspace.dropout.embedding_key(), rows.begin + r,
                                 (batch.first_step + rows.t) * width, width,
                                 workspace.dropout.embedding, workspace.x_mask.row(rows.row + r));
            }
        });
        if (has_mask) mask_inputs(workspace, shard, workspace.x.rows());
    }

    // Of the embedding, or of their gradient.
    void mask_inputs(const Workspace<T>& workspace, Range shard, const Rows<T>& inputs) const {
        for_each_step(workspace.batch, shard, false, false, [&](const StepRows& rows) {
            for (Index row = rows.row; row < rows.row + rows.size; ++row)
                multiply_rows(inputs.row(row), workspace.x_mask.row(row), embedding_->width(),
                              inputs.row(row));
        });
    }

    static void gather(const Sequences<T>& sequences, Range shard, Workspace<T>& workspace) {
        const Batch& batch = workspace.batch;
        if (batch.is_regular && workspace.x.rows().stride == 1)
            return gather_series(sequences, shard, workspace);
        for (Index s = shard.begin; s < shard.end; ++s) {
            const T* from = sequences.step(batch.source[std::size_t(s)], batch.first_step);
            const Index n_steps = batch.length[std::size_t(s)];
            if (sequences.n_channels == 1)
                for (Index t = 0; t < n_steps; ++t) *workspace.x.row(batch.row(t, s)) = from[t];
            else
                for (Index t = 0; t < n_steps; ++t, from += sequences.n_channels)
                    std::copy_n(from, sequences.n_channels, workspace.x.row(batch.row(t, s)));
        }
    }

    // Sequences of one channel and one length.
    static void gather_series(const Sequences<T>& sequences, Range shard, Workspace<T>& workspace) {
        constexpr Index width = Vec<T>::width;
        const Batch& batch = workspace.batch;
        const Index n_steps = batch.n_steps(), n = batch.n_sequences();
        const auto series = [&](Index s) {
            return sequences.step(batch.source[std::size_t(s)], batch.first_step);
        };
        T* const x = workspace.x.row(0);
        Index s = shard.begin;
        for (; s + width <= shard.end; s += width) {
            Index t = 0;
            for (; t + width <= n_steps; t += width)
                transpose_square<T>(
                    [&](Index i) { return Vec<T>::load(series(s + i) + t); },
                    [&](Index j, const Vec<T>& step) { step.store(x + (t + j) * n + s); });
            for (; t < n_steps; ++t)
                for (Index i = s; i < s + width; ++i) x[t * n + i] = series(i)[t];
        }
        for (; s < shard.end; ++s)
            for (Index t = 0; t < n_steps; ++t) x[t * n + s] = series(s)[t];
    }

    // Rows with NaN are missing; zeros take its place.
    void skip_missing(Range shard, Workspace<T>& workspace) const {
        for_each_step(workspace.batch, shard, false, false, [&](const StepRows& rows) {
            for (Index row = rows.row; row < rows.row + rows.size; ++row) {
                T* const x = workspace.x.row(row);
                if (!std::any_of(x, x + options_.n_channels, [](T v) { return v != v; })) continue;
                workspace.is_missing[std::size_t(row)] = 1;
                std::fill_n(x, options_.n_channels, T(0));
            }
        });
    }

    // Dropout stands behind every layer but the last of a network without a head.
    bool has_dropout(const Workspace<T>& workspace, Index l) const {
        return workspace.dropout.output > 0.0 && (head_ || l + 1 < n_layers());
    }
    bool has_every_step(const Workspace<T>& workspace, Index l) const {
        return l + 1 < n_layers() || workspace.per_step;
    }

    // Whether the layer's output is other than its states at each step.
    bool has_junction(const Workspace<T>& workspace, Index l) const {
        return has_dropout(workspace, l) || !junction(l).is_plain() ||
               !has_every_step(workspace, l);
    }

    // What Workspace::read is made of.
    Features<const T> layer_inputs(const Workspace<T>& workspace, Index l) const {
        if (l > 0) return outputs_of(workspace, l - 1);
        if (!input_) return steps_of(workspace);
        Features<const T> inputs;
        inputs.add(workspace.inputs.rows());
        return inputs;
    }
    static Features<const T> steps_of(const Workspace<T>& workspace) {
        Features<const T> x;
        x.add(workspace.x.rows());
        return x;
    }
    Features<const T> head_inputs(const Workspace<T>& workspace) const {
        Features<const T> features = outputs_of(workspace, n_layers() - 1);
        if (options_.head_inputs)
            features.add(workspace.per_step ? workspace.x.rows() : workspace.last_x.rows());
        return features;
    }
    Features<T> feature_gradients(const Workspace<T>& workspace) const {
        Features<T> gradients = output_gradients(workspace, n_layers() - 1);
        if (options_.head_inputs && makes_input_gradients(workspace))
            gradients.add(workspace.dhead_x.rows());
        return gradients;
    }
    Features<const T> outputs_of(const Workspace<T>& workspace, Index l) const {
        Features<const T> outputs;
        for (Index p = 0; p < junction(l).n_parts(); ++p)
            outputs.add(has_junction(workspace, l) ? at(workspace.joined, l, p).rows()
                                                   : at(workspace.tapes, l, p).h.rows());
        return outputs;
    }
    Features<T> output_gradients(const Workspace<T>& workspace, Index l) const {
        return parts_of(has_junction(workspace, l) ? workspace.djoined : workspace.dh, l,
                        junction(l).n_parts());
    }
    template <class Matrices>
    static Features<T> parts_of(const Matrices& matrices, Index l, Index n) {
        Features<T> parts;
        for (Index p = 0; p < n; ++p) parts.add(at(matrices, l, p).rows());
        return parts;
    }
    Features<T> states_of(const Workspace<T>& workspace, Index l) const {
        Features<T> states;
        for (Index d = 0; d < n_directions(l); ++d) states.add(at(workspace.tapes, l, d).h.rows());
        return states;
    }
    Features<T> masks_of(const Workspace<T>& workspace, Index l) const {
        return parts_of(workspace.masks, l, has_dropout(workspace, l) ? junction(l).n_parts() : 0);
    }

    // The rows of the outputs that belong to a shard.
    template <class Function>
    static void for_each_output(const Workspace<T>& workspace, Range shard,
                                const Function& function) {
        const Range ended{std::max(shard.begin, workspace.batch.n_continuing), shard.end};
        if (!workspace.per_step)
            function(ended.begin, ended.size());
        else
            for_each_step(workspace.batch, shard, false, false,
                          [&](const StepRows& rows) { function(rows.row, rows.size); });
    }

    // Calls function(rows of the junction, sequence, steps of the states) for what a shard's
    // sequences get from a layer: a vector at each step, or of those that end here one.
    template <class Function>
    void for_each_vector(const Workspace<T>& workspace, Index l, Range shard,
                         const Function& function) const {
        const Batch& batch = workspace.batch;
        if (has_every_step(workspace, l)) {
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
            function(JunctionRows{{last_row(batch, s, 0), last_row(batch, s, 1)}, s}, s,
                     std::array{batch.first_step + batch.length[std::size_t(s)] - 1, Index(0)});
    }

    void join(Workspace<T>& workspace, Index l, const Features<const T>& inputs,
              Range shard) const {
        if (!has_junction(workspace, l)) return;
        const Features<T> states = states_of(workspace, l), masks = masks_of(workspace, l);
        const Features<T> outputs = parts_of(workspace.joined, l, junction(l).n_parts());
        const Index units = junction(l).n_units(), width = junction(l).width();
        for_each_vector(workspace, l, shard,
                        [&](const JunctionRows& rows, Index s, const std::array<Index, 2>& t) {
                            for (Index p = 0; p < masks.n_parts; ++p)
                                dropout_mask(workspace.dropout.output_key(l), s,
                                             t[std::size_t(p)] * width + p * units, units,
                                             workspace.dropout.output, masks[p].row(rows.output));
                            junction(l).forward(rows, states, inputs, masks, outputs);
                        });
    }

    // From the gradient of a layer's output to those of its states.
    void split(const Workspace<T>& workspace, Index l, Range shard) const {
        if (!has_junction(workspace, l)) return;
        const bool every_step = has_every_step(workspace, l);
        const Features<T> states = states_of(workspace, l), masks = masks_of(workspace, l);
        const Features<T> doutputs = output_gradients(workspace, l);
        Features<T> dstates;
        for (Index d = 0; d < n_directions(l); ++d)
            dstates.add(every_step ? at(workspace.dh, l, d).rows()
                                   : at(workspace.tapes, l, d).dh.rows());
        for_each_vector(workspace, l, shard,
                        [&](const JunctionRows& rows, Index s, const std::array<Index, 2>&) {
                            const JunctionRows last{{s, s}, s};
                            junction(l).backward(rows, states, masks, doutputs,
                                                 every_step ? rows : last, dstates);
                        });
    }

    void add_residual(const Workspace<T>& workspace, Index l, Range shard,
                      const Features<T>& dinputs) const {
        const Features<T> doutputs = output_gradients(workspace, l);
        for_each_vector(workspace, l, shard,
                        [&](const JunctionRows& rows, Index, const std::array<Index, 2>&) {
                            junction(l).add_to_inputs(rows, doutputs, dinputs);
                        });
    }

    // Nothing flows into the states behind the last step, but for what a junction may put there.
    void start_gradients(Workspace<T>& workspace, Index l, Range shard) const {
        const Index units = options_.hidden_layer_sizes[std::size_t(l)];
        for (Index d = 0; d < n_directions(l); ++d) {
            Tape<T>& tape = at(workspace.tapes, l, d);
            for (Index s = std::max(shard.begin, workspace.batch.n_continuing); s < shard.end;
                 ++s) {
                std::fill_n(tape.dh.row(s), units, T(0));
                if (layout_.has_cell_state) std::fill_n(tape.dc.row(s), units, T(0));
            }
        }
    }

    void add_final_gradients(Workspace<T>& workspace, Index layer, Range shard) const {
        for_each_state([&](Index l, Index d, const State& state) {
            if (l != layer) return;
            Tape<T>& tape = at(workspace.tapes, l, d);
            Matrix<T>& to = state.is_cell_state ? tape.dc : tape.dh;
            for (Index s = std::max(shard.begin, workspace.batch.n_continuing); s < shard.end; ++s)
                add_rows(workspace.dfinal_states + s * state_size_ + state.offset, state.width,
                         to.row(s));
        });
    }

    static void copy_outputs(Index row, Index n_rows, const Features<const T>& features,
                             const Rows<T>& outputs) {
        for (Index r = row; r < row + n_rows; ++r) {
            T* to = outputs.row(r);
            for (Index part = 0; part < features.n_parts; ++part)
                to = std::copy_n(features[part].row(r), features[part].width, to);
        }
    }
    static void copy_gradients(Index row, Index n_rows, const Rows<T>& doutputs,
                               const Features<T>& gradients) {
        for (Index r = row; r < row + n_rows; ++r) {
            const T* from = doutputs.row(r);
            for (Index part = 0; part < gradients.n_parts; ++part) {
                std::copy_n(from, gradients[part].width, gradients[part].row(r));
                from += gradients[part].width;
            }
        }
    }

    NetworkOptions options_;
    bool skips_missing_;  // asked at every step of a stream
    CellLayout layout_{};
    std::vector<Parameter> parameters_;
    Index n_parameters_ = 0;
    std::vector<State> states_;
    Index state_size_ = 0, recurrent_size_ = 0;  // of a row of states, of the layers' part of it
    std::optional<Embedding<T>> embedding_;
    std::optional<Decay<T>> decay_;
    std::optional<Dense<T>> input_;
    std::vector<std::vector<std::unique_ptr<Recurrence<T>>>> layers_;
    std::vector<Junction<T>> junctions_;
    std::optional<Head<T>> head_;
};

}  // namespace elman
