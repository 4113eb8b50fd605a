// Encoder and decoder (Cho et al., 2014; Sutskever et al., 2014), with attention between them.
//
//     source -> encoder -> final states -> bridge -> first states
//                 | outputs m_t                          |
//                 +------------ attention <-- q_j -- decoder <- what stands one step before
//                                   |
//                                   o_j -> dropout -> head -> outputs of step j
//
// Without attention o_j is q_j. The source may also be a vector, which then takes the place of the
// encoder's final states. Encoder and decoder are Networks, each with its own order of the
// sequences in a mini-batch (by decreasing length, see Batch); what goes from one to the other goes
// by sequence. A pass is cut where all threads have to have come so far:
//
//     encode | bridge | decode | decode_backward | encode_backward | gradient
#pragma once

#include <optional>

#include "elman/attention.hpp"
#include "elman/bridge.hpp"
#include "elman/network.hpp"

namespace elman {

struct Seq2SeqOptions {
    std::optional<NetworkOptions> encoder;  // none: the source is a vector
    Index n_channels = 0;                   // of that vector
    NetworkOptions decoder;
    std::string attention = "none";  // "none", "dot", "general", "additive"
    Index n_outputs = 0;
};

template <class T>
struct Seq2SeqWeights {
    NetworkWeights<T> encoder, decoder;
    std::vector<PackedDense<T>> bridge;
    PackedAttention<T> attention;
    PackedDense<T> head;
};

// What a pass over the sources leaves behind; rows are steps in the order of the encoder.
template <class T>
struct Encoded {
    Workspace<T> workspace;
    Array<T> states, dstates;  // (n_sequences, state_size), by place
    Matrix<T> keys, dkeys, dvalues;
    std::vector<Index> place_of;  // by the caller's number of a sequence
};

// The same of the outputs; rows are steps in the order of the decoder.
template <class T>
struct Decoded {
    Workspace<T> workspace;
    BridgeTape<T> bridge;
    Array<T> states, dstates;               // first ones: (n_sequences, state_size), by place
    Matrix<T> queries, dqueries, dqueried;  // q_j W_q, its gradient, and what it sends to q_j
    Matrix<T> shares, contexts, dcontexts;  // a_j, c_j
    Matrix<T> combined, dcombined;          // o_j
    Matrix<T> masks, dropped;               // after dropout
    Matrix<T> outputs, doutputs;
    Matrix<T> dv;  // by sequence
};

template <class T>
class Seq2Seq {
public:
    explicit Seq2Seq(Seq2SeqOptions options) : options_(std::move(options)) {
        if (options_.encoder) {
            options_.encoder->head = false;
            encoder_.emplace(*options_.encoder);
            add_network("encoder.", *encoder_);
        }
        options_.decoder.head = false;
        decoder_.emplace(options_.decoder);
        if ((encoder_ && encoder_->options().branch_step > 0) || options_.decoder.branch_step > 0)
            throw std::invalid_argument("elman: encoders and decoders have no branches");
        if (decoder_->has_reverse())
            throw std::invalid_argument("elman: a decoder cannot read its outputs from their end");
        decoder_offset_ = parameters_.size();
        add_network("decoder.", *decoder_);
        bridge_.emplace(encoder_ ? &*encoder_ : nullptr, options_.n_channels, *decoder_,
                        adder("bridge."));
        const Index width = decoder_->options().n_outputs;
        if (options_.attention != "none") {
            if (!encoder_)
                throw std::invalid_argument("elman: attention needs a sequence to attend to");
            attention_.emplace(options_.attention, encoder_->options().n_outputs, width,
                               adder("attention."));
        }
        const auto add = adder("head.");
        const Index W = add("W", {width, options_.n_outputs});
        const Index b = add("b", {options_.n_outputs});
        head_.emplace(std::vector<Index>{width}, options_.n_outputs, W, b);
    }

    const Seq2SeqOptions& options() const { return options_; }
    const std::optional<Network<T>>& encoder() const { return encoder_; }
    const Network<T>& decoder() const { return *decoder_; }
    const std::optional<Attention<T>>& attention() const { return attention_; }
    const std::vector<Parameter>& parameters() const { return parameters_.parameters(); }
    Index n_parameters() const { return parameters_.size(); }
    Index n_outputs() const { return options_.n_outputs; }

    // Where the embeddings are in the parameters of the whole, the encoder's first.
    std::vector<Embedding<T>> embeddings() const {
        std::vector<Embedding<T>> all;
        const auto add = [&](const Network<T>& network, Index offset) {
            if (!network.embedding()) return;
            const Embedding<T>& own = *network.embedding();
            all.emplace_back(own.n_tokens(), own.width(), own.offset() + offset);
        };
        if (encoder_) add(*encoder_, 0);
        add(*decoder_, decoder_offset_);
        return all;
    }

    // Of a step of the source, and of one of the output.
    Index source_multiply_adds() const {
        return (encoder_ ? encoder_->multiply_adds() : 0) +
               (attention_ && attention_->has_keys() ? attention_->keys().multiply_adds() : 0);
    }
    Index target_multiply_adds() const {
        return decoder_->multiply_adds() + head_->multiply_adds() +
               (attention_ ? attention_->multiply_adds() : 0);
    }

    void initialize(std::uint64_t seed, T* weights, Control& control) const {
        std::fill_n(weights, n_parameters(), T(0));
        if (encoder_) encoder_->initialize(random_bits(seed, 0), weights, control);
        decoder_->initialize(random_bits(seed, 1), weights + decoder_offset_, control);
        const Index first = decoder_offset_ + decoder_->n_parameters();
        for (std::size_t p = 0; p < parameters().size(); ++p) {
            const Parameter& parameter = parameters()[p];
            const bool is_v = parameter.name == "attention.v";
            if (parameter.offset < first || !(parameter.is_matrix() || is_v)) continue;
            initialize_glorot(random_bits(seed, std::uint64_t(p) + 2), parameter.shape.front(),
                              is_v ? 1 : parameter.shape.back(), parameter.size(),
                              weights + parameter.offset);
        }
    }

    // The weights must outlive what is packed of them (see Network::pack).
    void pack(const T* weights, bool training, Seq2SeqWeights<T>& packed) const {
        if (encoder_) encoder_->pack(weights, training, packed.encoder);
        decoder_->pack(weights + decoder_offset_, training, packed.decoder);
        bridge_->pack(weights, training, packed.bridge);
        if (attention_) attention_->pack(weights, training, packed.attention);
        head_->pack(weights, training, packed.head);
    }

    // Makes room for a pass over the sources of encoded.workspace.batch. One thread.
    void prepare_sources(const Sequences<T>& sources, Encoded<T>& encoded) const {
        Workspace<T>& workspace = encoded.workspace;
        const Batch& batch = workspace.batch;
        encoded.place_of.resize(std::size_t(sources.n_sequences));
        for (Index s = 0; s < batch.n_sequences(); ++s)
            encoded.place_of[std::size_t(batch.source[std::size_t(s)])] = s;
        if (!encoder_) return;
        workspace.per_step = attention_.has_value();
        workspace.states_by_place = true;
        encoder_->prepare(sources, workspace, nullptr);
        make_room(encoded.states, batch.n_sequences() * encoder_->state_size());
        if (workspace.training) {
            make_room(encoded.dstates, batch.n_sequences() * encoder_->state_size());
            workspace.dfinal_states = encoded.dstates.data();
        }
        if (!attention_) return;
        if (attention_->has_keys()) encoded.keys.resize(batch.n_rows(), attention_->query_width());
        if (!workspace.training) return;
        encoded.dvalues.resize(batch.n_rows(), attention_->memory_width());
        if (attention_->has_keys()) encoded.dkeys.resize(batch.n_rows(), attention_->query_width());
    }

    // What the encoder makes of its tokens, or the decoder, and what flows into them, where they
    // are read once each (see Network::sum_tokens).
    void sum_source_tokens(Index part, Index n_parts, const Seq2SeqWeights<T>& weights,
                           Encoded<T>& encoded) const {
        if (encoded.workspace.distinct.is_used)
            encoder_->sum_tokens(part, n_parts, weights.encoder, encoded.workspace);
    }
    void sum_input_tokens(Index part, Index n_parts, const Seq2SeqWeights<T>& weights,
                          Decoded<T>& decoded) const {
        if (decoded.workspace.distinct.is_used)
            decoder_->sum_tokens(part, n_parts, weights.decoder, decoded.workspace);
    }
    void add_token_gradients(Index part, Index n_parts, Encoded<T>& encoded,
                             Decoded<T>& decoded) const {
        if (encoded.workspace.distinct.is_used)
            encoder_->add_token_gradients(part, n_parts, encoded.workspace);
        if (decoded.workspace.distinct.is_used)
            decoder_->add_token_gradients(part, n_parts, decoded.workspace);
    }

    void encode(const Sequences<T>& sources, const Seq2SeqWeights<T>& weights, Range shard,
                Encoded<T>& encoded, Control& control) const {
        if (!encoder_) return;
        Workspace<T>& workspace = encoded.workspace;
        encoder_->forward(sources, weights.encoder, shard, workspace, control);
        encoder_->final_states(workspace, shard, encoded.states.data());
        if (!attention_ || !attention_->has_keys()) return;
        for_each_rows(workspace.batch, shard, [&](Index row, Index n) {
            attention_->keys().forward(row, n, Features<const T>(workspace.outputs.rows()),
                                       weights.attention.keys, encoded.keys.rows());
        });
    }

    // Makes room for what the sequences of decoded.workspace.batch, as the caller numbers them,
    // need before their first step, and gathers what the bridge reads. One thread.
    void prepare_bridge(const Sequences<T>& sources, const Encoded<T>& encoded,
                        Decoded<T>& decoded) const {
        const Batch& batch = decoded.workspace.batch;
        const Index n = batch.n_sequences();
        bridge_->resize(n, decoded.workspace.training, decoded.bridge);
        make_room(decoded.states, n * decoder_->state_size());
        if (decoded.workspace.training) make_room(decoded.dstates, n * decoder_->state_size());
        for (Index s = 0; s < n; ++s) {
            const Index source = batch.source[std::size_t(s)];
            const T* const from =
                encoder_ ? encoded.states.data() + place(encoded, source) * encoder_->state_size()
                         : sources.step(source, 0);
            std::copy_n(from, bridge_->source_width(), decoded.bridge.source.row(s));
        }
    }

    void cross_bridge(const Seq2SeqWeights<T>& weights, Range shard, Decoded<T>& decoded) const {
        bridge_->forward(shard, weights.bridge, decoded.bridge, decoder_->state_size(),
                         decoded.states.data());
    }

    // Makes room for a pass from decoded.states on. One thread.
    void prepare_outputs(const Sequences<T>& inputs, Index longest_source,
                         Decoded<T>& decoded) const {
        Workspace<T>& workspace = decoded.workspace;
        const Index n_rows = workspace.batch.n_rows(), width = decoder_->options().n_outputs;
        const bool training = workspace.training;
        workspace.per_step = workspace.states_by_place = true;
        decoder_->prepare(inputs, workspace, decoded.states.data());
        decoded.outputs.resize(n_rows, options_.n_outputs);
        if (training) decoded.doutputs.resize(n_rows, options_.n_outputs);
        if (attention_) {
            if (attention_->is_additive()) decoded.queries.resize(n_rows, width);
            decoded.shares.resize(n_rows, longest_source);
            decoded.contexts.resize(n_rows, attention_->memory_width());
        }
        if (attention_) decoded.combined.resize(n_rows, width);
        if (has_dropout(decoded)) decoded.masks.resize(n_rows, width);
        if (has_dropout(decoded)) decoded.dropped.resize(n_rows, width);
        if (!training || !attention_) return;
        decoded.dcombined.resize(n_rows, width);
        decoded.dcontexts.resize(n_rows, attention_->memory_width());
        if (!attention_->is_additive()) return;
        decoded.dqueries.resize(n_rows, width);
        decoded.dqueried.resize(n_rows, width);
        decoded.dv.resize(workspace.batch.n_sequences(), width);
    }

    // Outputs at each step of a shard's sequences.
    void decode(const Sequences<T>& inputs, const Seq2SeqWeights<T>& weights, Range shard,
                const Encoded<T>& encoded, Decoded<T>& decoded, Control& control) const {
        step_states(inputs, weights, shard, decoded, control);
        if (attention_) attend(weights, shard, encoded, decoded, control);
        emit(weights, shard, decoded);
    }

    // The decoder's states, and queries of them.
    void step_states(const Sequences<T>& inputs, const Seq2SeqWeights<T>& weights, Range shard,
                     Decoded<T>& decoded, Control& control) const {
        decoder_->forward(inputs, weights.decoder, shard, decoded.workspace, control);
        if (!attention_ || !attention_->is_additive()) return;
        for_each_rows(decoded.workspace.batch, shard, [&](Index row, Index n) {
            attention_->queries().forward(row, n,
                                          Features<const T>(decoded.workspace.outputs.rows()),
                                          weights.attention.queries, decoded.queries.rows());
        });
    }

    // What rows [row, row + n) read of one memory.
    void read(const Seq2SeqWeights<T>& weights, const Memory<T>& memory, Index row, Index n,
              Decoded<T>& decoded) const {
        const auto from = [row](const Rows<T>& rows) {
            return Rows<T>{rows.row(row), rows.stride, rows.width};
        };
        attention_->forward(weights.attention, memory,
                            {n, from(queries_of(decoded).rows()), from(decoded.shares.rows()),
                             from(decoded.contexts.rows())});
    }

    // From states and contexts to outputs.
    void emit(const Seq2SeqWeights<T>& weights, Range shard, Decoded<T>& decoded) const {
        const Index width = decoder_->options().n_outputs;
        for_each_step(decoded.workspace.batch, shard, false, false, [&](const StepRows& rows) {
            if (attention_) combine(weights, rows.row, rows.size, decoded);
            for (Index r = 0; has_dropout(decoded) && r < rows.size; ++r) {
                T* const mask = decoded.masks.row(rows.row + r);
                dropout_mask(decoded.workspace.dropout.output_key(decoder_->n_layers()),
                             rows.begin + r, rows.t * width, width,
                             decoded.workspace.dropout.output, mask);
                multiply_rows(last_features(decoded).row(rows.row + r), mask, width,
                              decoded.dropped.row(rows.row + r));
            }
            head_->forward(rows.row, rows.size, head_inputs(decoded), weights.head,
                           decoded.outputs.rows());
        });
    }

    // From decoded.doutputs to what flows into the encoder.
    void decode_backward(const Seq2SeqWeights<T>& weights, Range shard, Encoded<T>& encoded,
                         Decoded<T>& decoded, Control& control) const {
        const Index width = decoder_->options().n_outputs;
        Workspace<T>& workspace = decoded.workspace;
        for_each_rows(decoded.workspace.batch, shard, [&](Index row, Index n) {
            head_->backward(
                row, n, decoded.doutputs.rows(), weights.head,
                Features<T>((attention_ ? decoded.dcombined : workspace.doutputs).rows()));
            for (Index r = row; has_dropout(decoded) && r < row + n; ++r) {
                T* const gradient =
                    attention_ ? decoded.dcombined.row(r) : workspace.doutputs.row(r);
                multiply_rows(gradient, decoded.masks.row(r), width, gradient);
            }
            if (attention_) combine_backward(weights, row, n, decoded);
        });
        if (attention_) attend_backward(weights, shard, encoded, decoded, control);
        decoder_->backward(weights.decoder, shard, 0, workspace, control);
        decoder_->initial_gradients(workspace, shard, decoded.dstates.data());
        bridge_->backward(shard, weights.bridge, decoded.dstates.data(), decoder_->state_size(),
                          decoded.bridge);
        for (Index s = shard.begin; encoder_ && s < shard.end; ++s)
            std::copy_n(
                decoded.bridge.dsource.row(s), encoder_->state_size(),
                encoded.dstates.data() + place(encoded, workspace.batch.source[std::size_t(s)]) *
                                             encoder_->state_size());
    }

    void encode_backward(const Seq2SeqWeights<T>& weights, Range shard, Encoded<T>& encoded,
                         Control& control) const {
        if (!encoder_) return;
        Workspace<T>& workspace = encoded.workspace;
        if (!attention_)
            for (Index s = shard.begin; s < shard.end; ++s)
                std::fill_n(workspace.doutputs.row(s), encoder_->options().n_outputs, T(0));
        else
            for_each_rows(workspace.batch, shard,
                          [&](Index row, Index n) { values_backward(weights, row, n, encoded); });
        encoder_->backward(weights.encoder, shard, 0, workspace, control);
    }

    // The gradient of the weights in independent pieces, like those of a Network.
    Index n_gradient_tasks(Index n_parts) const {
        return (encoder_ ? encoder_->n_gradient_tasks(n_parts) : 0) +
               decoder_->n_gradient_tasks(n_parts) + bridge_->n_gradient_tasks() +
               (attention_ ? n_attention_gradients * n_parts : 0) + 1;
    }
    void gradient(Index task, Index n_parts, const Seq2SeqWeights<T>& weights, Encoded<T>& encoded,
                  Decoded<T>& decoded, T* gradient, Control& control) const {
        if (is_among(1, task)) {
            head_->gradient(0, decoded.workspace.batch.n_rows(), true, {}, head_inputs(decoded),
                            decoded.doutputs.rows(), gradient, control);
        } else if (attention_ && is_among(n_attention_gradients * n_parts, task)) {
            attention_gradient(task, n_parts, encoded, decoded, gradient, control);
        } else if (is_among(bridge_->n_gradient_tasks(), task)) {
            bridge_->gradient(task, decoded.workspace.batch.n_sequences(), decoded.bridge, gradient,
                              control);
        } else if (is_among(decoder_->n_gradient_tasks(n_parts), task)) {
            decoder_->gradient(task, n_parts, {}, weights.decoder, decoded.workspace,
                               gradient + decoder_offset_, control);
        } else {
            encoder_->gradient(task, n_parts, {}, weights.encoder, encoded.workspace, gradient,
                               control);
        }
    }

    // What the queries of the sequence at this place of the encoder read.
    void gather_memory(Index s, const Encoded<T>& encoded, Memory<T>& memory) const {
        const Batch& batch = encoded.workspace.batch;
        memory.n_steps = batch.length[std::size_t(s)];
        gather(batch, s, attention_->memory_width(), encoded.workspace.outputs, memory.values);
        if (attention_->has_keys())
            gather(batch, s, attention_->query_width(), encoded.keys, memory.keys);
    }

    static Index place(const Encoded<T>& encoded, Index source) {
        return encoded.place_of[std::size_t(source)];
    }

private:
    static constexpr Index n_attention_gradients = 4;

    // The rows of one sequence, one below the other.
    struct Gathered {
        Matrix<T> states, shares, contexts;
        Queries<T> queries(Index n) const {
            return {n, states.rows(), shares.rows(), contexts.rows()};
        }
    };

    void add_network(const std::string& prefix, const Network<T>& network) {
        for (const Parameter& parameter : network.parameters())
            parameters_.add(prefix + parameter.name, parameter.shape);
    }
    auto adder(const std::string& prefix) {
        return [this, prefix](const std::string& name, std::vector<Index> shape) {
            return parameters_.add(prefix + name, std::move(shape));
        };
    }

    static bool has_dropout(const Decoded<T>& decoded) {
        return decoded.workspace.dropout.output > 0.0;
    }

    // o_j, before dropout.
    const Rows<T>& last_features(const Decoded<T>& decoded) const {
        return attention_ ? decoded.combined.rows() : decoded.workspace.outputs.rows();
    }
    Features<const T> head_inputs(const Decoded<T>& decoded) const {
        return Features<const T>(has_dropout(decoded) ? decoded.dropped.rows()
                                                      : last_features(decoded));
    }

    Features<const T> combine_inputs(const Decoded<T>& decoded) const {
        Features<const T> inputs(decoded.contexts.rows());
        inputs.add(decoded.workspace.outputs.rows());
        return inputs;
    }
    void combine(const Seq2SeqWeights<T>& weights, Index row, Index n, Decoded<T>& decoded) const {
        attention_->combine().forward(row, n, combine_inputs(decoded), weights.attention.combine,
                                      decoded.combined.rows());
        for (Index r = row; r < row + n; ++r) {
            T* const o = decoded.combined.row(r);
            for (Index u = 0; u < attention_->query_width(); u += Vec<T>::width)
                tanh(Vec<T>::load(o + u)).store(o + u);
        }
    }
    void combine_backward(const Seq2SeqWeights<T>& weights, Index row, Index n,
                          Decoded<T>& decoded) const {
        for (Index r = row; r < row + n; ++r) {
            const T* const o = decoded.combined.row(r);
            T* const gradient = decoded.dcombined.row(r);
            for (Index u = 0; u < attention_->query_width(); ++u) gradient[u] *= T(1) - o[u] * o[u];
        }
        Features<T> gradients(decoded.dcontexts.rows());
        gradients.add(decoded.workspace.doutputs.rows());
        attention_->combine().backward(row, n, decoded.dcombined.rows(), weights.attention.combine,
                                       gradients);
    }

    // The rows of sequence s of a batch, one below the other, as far as they are n_columns wide;
    // whole registers, so that a row goes on as it does where it comes from.
    static void gather(const Batch& batch, Index s, Index n_columns, const Matrix<T>& from,
                       Matrix<T>& to) {
        const Index n = batch.length[std::size_t(s)];
        to.resize(n, n_columns);
        for (Index t = 0; t < n; ++t) {
            const T* const row = from.row(batch.row(t, s));
            for (Index j = 0; j < n_columns; j += Vec<T>::width)
                Vec<T>::load(row + j).store(to.row(t) + j);
        }
    }
    static void scatter(const Batch& batch, Index s, const Matrix<T>& from, const Matrix<T>& to) {
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
            std::copy_n(from.row(t), from.rows().width, to.row(batch.row(t, s)));
    }

    const Matrix<T>& queries_of(const Decoded<T>& decoded) const {
        return attention_->is_additive() ? decoded.queries : decoded.workspace.outputs;
    }

    void attend(const Seq2SeqWeights<T>& weights, Range shard, const Encoded<T>& encoded,
                Decoded<T>& decoded, Control& control) const {
        const Batch& batch = decoded.workspace.batch;
        Memory<T> memory;
        Gathered here;
        for (Index s = shard.begin; s < shard.end; ++s) {
            gather_memory(place(encoded, batch.source[std::size_t(s)]), encoded, memory);
            gather(batch, s, attention_->query_width(), queries_of(decoded), here.states);
            const Index n = batch.length[std::size_t(s)];
            here.shares.resize(n, memory.n_steps);
            here.contexts.resize(n, attention_->memory_width());
            attention_->pack_keys(memory);
            attention_->forward(weights.attention, memory, here.queries(n));
            scatter(batch, s, here.shares, decoded.shares);
            scatter(batch, s, here.contexts, decoded.contexts);
            control.poll(n * memory.n_steps *
                         (attention_->memory_width() + attention_->query_width()));
        }
    }

    void attend_backward(const Seq2SeqWeights<T>& weights, Range shard, Encoded<T>& encoded,
                         Decoded<T>& decoded, Control& control) const {
        const Batch &batch = decoded.workspace.batch, &sources = encoded.workspace.batch;
        const Index width = attention_->query_width();
        Memory<T> memory;
        Gathered here, gradients;
        Matrix<T> dkeys, dvalues;
        for (Index s = shard.begin; s < shard.end; ++s) {
            const Index source = place(encoded, batch.source[std::size_t(s)]);
            const Index n = batch.length[std::size_t(s)];
            gather_memory(source, encoded, memory);
            attention_->pack_values(memory);
            gather(batch, s, width, queries_of(decoded), here.states);
            gather(batch, s, memory.n_steps, decoded.shares, here.shares);
            gather(batch, s, attention_->memory_width(), decoded.dcontexts, gradients.contexts);
            gradients.states.resize(n, width);
            gradients.shares.resize(n, memory.n_steps);
            dvalues.resize(memory.n_steps, attention_->memory_width());
            if (attention_->has_keys()) dkeys.resize(memory.n_steps, width);
            attention_->backward(weights.attention, memory, here.queries(n), gradients.queries(n),
                                 dkeys.rows(), dvalues.rows(),
                                 attention_->is_additive() ? decoded.dv.row(s) : nullptr);
            scatter(sources, source, dvalues, encoded.dvalues);
            if (attention_->has_keys()) scatter(sources, source, dkeys, encoded.dkeys);
            if (attention_->is_additive()) scatter(batch, s, gradients.states, decoded.dqueries);
            for (Index t = 0; !attention_->is_additive() && t < n; ++t)
                add_rows(gradients.states.row(t), width,
                         decoded.workspace.doutputs.row(batch.row(t, s)));
            control.poll(2 * n * memory.n_steps * (attention_->memory_width() + width));
        }
        if (attention_->is_additive()) queries_backward(weights, shard, decoded);
    }

    void queries_backward(const Seq2SeqWeights<T>& weights, Range shard,
                          Decoded<T>& decoded) const {
        for_each_rows(decoded.workspace.batch, shard, [&](Index row, Index n) {
            attention_->queries().backward(row, n, decoded.dqueries.rows(),
                                           weights.attention.queries,
                                           Features<T>(decoded.dqueried.rows()));
            for (Index r = row; r < row + n; ++r)
                add_rows(decoded.dqueried.row(r), attention_->query_width(),
                         decoded.workspace.doutputs.row(r));
        });
    }

    // What attention sends to the encoder's outputs: as values, and as keys.
    void values_backward(const Seq2SeqWeights<T>& weights, Index row, Index n,
                         Encoded<T>& encoded) const {
        const Index width = attention_->memory_width();
        if (attention_->has_keys())
            attention_->keys().backward(row, n, encoded.dkeys.rows(), weights.attention.keys,
                                        Features<T>(encoded.workspace.doutputs.rows()));
        for (Index r = row; r < row + n; ++r) {
            T* const to = encoded.workspace.doutputs.row(r);
            if (attention_->has_keys())
                add_rows(encoded.dvalues.row(r), width, to);
            else
                std::copy_n(encoded.dvalues.row(r), width, to);
        }
    }

    void attention_gradient(Index task, Index n_parts, const Encoded<T>& encoded,
                            const Decoded<T>& decoded, T* gradient, Control& control) const {
        const Index n_rows = decoded.workspace.batch.n_rows(), part = task % n_parts;
        const auto add = [&](const Dense<T>& dense, Index n, const Features<const T>& inputs,
                             const Matrix<T>& doutputs) {
            dense.gradient(0, n, true, {}, inputs, doutputs.rows(), gradient, control, part,
                           n_parts);
        };
        const Index which = task / n_parts;
        if (which == 0)
            add(attention_->combine(), n_rows, combine_inputs(decoded), decoded.dcombined);
        if (which == 1 && attention_->has_keys())
            add(attention_->keys(), encoded.workspace.batch.n_rows(),
                Features<const T>(encoded.workspace.outputs.rows()), encoded.dkeys);
        if (which == 2 && attention_->is_additive())
            add(attention_->queries(), n_rows, Features<const T>(decoded.workspace.outputs.rows()),
                decoded.dqueries);
        if (which != 3 || part > 0 || !attention_->is_additive()) return;
        T* const dv = gradient + attention_->v_offset();
        std::fill_n(dv, attention_->query_width(), T(0));
        for (Index s = 0; s < decoded.workspace.batch.n_sequences(); ++s)
            add_rows(decoded.dv.row(s), attention_->query_width(), dv);
    }

    Seq2SeqOptions options_;
    ParameterList parameters_;
    Index decoder_offset_ = 0;
    std::optional<Network<T>> encoder_, decoder_;
    std::optional<Bridge<T>> bridge_;
    std::optional<Attention<T>> attention_;
    std::optional<Dense<T>> head_;
};

}  // namespace elman
