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
// And since no sum is ever split over threads, their number does not change a bit.
#pragma once

#include <cmath>
#include <limits>

#include "elman/deferred.hpp"
#include "elman/loss.hpp"
#include "elman/predict.hpp"
#include "elman/schedule.hpp"
#include "elman/solver.hpp"

namespace elman {

struct TrainerOptions {
    std::string loss;
    double loss_parameter = 1.0;
    SolverOptions solver;
    double learning_rate = 0.001;
    Schedule schedule;
    double alpha = 0.0;
    double clip_norm = std::numeric_limits<double>::infinity();
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

// The first loss, gradient or weight that is not finite.
struct Diverged : std::runtime_error {
    Diverged(Index batch, double learning_rate, double gradient_norm)
        : std::runtime_error("the loss or its gradient is not finite"),
          batch(batch),
          learning_rate(learning_rate),
          gradient_norm(gradient_norm) {}
    Index batch;
    double learning_rate, gradient_norm;
};

// Sequences with their targets: a row each, of n_targets; weights one a row, or null for ones.
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
    Trainer(const Network<T>& network, const T* parameters, TrainerOptions options)
        : network_(network),
          options_(std::move(options)),
          loss_(options_.loss, options_.loss_parameter),
          parameters_(parameters, parameters + network.n_parameters()),
          gradient_(parameters_.size()),
          n_moments_(solver_moments<T>(options_.solver)),
          moments_(parameters_.size() * std::size_t(n_moments_)),
          deferred_(options_.solver, options_.alpha) {
        options_.schedule.check();
        const std::vector<bool>& bidirectional = network.options().bidirectional;
        if (options_.checkpoint && std::count(bidirectional.begin(), bidirectional.end(), true) > 0)
            throw std::invalid_argument(
                "elman: checkpoints need layers of one direction: a reverse one starts at the end");
        if (!options_.dropout_by_token.empty() &&
            Index(options_.dropout_by_token.size()) != network.options().n_tokens)
            throw std::invalid_argument("elman: token_dropout has " +
                                        std::to_string(options_.dropout_by_token.size()) +
                                        " entries, expected one for each of n_tokens");
        if (loss_.n_targets(network.options().n_outputs) == 0)
            throw std::invalid_argument("elman: loss '" + options_.loss + "' cannot have " +
                                        std::to_string(network.options().n_outputs) + " outputs");
        cut_pieces();
    }

    const TrainerOptions& options() const { return options_; }
    const Network<T>& network() const { return network_; }
    const Loss<T>& loss() const { return loss_; }
    Array<T>& parameters() { return parameters_; }
    Array<T>& moments() { return moments_; }
    Index n_moments() const { return n_moments_; }
    double learning_rate() const { return options_.learning_rate; }
    void set_learning_rate(double rate) { options_.learning_rate = rate; }
    Index n_updates() const { return n_updates_; }
    void set_n_updates(Index n) { n_updates_ = n; }
    // Whether the last call was granted fewer threads than it asked for.
    bool was_short_of_threads() const { return was_short_of_threads_; }

    // One pass over order in mini-batches of batch_size sequences: the weighted mean of their
    // losses.
    double epoch(const Examples<T>& examples, const Index* order, Index n_order, Index batch_size,
                 const Control::Check& check) {
        Index steps = 0;
        for (Index i = 0; i < n_order; ++i)
            steps +=
                examples.sequences.offsets[order[i] + 1] - examples.sequences.offsets[order[i]];
        const Index batches = (n_order + batch_size - 1) / batch_size;
        Team team(threads_for(steps), check);
        was_short_of_threads_ = team.is_short();
        double sum = 0.0, sum_of_weights = 0.0;
        begin_deferring();
        for (Index b = 0; b < batches; ++b) {
            const Index first = b * batch_size;
            gather(examples, order + first, std::min(batch_size, n_order - first));
            if (!(total_weight_ > 0.0)) continue;
            const double loss = differentiate(examples, team);
            sum += total_weight_ * loss;
            sum_of_weights += total_weight_;
            const double norm = std::sqrt(squared_norm_);
            const double rate = options_.schedule.rate(options_.learning_rate, n_updates_);
            if (!std::isfinite(loss) || !std::isfinite(norm)) throw Diverged(b, rate, norm);
            apply(rate, norm > options_.clip_norm ? options_.clip_norm / norm : 1.0, team);
        }
        if (network_.embedding()) catch_up_all(*network_.embedding(), team);
        for (const T weight : parameters_)
            if (!std::isfinite(weight))
                throw Diverged(batches - 1, options_.learning_rate, std::sqrt(squared_norm_));
        return sum_of_weights > 0.0 ? sum / sum_of_weights : 0.0;
    }

    // Loss and gradient of all sequences as one mini-batch; the gradient stays until the next call.
    double loss_and_gradient(const Examples<T>& examples, const Control::Check& check,
                             const T** gradient) {
        std::vector<Index> all(std::size_t(examples.sequences.n_sequences));
        std::iota(all.begin(), all.end(), Index(0));
        Team team(threads_for(examples.sequences.n_steps()), check);
        was_short_of_threads_ = team.is_short();
        gather(examples, all.data(), Index(all.size()));
        std::fill(gradient_.begin(), gradient_.end(), T(0));
        *gradient = gradient_.data();
        return total_weight_ > 0.0 ? differentiate(examples, team) : 0.0;
    }

private:
    // A run of the flat vector within one parameter, short enough to be one thread's task.
    struct Piece {
        Index begin, size;
        bool is_matrix;
    };

    Index threads_for(Index steps) const {
        return worthwhile_threads(options_.n_threads, 3 * steps * network_.multiply_adds());
    }

    // Below some 20 microseconds of work each, handing out a mini-batch costs more than it brings.
    Index shards_of(const Batch& batch, const Team& team) const {
        constexpr Index worth_a_shard = 400000;
        const Index work = 3 * batch.n_rows() * network_.multiply_adds();
        return std::clamp<Index>(work / worth_a_shard, 1, team.n_threads());
    }

    void cut_pieces() {
        constexpr Index longest = 4096;
        if (network_.embedding()) {
            is_touched_.resize(std::size_t(network_.embedding()->n_tokens()));
            up_to_.resize(is_touched_.size());
        }
        for (const Parameter& parameter : network_.parameters()) {
            if (parameter.name == "embedding") continue;
            for (Index begin = 0; begin < parameter.size(); begin += longest)
                pieces_.push_back({parameter.offset + begin,
                                   std::min(longest, parameter.size() - begin),
                                   parameter.is_matrix()});
        }
        piece_sums_.resize(pieces_.size());
        n_dense_pieces_ = pieces_.size();
    }

    // Of an embedding only the rows whose tokens are in the mini-batch have a gradient, count in
    // the penalty and are updated, so that an update costs what its tokens cost. What the updates
    // without them would have done is made up for before they are read.
    void touch(const Embedding<T>& embedding, const Examples<T>& examples, Team& team) {
        for (const Index id : touched_) is_touched_[std::size_t(id)] = false;
        touched_.clear();
        embedding.for_each_token(examples.sequences, batch_, workspace_.dropout,
                                 [&](Index id, T, Index) {
                                     if (is_touched_[std::size_t(id)]) return;
                                     is_touched_[std::size_t(id)] = true;
                                     touched_.push_back(id);
                                 });
        std::sort(touched_.begin(), touched_.end());
        pieces_.resize(n_dense_pieces_);
        for (const Index id : touched_)
            pieces_.push_back(
                {embedding.offset() + id * embedding.width(), embedding.width(), true});
        piece_sums_.resize(pieces_.size());
        for_each_row(Index(touched_.size()), team, [&](Index i) {
            const Index id = touched_[std::size_t(i)];
            catch_up(embedding, id);
            std::fill_n(gradient_.data() + embedding.offset() + id * embedding.width(),
                        embedding.width(), T(0));
        });
    }

    void begin_deferring() {
        deferred_.begin();
        std::fill(up_to_.begin(), up_to_.end(), Index(0));
    }
    void catch_up(const Embedding<T>& embedding, Index id) {
        if (up_to_[std::size_t(id)] == deferred_.n_updates()) return;
        const Index n = embedding.width(), place = embedding.offset() + id * n;
        T* const first = moments_.data() + place;
        deferred_.apply(deferred_.since(up_to_[std::size_t(id)]), n, parameters_.data() + place,
                        first, n_moments_ > 1 ? first + network_.n_parameters() : nullptr);
        up_to_[std::size_t(id)] = deferred_.n_updates();
    }
    void catch_up_all(const Embedding<T>& embedding, Team& team) {
        for_each_row(embedding.n_tokens(), team, [&](Index id) { catch_up(embedding, id); });
        begin_deferring();
    }

    template <class Function>
    static void for_each_row(Index n_rows, Team& team, const Function& function) {
        constexpr Index rows_a_task = 64;
        team.run((n_rows + rows_a_task - 1) / rows_a_task, [&](Index task, Control&) {
            const Index end = std::min(n_rows, (task + 1) * rows_a_task);
            for (Index i = task * rows_a_task; i < end; ++i) function(i);
        });
    }

    // Calls function(piece, index) for every piece, on the team where there are enough of them.
    template <class Function>
    void for_each_piece(Team& team, const Function& function) {
        constexpr Index pieces_a_task = 8;
        const Index n_pieces = Index(pieces_.size());
        const auto pieces_of = [&](Index task, Control&) {
            const Index end = std::min(n_pieces, (task + 1) * pieces_a_task);
            for (Index p = task * pieces_a_task; p < end; ++p)
                function(pieces_[std::size_t(p)], std::size_t(p));
        };
        team.run((n_pieces + pieces_a_task - 1) / pieces_a_task, pieces_of);
    }

    void gather(const Examples<T>& examples, const Index* members, Index n_members) {
        batch_.assign(members, n_members, examples.sequences.offsets);
        workspace_.states_by_place = ahead_.states_by_place = true;
        workspace_.dropout = ahead_.dropout = dropout();
        workspace_.training = ahead_.is_shared = true;
        workspace_.per_step = examples.per_step;
        losses_.resize(std::size_t(examples.per_step ? batch_.n_rows() : batch_.n_sequences()));
        total_weight_ = 0.0;
        for_each_target(
            examples, batch_, {0, batch_.n_sequences()},
            [&](Index, Index target, Index) { total_weight_ += double(examples.weight(target)); });
    }

    Dropout dropout() const {
        Dropout dropout;
        dropout.output = options_.dropout;
        dropout.recurrent = options_.recurrent_dropout;
        dropout.embedding = options_.embedding_dropout;
        dropout.tokens = options_.token_dropout;
        if (!options_.dropout_by_token.empty()) dropout.by_token = options_.dropout_by_token.data();
        dropout.key = random_bits(options_.seed, std::uint64_t(n_updates_));
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

    // Loss of the gathered mini-batch; gradient_ and squared_norm_ are set.
    double differentiate(const Examples<T>& examples, Team& team) {
        network_.pack(parameters_.data(), true, weights_);
        if (network_.embedding()) touch(*network_.embedding(), examples, team);
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
        return loss / total_weight_ + penalize(team);
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
            for_each_shard(batch, team, [&](Range shard, Control& control) {
                network_.forward(examples.sequences, weights_, shard, ahead_, control);
                network_.final_states(ahead_, shard, states.data());
            });
        }
    }

    void differentiate_segment(const Examples<T>& examples, Pass pass, Team& team) {
        for_each_shard(workspace_.batch, team, [&](Range shard, Control& control) {
            network_.forward(examples.sequences, weights_, shard, workspace_, control);
            differentiate_loss(examples, shard);
            network_.backward(weights_, shard, options_.bptt_steps, workspace_, control);
        });
        const Index n_parts = shards_of(workspace_.batch, team);
        team.run(network_.n_gradient_tasks(n_parts), [&](Index task, Control& control) {
            network_.gradient(task, n_parts, pass, weights_, workspace_, gradient_.data(), control);
        });
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
        const Index n_outputs = network_.options().n_outputs;
        for_each_target(examples, workspace_.batch, shard,
                        [&](Index row, Index target, Index whole) {
                            const T weight = examples.weight(target);
                            T* const da = workspace_.doutputs.row(row);
                            losses_[std::size_t(whole)] = 0.0;
                            if (!(weight > T(0))) {
                                std::fill_n(da, n_outputs, T(0));
                                return;
                            }
                            const T* const y = examples.targets + target * examples.n_targets;
                            const T share = T(double(weight) / total_weight_);
                            losses_[std::size_t(whole)] =
                                double(weight) *
                                loss_.row(workspace_.outputs.row(row), y, n_outputs, share, da);
                        });
    }

    // Adds the penalty's gradient and returns the penalty; sums the squares of the gradient.
    double penalize(Team& team) {
        const bool is_coupled = options_.alpha > 0.0 && options_.solver.name != "adamw";
        const T factor = T(is_coupled ? options_.alpha / total_weight_ : 0.0);
        for_each_piece(team, [&](const Piece& piece, std::size_t p) {
            T* const g = gradient_.data() + piece.begin;
            const T* const w = parameters_.data() + piece.begin;
            PieceSums sums;
            if (is_coupled && piece.is_matrix) {
                sums.weights = sum_of_squares(w, piece.size);
                for (Index i = 0; i < piece.size; ++i) g[i] += factor * w[i];
            }
            sums.gradient = sum_of_squares(g, piece.size);
            piece_sums_[p] = sums;
        });
        double of_weights = 0.0;
        squared_norm_ = 0.0;
        for (const PieceSums& sums : piece_sums_) {
            of_weights += sums.weights;
            squared_norm_ += sums.gradient;
        }
        return 0.5 * double(factor) * of_weights;
    }

    static double sum_of_squares(const T* x, Index n) {
        constexpr Index lanes = 8;
        double sum[lanes] = {};
        Index i = 0;
        for (; i + lanes <= n; i += lanes)
            for (Index lane = 0; lane < lanes; ++lane)
                sum[lane] += double(x[i + lane]) * double(x[i + lane]);
        for (Index lane = 0; i < n; ++i, ++lane) sum[lane] += double(x[i]) * double(x[i]);
        return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }

    void apply(double rate, double scale, Team& team) {
        const double decay = options_.solver.name == "adamw" ? rate * options_.alpha : 0.0;
        const Index n = network_.n_parameters();
        ++n_updates_;
        if (network_.embedding()) {
            deferred_.advance(rate, n_updates_);
            for (const Index id : touched_) up_to_[std::size_t(id)] = deferred_.n_updates();
        }
        with_solver<T>(options_.solver, rate, n_updates_, [&](const auto& solver) {
            for_each_piece(team, [&](const Piece& piece, std::size_t) {
                T* const first = moments_.data() + piece.begin;
                update(solver, piece.size, gradient_.data() + piece.begin, T(scale),
                       T(piece.is_matrix ? 1.0 - decay : 1.0), parameters_.data() + piece.begin,
                       {first, n_moments_ > 1 ? first + n : first});
            });
        });
    }

    struct PieceSums {
        double weights = 0.0, gradient = 0.0;
    };

    const Network<T>& network_;
    TrainerOptions options_;
    Loss<T> loss_;
    Array<T> parameters_, gradient_;
    Index n_moments_;
    Array<T> moments_;
    Index n_updates_ = 0;
    std::vector<Piece> pieces_;
    std::vector<PieceSums> piece_sums_;
    std::size_t n_dense_pieces_ = 0;
    std::vector<bool> is_touched_;  // by token of the embedding
    std::vector<Index> touched_;
    Deferred deferred_;
    std::vector<Index> up_to_;  // updates that each row has seen since deferred_ began
    NetworkWeights<T> weights_;
    Batch batch_;
    Workspace<T> workspace_, ahead_;
    std::vector<Array<T>> checkpoints_;  // states before each segment
    std::vector<double> losses_;
    double total_weight_ = 0.0;
    double squared_norm_ = 0.0;
    bool was_short_of_threads_ = false;
};

}  // namespace elman
