// Mini-batches of pairs: what the decoder shall put out is what it reads one step later (teacher
// forcing; Williams & Zipser, 1989). The loss is the weighted mean over the steps of the outputs,
// with the penalty of Updates:
//
//     tokens   -log softmax(a)_y
//     values   mean_i (y_i - a_i)^2 / 2, and where sequences end by themselves beside it
//              log(1 + exp(a_k)) - y_k a_k of the last output, y_k = 1 in the last step
//
// Scheduled sampling (Bengio et al., 2015): a step reads what stands before it with probability
// teacher_forcing, else what the decoder itself has put out there, as it would without dropout.
// That is found out step by step before the mini-batch is differentiated, and taken as given then.
#pragma once

#include "elman/decoding.hpp"
#include "elman/loss.hpp"
#include "elman/updates.hpp"

namespace elman {

struct Seq2SeqTrainerOptions : UpdateOptions {
    std::string loss;  // "multiclass", or "squared" for values
    double dropout = 0.0;
    double recurrent_dropout = 0.0;
    double embedding_dropout = 0.0;
    double token_dropout = 0.0;         // of the source
    double target_token_dropout = 0.0;  // of what the decoder reads
    double teacher_forcing = 1.0;
    std::uint64_t seed = 0;
    Index n_threads = 1;
};

template <class T>
class Seq2SeqTrainer {
public:
    Seq2SeqTrainer(const Seq2Seq<T>& model, const T* parameters, Seq2SeqTrainerOptions options);

    const Seq2Seq<T>& model() const { return model_; }
    Updates<T>& updates() { return updates_; }
    bool has_tokens() const { return loss_.has_classes(); }
    // Numbers in a row of the targets.
    Index n_targets() const { return has_tokens() ? 1 : model_.n_outputs(); }
    bool was_short_of_threads() const { return was_short_of_threads_; }
    double teacher_forcing() const { return options_.teacher_forcing; }
    void set_teacher_forcing(double p) { options_.teacher_forcing = p; }

    // One pass over order in mini-batches of batch_size pairs: the weighted mean of their losses.
    double epoch(const Pairs<T>& pairs, const Index* order, Index n_order, Index batch_size,
                 const Control::Check& check);

    // Loss and gradient of all pairs as one mini-batch; the gradient stays until the next call.
    double loss_and_gradient(const Pairs<T>& pairs, const Control::Check& check);

private:
    static Index steps_of(const Sequences<T>& sequences, Index s) {
        return sequences.offsets[s + 1] - sequences.offsets[s];
    }

    Index threads_for(const Pairs<T>& pairs, const Index* order, Index n_order) const {
        Index work = 0;
        for (Index i = 0; i < n_order; ++i)
            work += steps_of(pairs.sources, order[i]) * model_.source_multiply_adds() +
                    steps_of(pairs.inputs, order[i]) * model_.target_multiply_adds();
        return worthwhile_threads(options_.n_threads, 3 * work);
    }

    // Below some 20 microseconds of work each, handing out a mini-batch costs more than it brings.
    Index n_shards(Index work, const Team& team) const {
        constexpr Index worth_a_shard = 400000;
        return std::clamp<Index>(3 * work / worth_a_shard, 1, team.n_threads());
    }
    Index source_shards(const Team& team) const {
        return n_shards(encoded_.workspace.batch.n_rows() * model_.source_multiply_adds(), team);
    }
    Index target_shards(const Team& team) const {
        return n_shards(decoded_.workspace.batch.n_rows() * model_.target_multiply_adds(), team);
    }

    template <class Function>
    void for_each_source_shard(Team& team, const Function& function) {
        const Index side_by_side =
            model_.encoder() ? model_.encoder()->sequences_side_by_side() : 1;
        run(encoded_.workspace.batch.shards(source_shards(team), side_by_side), team, function);
    }
    template <class Function>
    void for_each_target_shard(Team& team, const Function& function) {
        run(decoded_.workspace.batch.shards(target_shards(team),
                                            model_.decoder().sequences_side_by_side()),
            team, function);
    }
    template <class Function>
    static void run(const std::vector<Range>& shards, Team& team, const Function& function) {
        team.run(Index(shards.size()),
                 [&](Index i, Control& control) { function(shards[std::size_t(i)], control); });
    }

    BatchLoss differentiate(const Pairs<T>& pairs, const Index* members, Index n_members,
                            Team& team) {
        gather(pairs, members, n_members);
        if (!(total_weight_ > 0.0)) return {};
        Sequences<T> inputs = pairs.inputs;
        if (options_.teacher_forcing < 1.0) inputs = sampled_inputs(pairs, team);
        updates_.touch(team, [&](const auto& mark) { mark_tokens(pairs.sources, inputs, mark); });
        forget_tokens();
        model_.pack(updates_.parameters().data(), true, weights_);
        forward(pairs.sources, inputs, team);
        for_each_target_shard(team, [&](Range shard, Control& control) {
            model_.decode(inputs, weights_, shard, encoded_, decoded_, control);
            differentiate_loss(pairs, shard);
            model_.decode_backward(weights_, shard, encoded_, decoded_, control);
        });
        for_each_source_shard(team, [&](Range shard, Control& control) {
            model_.encode_backward(weights_, shard, encoded_, control);
        });
        const Index n_parts = std::max(source_shards(team), target_shards(team));
        for_each_token_part(n_parts, team, [&](Index part, Index) {
            model_.add_token_gradients(part, n_parts, encoded_, decoded_);
        });
        team.run(
            model_.n_gradient_tasks(n_parts),
            [&](Index task, Control& control) {
                model_.gradient(task, n_parts, weights_, encoded_, decoded_,
                                updates_.gradient().data(), control);
            },
            n_parts > 1);
        double loss = 0.0;
        for (const double row : losses_) loss += row;
        return {loss / total_weight_, total_weight_};
    }

    void gather(const Pairs<T>& pairs, const Index* members, Index n_members) {
        encoded_.workspace.batch.assign(members, n_members, pairs.sources.offsets);
        decoded_.workspace.batch.assign(members, n_members, pairs.inputs.offsets);
        encoded_.workspace.training = decoded_.workspace.training = true;
        const std::uint64_t key = random_bits(options_.seed, std::uint64_t(updates_.n_updates()));
        encoded_.workspace.dropout = dropout(random_bits(key, 0), options_.token_dropout);
        decoded_.workspace.dropout = dropout(random_bits(key, 1), options_.target_token_dropout);
        sampling_key_ = random_bits(key, 2);
        const Batch& batch = decoded_.workspace.batch;
        losses_.resize(std::size_t(batch.n_rows()));
        total_weight_ = 0.0;
        for (Index s = 0; s < batch.n_sequences(); ++s)
            total_weight_ += double(pairs.weight(batch.source[std::size_t(s)])) *
                             double(batch.length[std::size_t(s)]);
    }

    Dropout dropout(std::uint64_t key, double tokens) const {
        Dropout dropout;
        dropout.output = options_.dropout;
        dropout.recurrent = options_.recurrent_dropout;
        dropout.embedding = options_.embedding_dropout;
        dropout.tokens = tokens;
        dropout.key = key;
        return dropout;
    }

    template <class Mark>
    void mark_tokens(const Sequences<T>& sources, const Sequences<T>& inputs, const Mark& mark) {
        Index k = 0;
        const auto mark_of = [&](const Sequences<T>& sequences, const Workspace<T>& workspace) {
            Embedding<T>::for_each_token(sequences, workspace.batch, workspace.dropout,
                                         [&](Index id, T, Index) { mark(k, id); });
            ++k;
        };
        if (model_.encoder() && model_.encoder()->embedding()) mark_of(sources, encoded_.workspace);
        if (model_.decoder().embedding()) mark_of(inputs, decoded_.workspace);
    }

    void forget_tokens() {
        for (Workspace<T>* workspace : {&encoded_.workspace, &decoded_.workspace}) {
            workspace->distinct.when = TokensOnce::where_they_recur;
            workspace->distinct.forget();
        }
    }
    template <class Function>
    void for_each_token_part(Index n_parts, Team& team, const Function& function) {
        if (encoded_.workspace.distinct.is_used || decoded_.workspace.distinct.is_used)
            team.run(n_parts, [&](Index part, Control&) { function(part, n_parts); });
    }

    // Up to where the decoder begins.
    void forward(const Sequences<T>& sources, const Sequences<T>& inputs, Team& team) {
        model_.prepare_sources(sources, encoded_);
        for_each_token_part(source_shards(team), team, [&](Index part, Index n_parts) {
            model_.sum_source_tokens(part, n_parts, weights_, encoded_);
        });
        for_each_source_shard(team, [&](Range shard, Control& control) {
            model_.encode(sources, weights_, shard, encoded_, control);
        });
        model_.prepare_bridge(sources, encoded_, decoded_);
        for_each_target_shard(
            team, [&](Range shard, Control&) { model_.cross_bridge(weights_, shard, decoded_); });
        model_.prepare_outputs(inputs, encoded_.workspace.batch.n_steps(), decoded_);
        for_each_token_part(target_shards(team), team, [&](Index part, Index n_parts) {
            model_.sum_input_tokens(part, n_parts, weights_, decoded_);
        });
    }

    // A pair of weight zero is left out altogether.
    void differentiate_loss(const Pairs<T>& pairs, Range shard) {
        const Batch& batch = decoded_.workspace.batch;
        for (Index s = shard.begin; s < shard.end; ++s) {
            const Index source = batch.source[std::size_t(s)];
            const T weight = pairs.weight(source);
            const T share = T(double(weight) / total_weight_);
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t) {
                const Index row = batch.row(t, s);
                T* const da = decoded_.doutputs.row(row);
                losses_[std::size_t(row)] = 0.0;
                if (weight > T(0))
                    losses_[std::size_t(row)] =
                        double(weight) *
                        step_loss(
                            decoded_.outputs.row(row),
                            pairs.targets + (pairs.inputs.offsets[source] + t) * pairs.n_targets,
                            share, da);
                else
                    std::fill_n(da, model_.n_outputs(), T(0));
            }
        }
    }
    double step_loss(const T* a, const T* y, T share, T* da) const {
        const Index n_outputs = model_.n_outputs();
        if (has_tokens()) return loss_.row(a, y, n_outputs, share, da);
        const Index n_values = model_.decoder().options().n_channels;
        const double loss = loss_.row(a, y, n_values, share, da);
        if (n_outputs == n_values) return loss;
        return loss + stop_loss_.row(a + n_values, y + n_values, 1, share, da + n_values);
    }

    // What the decoder reads at each step of the mini-batch: given, or its own.
    Sequences<T> sampled_inputs(const Pairs<T>& pairs, Team& team) {
        const Sequences<T>& given = pairs.inputs;
        const Index n_steps = given.n_steps();
        if (has_tokens())
            sampled_ids_.assign(given.tokens.ids, given.tokens.ids + n_steps);
        else
            sampled_values_.assign(given.values, given.values + n_steps * given.n_channels);
        const Decoding<T> decoding(model_, updates_.parameters().data());
        const Batch& batch = decoded_.workspace.batch;
        for_each_target_shard(team, [&](Range shard, Control& control) {
            Stepper<T> stepper(model_, decoding.weights());
            sample(stepper, pairs, batch, shard, control);
        });
        Sequences<T> inputs = given;
        if (has_tokens())
            inputs.tokens.ids = sampled_ids_.data();
        else
            inputs.values = sampled_values_.data();
        return inputs;
    }

    // Sequences of a shard stand by decreasing length: those that go on are the first.
    void sample(Stepper<T>& stepper, const Pairs<T>& pairs, const Batch& batch, Range shard,
                Control& control) {
        const Index* const members = batch.source.data() + shard.begin;
        const Index width = has_tokens() ? 1 : pairs.inputs.n_channels;
        stepper.begin(pairs.sources, members, shard.size(), control);
        std::vector<Index> rows(std::size_t(shard.size())), offsets(rows.size() + 1);
        std::iota(rows.begin(), rows.end(), Index(0));
        std::iota(offsets.begin(), offsets.end(), Index(0));
        std::vector<std::int32_t> ids(rows.size());
        Array<T> values(rows.size() * std::size_t(width));
        for (Index t = 0; t + 1 < batch.length[std::size_t(shard.begin)]; ++t) {
            while (batch.length[std::size_t(shard.begin) + rows.size() - 1] <= t + 1)
                rows.pop_back();
            for (const Index r : rows) {
                const Index step = pairs.inputs.offsets[members[r]] + t;
                if (has_tokens())
                    ids[std::size_t(r)] = sampled_ids_[std::size_t(step)];
                else
                    std::copy_n(sampled_values_.data() + step * width, width,
                                values.data() + r * width);
            }
            Sequences<T> inputs{values.data(), width, offsets.data(), Index(rows.size())};
            inputs.tokens.ids = ids.data();
            stepper.choose(rows);
            const Rows<T>& outputs = stepper.step(inputs, rows, control);
            for (const Index r : rows)
                if (is_sampled(shard.begin + r, t + 1))
                    put(outputs.row(r), pairs.inputs.offsets[members[r]] + t + 1, width);
        }
    }
    bool is_sampled(Index s, Index t) const {
        return random_uniform(random_bits(sampling_key_, std::uint64_t(s)), std::uint64_t(t)) >=
               options_.teacher_forcing;
    }
    // The likeliest token that is not the stop token, since the sequence goes on; or the values.
    void put(const T* outputs, Index step, Index width) {
        if (has_tokens())
            sampled_ids_[std::size_t(step)] = std::int32_t(
                std::max_element(outputs, outputs + model_.n_outputs() - 1) - outputs + 1);
        else
            std::copy_n(outputs, width, sampled_values_.data() + step * width);
    }

    const Seq2Seq<T>& model_;
    Seq2SeqTrainerOptions options_;
    Loss<T> loss_, stop_loss_;
    Updates<T> updates_;
    Seq2SeqWeights<T> weights_;
    Encoded<T> encoded_;
    Decoded<T> decoded_;
    std::vector<double> losses_;  // by row
    double total_weight_ = 0.0;
    std::uint64_t sampling_key_ = 0;
    std::vector<std::int32_t> sampled_ids_;
    Array<T> sampled_values_;
    bool was_short_of_threads_ = false;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Seq2SeqTrainer<T>::Seq2SeqTrainer(const Seq2Seq<T>& model, const T* parameters,
                                  Seq2SeqTrainerOptions options)
    : model_(model),
      options_(std::move(options)),
      loss_(options_.loss),
      stop_loss_("binary"),
      updates_(model.parameters(), model.embeddings(), parameters, options_) {
    if (has_tokens() != (model.decoder().options().n_tokens > 0))
        throw std::invalid_argument("elman: loss '" + options_.loss +
                                    "' does not fit what the decoder reads");
}

template <class T>
double Seq2SeqTrainer<T>::epoch(const Pairs<T>& pairs, const Index* order, Index n_order,
                                Index batch_size, const Control::Check& check) {
    Team team(threads_for(pairs, order, n_order), check);
    was_short_of_threads_ = team.is_short();
    return updates_.epoch(order, n_order, batch_size, team,
                          [&](const Index* members, Index n_members) {
                              return differentiate(pairs, members, n_members, team);
                          });
}

template <class T>
double Seq2SeqTrainer<T>::loss_and_gradient(const Pairs<T>& pairs, const Control::Check& check) {
    std::vector<Index> all(std::size_t(pairs.sources.n_sequences));
    std::iota(all.begin(), all.end(), Index(0));
    Team team(threads_for(pairs, all.data(), Index(all.size())), check);
    was_short_of_threads_ = team.is_short();
    return updates_.loss_and_gradient(
        team, [&] { return differentiate(pairs, all.data(), Index(all.size()), team); });
}

}  // namespace elman
