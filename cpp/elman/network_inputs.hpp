// What stands before the first layer.
//
//     values -> x                               NaN: a step that is skipped, or a value that fades
//     tokens -> embedding -> dropout -> x
//     x (-> input layer) -> layer 0             x -> head, where it reads the inputs of the step
//
// Where nothing but the embedding stands before the first layer, x may have a row for each token
// that occurs instead of one for each step (token_sums.hpp).
//
// The input layer is relu(x W + b) of each step. Backwards dL/dx is made only where an embedding or
// a decay learns of it, or the caller wants it.
#pragma once

#include "elman/network_options.hpp"
#include "elman/transpose.hpp"
#include "elman/workspace.hpp"

namespace elman {

template <class T>
class NetworkInputs {
public:
    // add(name, shape) adds a parameter and returns where it begins in the flat vector.
    template <class Add>
    NetworkInputs(const NetworkOptions& options, const Add& add)
        : n_channels_(options.n_channels),
          width_(options.n_inputs()),
          skips_missing_(options.missing == "mask"),
          head_reads_(options.head_inputs) {
        if (options.n_tokens > 0)
            embedding_.emplace(options.n_tokens, n_channels_,
                               add("embedding", {options.n_tokens, n_channels_}));
        if (options.missing == "decay") decay_.emplace(n_channels_, options.n_units(0), add);
        if (options.input_layer > 0) {
            const Index W = add("input.W", {width_, options.input_layer});
            const Index b = add("input.b", {options.input_layer});
            input_.emplace(std::vector<Index>{width_}, options.input_layer, W, b);
        }
    }

    const std::optional<Embedding<T>>& embedding() const { return embedding_; }
    const std::optional<Decay<T>>& decay() const { return decay_; }
    // Whether NaN may come in.
    bool may_miss() const { return skips_missing_ || decay_; }
    // Of what the first layer reads.
    Index layer_width() const { return input_ ? input_->n_outputs() : width_; }
    Index multiply_adds() const { return input_ ? input_->multiply_adds() : 0; }

    void pack(const T* parameters, bool training, PackedDense<T>& weights) const {
        if (input_) input_->pack(parameters, training, weights);
    }

    void resize(Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        const Index n_rows = batch.n_rows();
        const bool training = workspace.training, has_dx = training && has_gradients(workspace);
        workspace.x.resize(n_rows, width_, width_);
        if (has_dx) workspace.dx.resize(n_rows, width_);
        if (skips_missing_) workspace.is_missing.resize(std::size_t(n_rows));
        if (decay_) decay_->resize(n_rows, batch.n_sequences(), training, workspace.decay);
        if (input_) workspace.inputs.resize(n_rows, input_->n_outputs());
        if (input_ && training) workspace.dinputs.resize(n_rows, input_->n_outputs());
        if (!head_reads_) return;
        if (!workspace.per_step) workspace.last_x.resize(batch.n_sequences(), width_);
        if (has_dx) workspace.dhead_x.resize(workspace.n_output_rows(), width_);
    }

    // Whether all that depends on a step is which token it holds.
    bool are_tokens(const Sequences<T>& sequences, const Workspace<T>& workspace) const {
        return embedding_ && sequences.tokens.first == nullptr &&
               sequences.tokens.values == nullptr && workspace.dropout.embedding == 0.0 &&
               !workspace.wants_inputs && !may_miss() && !input_ && !head_reads_;
    }

    // Before the steps of the batch; one thread.
    void begin(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        if (embedding_ && !workspace.distinct.is_used) collect_tokens(sequences, workspace);
        if (skips_missing_) std::fill_n(workspace.is_missing.begin(), workspace.batch.n_rows(), 0);
    }

    void forward(const Sequences<T>& sequences, const NetworkWeights<T>& weights, Range shard,
                 Workspace<T>& workspace) const {
        if (workspace.distinct.is_used) return;
        if (embedding_)
            embed(weights.parameters + embedding_->offset(), shard, workspace);
        else
            gather(sequences, shard, workspace);
        if (skips_missing_) skip_missing(shard, workspace);
        if (decay_)
            for (Index s = shard.begin; s < shard.end; ++s)
                decay_->forward(weights.parameters, workspace.batch, s, workspace.decay,
                                workspace.x.rows());
        if (input_) enter(weights.input, shard, workspace);
        if (head_reads_ && !workspace.per_step) gather_last(shard, workspace);
    }

    // What the first layer reads, and where it puts the gradient of that: nowhere if nobody wants
    // it. Then the same of the head.
    Features<const T> layer_inputs(const Workspace<T>& workspace) const {
        if (workspace.distinct.is_used) return Features<const T>(workspace.distinct.x());
        return Features<const T>((input_ ? workspace.inputs : workspace.x).rows());
    }
    Features<T> layer_gradients(const Workspace<T>& workspace) const {
        if (workspace.distinct.is_used) return {};
        return input_ ? Features<T>(workspace.dinputs.rows()) : x_gradients(workspace);
    }
    void add_head_inputs(const Workspace<T>& workspace, Features<const T>& features) const {
        if (head_reads_) features.add((workspace.per_step ? workspace.x : workspace.last_x).rows());
    }
    void add_head_gradients(const Workspace<T>& workspace, Features<T>& gradients) const {
        if (head_reads_ && has_gradients(workspace)) gradients.add(workspace.dhead_x.rows());
    }

    // From these gradients to workspace.dx.
    void backward(const NetworkWeights<T>& weights, Range shard, Workspace<T>& workspace) const {
        if (workspace.distinct.is_used) return;
        if (input_) leave(weights.input, shard, workspace);
        if (head_reads_ && has_gradients(workspace)) add_from_head(shard, workspace);
        if (embedding_ && workspace.dropout.embedding > 0.0)
            mask(workspace, shard, workspace.dx.rows());
    }

    // dL/d(inputs) at each step of sequence s, once backward has been there and if they are wanted.
    // Of a decay, of the values that are there; what is missing has none.
    void input_gradients(const Workspace<T>& workspace, Index s, T* dinputs) const {
        const Batch& batch = workspace.batch;
        const Index n_steps = batch.length[std::size_t(s)];
        for (Index t = 0; t < n_steps; ++t) {
            const Index row = batch.row(t, s);
            if (skips_missing_ && workspace.is_missing[std::size_t(row)] != 0)
                std::fill_n(dinputs + t * n_channels_, n_channels_, T(0));
            else
                std::copy_n(workspace.dx.row(row), n_channels_, dinputs + t * n_channels_);
        }
        if (decay_) decay_->backward(batch, s, workspace.decay, workspace.x.rows(), dinputs);
    }

    // Of an embedding's tokens or a decay's units n_parts ranges, and behind them of the input
    // layer's units. An embedding's is added to what is there, and only to the rows of the tokens
    // that occur.
    Index n_gradient_tasks(Index n_parts) const {
        return (learns_x() ? n_parts : 0) + (input_ ? n_parts : 0);
    }
    void gradient(Index task, Index n_parts, Pass pass, const NetworkWeights<T>& weights,
                  Workspace<T>& workspace, T* gradient, Control& control) const {
        const Index n_rows = workspace.batch.n_rows(), part = task % n_parts;
        const auto range_of = [&](Index n) { return Range{0, n}.part(part, n_parts); };
        if (!learns_x() || task >= n_parts)
            input_->gradient(0, n_rows, true, pass, Features<const T>(workspace.x.rows()),
                             workspace.dinputs.rows(), gradient, control, part, n_parts);
        else if (embedding_)
            embedding_->gradient(range_of(workspace.tokens.n_tokens()), workspace.tokens,
                                 workspace.dx.rows(), gradient);
        else
            decay_->gradient(range_of(decay_->n_units()), n_rows, pass, weights.parameters,
                             workspace.decay, workspace.x.rows(), workspace.dx.rows(), gradient);
    }

private:
    // Whether parameters stand before x.
    bool learns_x() const { return embedding_ || decay_; }
    bool has_gradients(const Workspace<T>& workspace) const {
        return workspace.wants_inputs || learns_x();
    }

    Features<T> x_gradients(const Workspace<T>& workspace) const {
        return has_gradients(workspace) ? Features<T>(workspace.dx.rows()) : Features<T>{};
    }

    void collect_tokens(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        embedding_->collect(sequences, workspace.batch, workspace.dropout, workspace.tokens);
        const Index n_rows = workspace.batch.n_rows();
        if (workspace.dropout.embedding > 0.0) workspace.x_mask.resize(n_rows, embedding_->width());
        if (workspace.training) embedding_->sort(workspace.tokens);
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
        if (has_mask) mask(workspace, shard, workspace.x.rows());
    }

    // What an embedding makes of the steps, or its gradient.
    void mask(const Workspace<T>& workspace, Range shard, const Rows<T>& x) const {
        for_each_rows(workspace.batch, shard, [&](Index first, Index n_rows) {
            for (Index row = first; row < first + n_rows; ++row)
                multiply_rows(x.row(row), workspace.x_mask.row(row), embedding_->width(),
                              x.row(row));
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
        for_each_rows(workspace.batch, shard, [&](Index first, Index n_rows) {
            for (Index row = first; row < first + n_rows; ++row) {
                T* const x = workspace.x.row(row);
                if (!std::any_of(x, x + n_channels_, [](T v) { return v != v; })) continue;
                workspace.is_missing[std::size_t(row)] = 1;
                std::fill_n(x, n_channels_, T(0));
            }
        });
    }

    // Through the input layer.
    void enter(const PackedDense<T>& weights, Range shard, Workspace<T>& workspace) const {
        const Features<const T> x(workspace.x.rows());
        for_each_rows(workspace.batch, shard, [&](Index row, Index n_rows) {
            input_->forward(row, n_rows, x, weights, workspace.inputs.rows());
            rectify(row, n_rows, workspace.inputs.rows());
        });
    }

    // And back.
    void leave(const PackedDense<T>& weights, Range shard, Workspace<T>& workspace) const {
        const Features<T> dx = x_gradients(workspace);
        for_each_rows(workspace.batch, shard, [&](Index row, Index n_rows) {
            rectify_gradient(row, n_rows, workspace.inputs.rows(), workspace.dinputs.rows());
            input_->backward(row, n_rows, workspace.dinputs.rows(), weights, dx);
        });
    }

    void gather_last(Range shard, Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        for (Index s = std::max(shard.begin, batch.n_continuing); s < shard.end; ++s)
            std::copy_n(workspace.x.row(batch.last_row(s)), width_, workspace.last_x.row(s));
    }

    // What the head sends to x directly, past the layers.
    void add_from_head(Range shard, Workspace<T>& workspace) const {
        const Batch& batch = workspace.batch;
        for_each_output(workspace, shard, [&](Index first, Index n_rows) {
            for (Index row = first; row < first + n_rows; ++row)
                add_rows(workspace.dhead_x.row(row), width_,
                         workspace.dx.row(workspace.per_step ? row : batch.last_row(row)));
        });
    }

    Index n_channels_, width_;  // of a step as it comes, of x
    bool skips_missing_, head_reads_;
    std::optional<Embedding<T>> embedding_;
    std::optional<Decay<T>> decay_;
    std::optional<Dense<T>> input_;
};

}  // namespace elman
