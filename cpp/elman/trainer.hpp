// Mini-batches, their gradients and updates.
//
// One mini-batch has the loss
//
//     L = (sum_i w_i l_i + alpha / 2 ||W||^2) / sum_i w_i
//
// over its rows i (sequences, or steps) and, for the penalty, its weight matrices. It goes
//
//     1  sequences dealt out to threads: forwards, loss, backwards through time
//     2  pieces of the gradient dealt out to threads, each summed over all rows in one order
//     3  norm, clipping, update; weights packed for the next
//
// With checkpoints (Chen et al., 2016) the tapes hold sqrt(T) steps: a first pass keeps the states
// between segments of the steps, then each segment, from the last to the first, runs forwards again
// and backwards. Gradients are summed from the last row to the first either way: same bits.
//
// With candidates a row of targets goes on with theirs, and what the loss reads is the network's
// outputs and a mixture of them (mixture.hpp).
//
// And since no sum is ever split over threads, their number does not change a bit.
#pragma once

#include "elman/loss.hpp"
#include "elman/mixture.hpp"
#include "elman/predict.hpp"
#include "elman/updates.hpp"

namespace elman {

struct TrainerOptions : UpdateOptions {
    std::string loss;
    std::vector<double> loss_parameters = {1.0};
    Index n_candidates = 0;  // of a mixture, or none
    Index n_groups = 1;
    double sharpness = 1.0;
    double dropout = 0.0;
    double recurrent_dropout = 0.0;
    double embedding_dropout = 0.0;
    double token_dropout = 0.0;
    std::vector<double> dropout_by_token;  // instead: of each token, or empty
    Index bptt_steps = 0;
    bool checkpoint = false;
    std::uint64_t seed = 0;
    Index n_threads = 1;
};

// Sequences with their targets: a row each, of n_targets (candidates included); weights one a row,
// or null for ones.
template <class T>
struct Examples {
    Sequences<T> sequences;
    const T* targets;
    Index n_targets;
    const T* weights;
    bool per_step;

    Index target_row(Index sequence, Index t) const {
        return per_step ? sequences.offsets[sequence] + t : sequence;
    }
    T weight(Index row) const { return weights == nullptr ? T(1) : weights[row]; }
};

template <class T>
class Trainer {
public:
    Trainer(const Network<T>& network, const T* parameters, TrainerOptions options);

    const Network<T>& network() const { return network_; }
    const Loss<T>& loss() const { return loss_; }
    const std::optional<Mixture<T>>& mixture() const { return mixture_; }
    // Outputs that the loss reads, and targets that belong to them.
    Index n_outputs() const { return n_outputs_; }
    Index n_targets() const { return n_targets_; }
    Updates<T>& updates() { return updates_; }
    // Whether the last call was granted fewer threads than it asked for.
    bool was_short_of_threads() const { return was_short_of_threads_; }

    // One pass over order in mini-batches of batch_size sequences: the weighted mean of their
    // losses.
    double epoch(const Examples<T>& examples, const Index* order, Index n_order, Index batch_size,
                 const Control::Check& check);

    // Loss and gradient of all sequences as one mini-batch; the gradient stays until the next call.
    double loss_and_gradient(const Examples<T>& examples, const Control::Check& check);

    // What some sequences add to a mini-batch whose weights sum up to total_weight: their share of
    // its loss, their own weight, and their share of its gradient without the penalty, which stays
    // until the next call. Summed over all sequences of the mini-batch they make its `update`.
    BatchLoss part(const Examples<T>& examples, const Index* members, Index n_members,
                   double total_weight, const Control::Check& check);

    // One update by the sum of such parts, as `epoch` makes it: the loss with its penalty. tokens
    // are those that the mini-batch looks up.
    double update(const T* gradient, const BatchLoss& batch, const Index* tokens, Index n_tokens,
                  const Control::Check& check);

private:
    static std::vector<Embedding<T>> embeddings_of(const Network<T>& network) {
        std::vector<Embedding<T>> embeddings;
        if (network.embedding()) embeddings.push_back(*network.embedding());
        return embeddings;
    }

    MixtureShape mixture_shape() const {
        if (!loss_.is_regression())
            throw std::invalid_argument("elman: loss '" + options_.loss +
                                        "' cannot have candidates");
        return {n_targets_,        loss_.n_locations(), n_outputs_, options_.n_candidates,
                options_.n_groups, options_.sharpness};
    }

    Index threads_for(Index steps) const {
        return worthwhile_threads(options_.n_threads, 3 * steps * network_.multiply_adds());
    }

    static Index n_steps_of(const Examples<T>& examples, const Index* members, Index n_members) {
        const Index* const offsets = examples.sequences.offsets;
        return std::accumulate(members, members + n_members, Index(0),
                               [&](Index n, Index i) { return n + offsets[i + 1] - offsets[i]; });
    }

    // Below some 20 microseconds of work each, handing out a mini-batch costs more than it brings.
    Index shards_of(const Batch& batch, const Team& team) const {
        constexpr Index worth_a_shard = 400000;
        const Index work = 3 * batch.n_rows() * network_.multiply_adds();
        return std::clamp<Index>(work / worth_a_shard, 1, team.n_threads());
    }

    void gather(const Examples<T>& examples, const Index* members, Index n_members) {
        batch_.assign(members, n_members, examples.sequences.offsets);
        workspace_.states_by_place = ahead_.states_by_place = true;
        workspace_.dropout = ahead_.dropout = dropout();
        workspace_.training = ahead_.is_shared = true;
        workspace_.per_step = examples.per_step;
        losses_.resize(std::size_t(examples.per_step ? batch_.n_rows() : batch_.n_sequences()));
        total_weight_ = sum_of_weights(examples);
    }

    double sum_of_weights(const Examples<T>& examples) const {
        if (examples.weights == nullptr) return double(losses_.size());
        double sum = 0.0;
        for_each_target(
            examples, batch_, {0, batch_.n_sequences()},
            [&](Index, Index target, Index) { sum += double(examples.weight(target)); });
        return sum;
    }

    Dropout dropout() const {
        Dropout dropout;
        dropout.output = options_.dropout;
        dropout.recurrent = options_.recurrent_dropout;
        dropout.embedding = options_.embedding_dropout;
        dropout.tokens = options_.token_dropout;
        if (!options_.dropout_by_token.empty()) dropout.by_token = options_.dropout_by_token.data();
        dropout.key = random_bits(options_.seed, std::uint64_t(updates_.n_updates()));
        return dropout;
    }

    // Calls function(row of the outputs, row of the targets, row of the whole mini-batch).
    template <class Function>
    void for_each_target(const Examples<T>& examples, const Batch& batch, Range shard,
                         const Function& function) const {
        if (!examples.per_step) {
            for (Index s = std::max(shard.begin, batch.n_continuing); s < shard.end; ++s)
                function(s, batch.source[std::size_t(s)], s);
            return;
        }
        for (Index s = shard.begin; s < shard.end; ++s) {
            for (Index t = 0; t < batch.length[std::size_t(s)]; ++t) {
                const Index step = batch.first_step + t;
                function(batch.row(t, s), examples.target_row(batch.source[std::size_t(s)], step),
                         batch_.row(step, s));
            }
        }
    }

    // Loss of a mini-batch, or of a part of one whose weights sum up to total_weight, and its
    // gradient.
    BatchLoss differentiate(const Examples<T>& examples, const Index* members, Index n_members,
                            Team& team, std::optional<double> total_weight = {}) {
        gather(examples, members, n_members);
        const double weight = total_weight_;
        if (!(weight > 0.0)) return {};
        total_weight_ = total_weight.value_or(weight);
        if (network_.embedding())
            updates_.touch(team, [&](const auto& mark) {
                Embedding<T>::for_each_token(examples.sequences, batch_, workspace_.dropout,
                                             [&](Index id, T, Index) { mark(0, id); });
            });
        for (Workspace<T>* workspace : {&workspace_, &ahead_}) {
            workspace->distinct.when = tokens_once();
            workspace->distinct.forget();
        }
        network_.pack(updates_.parameters().data(), true, weights_);
        const Index n_steps = batch_.n_steps();
        const Index longest = options_.checkpoint ? segment_steps(n_steps) : n_steps;
        const Index n_segments = (n_steps + longest - 1) / longest;
        run_ahead(examples, longest, n_segments, team);
        for (Index i = n_segments - 1; i >= 0; --i) {
            workspace_.batch.assign_segment(batch_, i * longest,
                                            std::min((i + 1) * longest, n_steps));
            network_.prepare(examples.sequences, workspace_,
                             i > 0 ? checkpoints_[std::size_t(i)].data() : nullptr);
            differentiate_segment(examples, {i + 1 == n_segments, i == 0}, team);
        }
        double loss = 0.0;
        for (const double row : losses_) loss += row;
        return {loss / total_weight_, weight};
    }

    // The same in all segments of a mini-batch.
    TokensOnce tokens_once() const {
        return network_.embedding() &&
                       tokens_recur(Index(updates_.touched(0).size()), batch_.n_rows())
                   ? TokensOnce::always
                   : TokensOnce::never;
    }

    // Tapes of sqrt(T) steps, and as many checkpoints of the states.
    static Index segment_steps(Index n_steps) {
        constexpr Index shortest = 16;
        return std::max(shortest, Index(std::ceil(std::sqrt(double(n_steps)))));
    }

    // Forwards through all segments but the last, keeping the states between them only.
    void run_ahead(const Examples<T>& examples, Index longest, Index n_segments, Team& team) {
        checkpoints_.resize(std::size_t(n_segments));
        for (Index i = 0; i + 1 < n_segments; ++i) {
            Batch& batch = ahead_.batch;
            batch.assign_segment(batch_, i * longest, (i + 1) * longest);
            network_.prepare(examples.sequences, ahead_,
                             i > 0 ? checkpoints_[std::size_t(i)].data() : nullptr);
            Array<T>& states = checkpoints_[std::size_t(i) + 1];
            make_room(states, batch.n_sequences() * network_.state_size());
            sum_tokens(ahead_, team);
            for_each_shard(batch, team, [&](Range shard, Control& control) {
                network_.forward(examples.sequences, weights_, shard, ahead_, control);
                network_.final_states(ahead_, shard, states.data());
            });
        }
    }

    void sum_tokens(Workspace<T>& workspace, Team& team) {
        if (!workspace.distinct.is_used) return;
        const Index n_parts = shards_of(workspace.batch, team);
        team.run(n_parts, [&](Index part, Control&) {
            network_.sum_tokens(part, n_parts, weights_, workspace);
        });
    }

    void differentiate_segment(const Examples<T>& examples, Pass pass, Team& team) {
        sum_tokens(workspace_, team);
        for_each_shard(workspace_.batch, team, [&](Range shard, Control& control) {
            network_.forward(examples.sequences, weights_, shard, workspace_, control);
            differentiate_loss(examples, shard);
            network_.backward(weights_, shard, options_.bptt_steps, workspace_, control);
        });
        const Index n_parts = shards_of(workspace_.batch, team);
        if (workspace_.distinct.is_used)
            team.run(n_parts, [&](Index part, Control&) {
                network_.add_token_gradients(part, n_parts, workspace_);
            });
        team.run(
            network_.n_gradient_tasks(n_parts),
            [&](Index task, Control& control) {
                network_.gradient(task, n_parts, pass, weights_, workspace_,
                                  updates_.gradient().data(), control);
            },
            n_parts > 1);
    }

    template <class Function>
    void for_each_shard(const Batch& batch, Team& team, const Function& function) {
        const std::vector<Range> shards =
            batch.shards(shards_of(batch, team), network_.sequences_side_by_side());
        team.run(Index(shards.size()),
                 [&](Index i, Control& control) { function(shards[std::size_t(i)], control); });
    }

    // A row of weight zero is left out altogether, whatever its target is.
    void differentiate_loss(const Examples<T>& examples, Range shard) {
        const T share_of_one = T(1.0 / total_weight_);
        loss_.with_row(n_outputs_, [&](const auto& loss_of_row) {
            for_each_target(
                examples, workspace_.batch, shard, [&](Index row, Index target, Index whole) {
                    T* const da = workspace_.doutputs.row(row);
                    T weight = T(1), share = share_of_one;
                    if (examples.weights != nullptr) {
                        weight = examples.weight(target);
                        share = T(double(weight) / total_weight_);
                    }
                    losses_[std::size_t(whole)] = 0.0;
                    if (!(weight > T(0))) {
                        std::fill_n(da, network_.options().n_outputs, T(0));
                        return;
                    }
                    T* const a = workspace_.outputs.row(row);
                    const T* const y = examples.targets + target * examples.n_targets;
                    if (mixture_) mixture_->forward(a, y + n_targets_);
                    losses_[std::size_t(whole)] = double(weight) * loss_of_row(a, y, share, da);
                    if (mixture_) mixture_->backward(a, y + n_targets_, da);
                });
        });
    }

    const Network<T>& network_;
    TrainerOptions options_;
    Loss<T> loss_;
    std::optional<Mixture<T>> mixture_;
    Index n_outputs_ = 0, n_targets_ = 0;
    Updates<T> updates_;
    NetworkWeights<T> weights_;
    Batch batch_;
    Workspace<T> workspace_, ahead_;
    std::vector<Array<T>> checkpoints_;  // states before each segment
    std::vector<double> losses_;
    double total_weight_ = 0.0;
    bool was_short_of_threads_ = false;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Trainer<T>::Trainer(const Network<T>& network, const T* parameters, TrainerOptions options)
    : network_(network),
      options_(std::move(options)),
      loss_(options_.loss, options_.loss_parameters),
      updates_(network.parameters(), embeddings_of(network), parameters, options_) {
    if (options_.checkpoint && network.has_reverse())
        throw std::invalid_argument(
            "elman: checkpoints need layers of one direction: a reverse one starts at the end");
    if (network.options().branch_step > 0 && (options_.checkpoint || options_.bptt_steps > 0))
        throw std::invalid_argument(
            "elman: of steps that branch the gradient goes all the way, without checkpoints");
    if (!options_.dropout_by_token.empty() &&
        Index(options_.dropout_by_token.size()) != network.options().n_tokens)
        throw std::invalid_argument("elman: token_dropout has " +
                                    std::to_string(options_.dropout_by_token.size()) +
                                    " entries, expected one for each of n_tokens");
    n_outputs_ =
        network.options().n_outputs - checked_multiply(options_.n_groups, options_.n_candidates);
    n_targets_ = loss_.n_targets(std::max(n_outputs_, Index(0)));
    if (n_targets_ == 0)
        throw std::invalid_argument("elman: loss '" + options_.loss + "' cannot have " +
                                    std::to_string(n_outputs_) + " outputs");
    if (options_.n_candidates > 0) mixture_.emplace(mixture_shape());
}

template <class T>
double Trainer<T>::epoch(const Examples<T>& examples, const Index* order, Index n_order,
                         Index batch_size, const Control::Check& check) {
    Team team(threads_for(n_steps_of(examples, order, n_order)), check);
    was_short_of_threads_ = team.is_short();
    return updates_.epoch(order, n_order, batch_size, team,
                          [&](const Index* members, Index n_members) {
                              return differentiate(examples, members, n_members, team);
                          });
}

template <class T>
double Trainer<T>::loss_and_gradient(const Examples<T>& examples, const Control::Check& check) {
    std::vector<Index> all(std::size_t(examples.sequences.n_sequences));
    std::iota(all.begin(), all.end(), Index(0));
    Team team(threads_for(examples.sequences.n_steps()), check);
    was_short_of_threads_ = team.is_short();
    return updates_.loss_and_gradient(
        team, [&] { return differentiate(examples, all.data(), Index(all.size()), team); });
}

template <class T>
BatchLoss Trainer<T>::part(const Examples<T>& examples, const Index* members, Index n_members,
                           double total_weight, const Control::Check& check) {
    Team team(threads_for(n_steps_of(examples, members, n_members)), check);
    was_short_of_threads_ = team.is_short();
    return updates_.part(
        [&] { return differentiate(examples, members, n_members, team, total_weight); });
}

template <class T>
double Trainer<T>::update(const T* gradient, const BatchLoss& batch, const Index* tokens,
                          Index n_tokens, const Control::Check& check) {
    Team team(threads_for(0), check);
    was_short_of_threads_ = team.is_short();
    return updates_.update_by(gradient, batch, team, [&](const auto& mark) {
        std::for_each(tokens, tokens + n_tokens, [&](Index id) { mark(0, id); });
    });
}

}  // namespace elman
