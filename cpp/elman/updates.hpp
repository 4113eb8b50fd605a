// Updates of a flat parameter vector, mini-batch by mini-batch: penalty, norm, clipping, step.
//
//     g <- dL/dw + alpha / sum_i w_i  W           weight matrices only
//     g <- g min(1, clip_norm / ||g||)
//     w <- solver(w, g)
//
// and where an average is kept (Polyak & Juditsky, 1992, fading as in Adam's moments), at update
// k = 0, 1, ...
//
//     average <- d average + (1 - d) w,   d = min(parameter_average, (k + 1) / (k + 10))
//
// The vector is cut into pieces, each updated by one thread. Of an embedding only the rows whose
// tokens are in the mini-batch have a gradient, count in the penalty and are updated, so that an
// update costs what its tokens cost. What the updates without them would have done is made up for
// before they are read (deferred.hpp).
#pragma once

#include <cmath>
#include <limits>

#include "elman/deferred.hpp"
#include "elman/embedding.hpp"
#include "elman/parameters.hpp"
#include "elman/schedule.hpp"
#include "elman/solver.hpp"

namespace elman {

struct UpdateOptions {
    SolverOptions solver;
    double learning_rate = 0.001;
    Schedule schedule;
    double alpha = 0.0;
    double clip_norm = std::numeric_limits<double>::infinity();
    double parameter_average = 0.0;  // how much of the average stays, or 0 for none
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

// The loss of a mini-batch without its penalty, and the sum of its weights; nothing is
// differentiated where that is zero.
struct BatchLoss {
    double loss = 0.0, weight = 0.0;
};

template <class T>
class Updates {
public:
    Updates(const std::vector<Parameter>& layout, const std::vector<Embedding<T>>& embeddings,
            const T* parameters, const UpdateOptions& options)
        : options_(options),
          parameters_(parameters, parameters + size_of(layout)),
          gradient_(parameters_.size()),
          n_moments_(solver_moments<T>(options_.solver)),
          moments_(parameters_.size() * std::size_t(n_moments_)),
          deferred_(options_.solver, options_.alpha) {
        options_.schedule.check();
        if (has_average() && !embeddings.empty())
            throw std::invalid_argument(
                "elman: parameter_average is not for tokens: most rows of an embedding wait");
        if (has_average()) average_ = parameters_;
        for (const Embedding<T>& embedding : embeddings) embeddings_.emplace_back(embedding);
        cut_pieces(layout);
    }

    Array<T>& parameters() { return parameters_; }
    Array<T>& gradient() { return gradient_; }
    Array<T>& moments() { return moments_; }
    Index n_moments() const { return n_moments_; }
    bool has_average() const { return options_.parameter_average > 0.0; }
    Array<T>& average() { return average_; }
    double learning_rate() const { return options_.learning_rate; }
    void set_learning_rate(double rate) { options_.learning_rate = rate; }
    Index n_updates() const { return n_updates_; }
    void set_n_updates(Index n) { n_updates_ = n; }

    // One pass over order in mini-batches of batch_size: the weighted mean of their losses.
    // differentiate(members, n_members) sets the gradient and returns a BatchLoss.
    template <class Differentiate>
    double epoch(const Index* order, Index n_order, Index batch_size, Team& team,
                 const Differentiate& differentiate) {
        const Index batches = (n_order + batch_size - 1) / batch_size;
        double sum = 0.0, sum_of_weights = 0.0;
        begin_deferring();
        for (Index b = 0; b < batches; ++b) {
            const Index first = b * batch_size;
            const BatchLoss batch =
                differentiate(order + first, std::min(batch_size, n_order - first));
            if (!(batch.weight > 0.0)) continue;
            sum += batch.weight * update(batch, b, team);
            sum_of_weights += batch.weight;
        }
        finish(batches - 1, team);
        return sum_of_weights > 0.0 ? sum / sum_of_weights : 0.0;
    }

    // One update by a gradient that was computed elsewhere, as `epoch` makes it: the loss with its
    // penalty. mark_tokens, as of `touch`, tells the rows of embeddings in which it has something.
    template <class MarkTokens>
    double update_by(const T* gradient, const BatchLoss& batch, Team& team,
                     const MarkTokens& mark_tokens) {
        if (!(batch.weight > 0.0)) return 0.0;
        touch(team, mark_tokens);
        std::copy_n(gradient, gradient_.size(), gradient_.begin());
        const double loss = update(batch, 0, team);
        finish(0, team);
        return loss;
    }

    // What some rows add to the loss and the gradient of a mini-batch, without penalty or update.
    template <class Differentiate>
    BatchLoss part(const Differentiate& differentiate) {
        std::fill(gradient_.begin(), gradient_.end(), T(0));
        for (EmbeddingRows& rows : embeddings_) rows.forget_touched();
        return differentiate();
    }

    // Tokens that embedding k has looked up in the last mini-batch.
    const std::vector<Index>& touched(Index k) const { return embeddings_[std::size_t(k)].touched; }

    // Loss and gradient of one mini-batch, penalty included, without an update.
    template <class Differentiate>
    double loss_and_gradient(Team& team, const Differentiate& differentiate) {
        std::fill(gradient_.begin(), gradient_.end(), T(0));
        const BatchLoss batch = differentiate();
        return batch.weight > 0.0 ? batch.loss + penalize(batch.weight, team) : 0.0;
    }

    // To be called before a mini-batch reads the embeddings: mark_tokens(mark) calls mark(k, id)
    // for the tokens that embedding k looks up in it.
    template <class MarkTokens>
    void touch(Team& team, const MarkTokens& mark_tokens) {
        if (embeddings_.empty()) return;
        pieces_.resize(n_dense_pieces_);
        for (EmbeddingRows& rows : embeddings_) rows.forget_touched();
        mark_tokens([&](Index k, Index id) { embeddings_[std::size_t(k)].touch(id); });
        for (EmbeddingRows& rows : embeddings_) {
            const Embedding<T>& embedding = rows.embedding;
            const Index width = embedding.width();
            std::sort(rows.touched.begin(), rows.touched.end());
            for (const Index id : rows.touched)
                pieces_.push_back({embedding.offset(id), width, true});
            for_each_row(Index(rows.touched.size()), team, [&](Index i) {
                const Index id = rows.touched[std::size_t(i)];
                catch_up(rows, id);
                std::fill_n(gradient_.data() + embedding.offset(id), width, T(0));
            });
        }
        piece_sums_.resize(pieces_.size());
    }

private:
    // A run of the flat vector within one parameter, short enough to be one thread's task.
    struct Piece {
        Index begin, size;
        bool is_matrix;
    };
    struct PieceSums {
        double weights = 0.0, gradient = 0.0;
    };

    // Which rows of an embedding the mini-batch has touched, and by token how many updates each
    // has seen since deferred_ began.
    struct EmbeddingRows {
        explicit EmbeddingRows(const Embedding<T>& embedding)
            : embedding(embedding),
              is_touched(std::size_t(embedding.n_tokens())),
              up_to(std::size_t(embedding.n_tokens())) {}

        void forget_touched() {
            for (const Index id : touched) is_touched[std::size_t(id)] = false;
            touched.clear();
        }
        void touch(Index id) {
            if (is_touched[std::size_t(id)]) return;
            is_touched[std::size_t(id)] = true;
            touched.push_back(id);
        }

        Embedding<T> embedding;
        std::vector<bool> is_touched;
        std::vector<Index> touched;
        std::vector<Index> up_to;
    };

    static std::ptrdiff_t size_of(const std::vector<Parameter>& layout) {
        return layout.empty() ? 0 : layout.back().offset + layout.back().size();
    }

    void cut_pieces(const std::vector<Parameter>& layout) {
        constexpr Index longest = 4096;
        const auto is_embedding = [&](const Parameter& parameter) {
            return std::any_of(embeddings_.begin(), embeddings_.end(), [&](const auto& rows) {
                return rows.embedding.offset() == parameter.offset;
            });
        };
        for (const Parameter& parameter : layout) {
            if (is_embedding(parameter)) continue;
            for (Index begin = 0; begin < parameter.size(); begin += longest)
                pieces_.push_back({parameter.offset + begin,
                                   std::min(longest, parameter.size() - begin),
                                   parameter.is_matrix()});
        }
        piece_sums_.resize(pieces_.size());
        n_dense_pieces_ = pieces_.size();
    }

    void begin_deferring() {
        deferred_.begin();
        for (EmbeddingRows& rows : embeddings_)
            std::fill(rows.up_to.begin(), rows.up_to.end(), Index(0));
    }
    void catch_up(EmbeddingRows& rows, Index id) {
        Index& up_to = rows.up_to[std::size_t(id)];
        if (up_to == deferred_.n_updates()) return;
        const Index n = rows.embedding.width(), place = rows.embedding.offset(id);
        T* const first = moments_.data() + place;
        deferred_.apply(deferred_.since(up_to), n, parameters_.data() + place, first,
                        n_moments_ > 1 ? first + parameters_.size() : nullptr);
        up_to = deferred_.n_updates();
    }

    template <class Function>
    static void for_each_row(Index n_rows, Team& team, const Function& function) {
        constexpr Index rows_a_task = 64;
        team.run((n_rows + rows_a_task - 1) / rows_a_task, [&](Index task, Control&) {
            const Index end = std::min(n_rows, (task + 1) * rows_a_task);
            for (Index i = task * rows_a_task; i < end; ++i) function(i);
        });
    }

    // Calls function(first, end) for some pieces at a time, on the team where there are enough.
    template <class Function>
    void for_each_task(Team& team, const Function& function) {
        constexpr std::size_t pieces_a_task = 8;
        const std::size_t n_pieces = pieces_.size();
        team.run(Index((n_pieces + pieces_a_task - 1) / pieces_a_task), [&](Index task, Control&) {
            const std::size_t first = std::size_t(task) * pieces_a_task;
            function(first, std::min(n_pieces, first + pieces_a_task));
        });
    }
    // Calls function(piece) for every piece, those that lie side by side as one unless matrices
    // differ from others: the end of each is a detour.
    template <class Function>
    void for_each_stretch(Team& team, bool matrices_differ, const Function& function) {
        for_each_task(team, [&](std::size_t p, std::size_t end) {
            while (p < end) {
                Piece stretch = pieces_[p++];
                for (; p < end && pieces_[p].begin == stretch.begin + stretch.size; ++p) {
                    if (matrices_differ && pieces_[p].is_matrix != stretch.is_matrix) break;
                    stretch.size += pieces_[p].size;
                }
                function(stretch);
            }
        });
    }

    // One update by the gradient of a mini-batch, number b of its epoch: its loss with the penalty.
    double update(const BatchLoss& batch, Index b, Team& team) {
        const double loss = batch.loss + penalize(batch.weight, team);
        const double norm = std::sqrt(squared_norm_);
        const double rate = options_.schedule.rate(options_.learning_rate, n_updates_);
        if (!std::isfinite(loss) || !std::isfinite(norm)) throw Diverged(b, rate, norm);
        apply(rate, norm > options_.clip_norm ? options_.clip_norm / norm : 1.0, team);
        return loss;
    }

    // Makes up for what was put off, and looks at the weights.
    void finish(Index last_batch, Team& team) {
        for (EmbeddingRows& rows : embeddings_)
            for_each_row(rows.embedding.n_tokens(), team, [&](Index id) { catch_up(rows, id); });
        begin_deferring();
        for (const T weight : parameters_)
            if (!std::isfinite(weight))
                throw Diverged(last_batch, options_.learning_rate, std::sqrt(squared_norm_));
    }

    // Adds the penalty's gradient and returns the penalty; sums the squares of the gradient.
    double penalize(double total_weight, Team& team) {
        const bool is_coupled = options_.alpha > 0.0 && options_.solver.name != "adamw";
        const T factor = T(is_coupled ? options_.alpha / total_weight : 0.0);
        for_each_task(team, [&](std::size_t first, std::size_t end) {
            for (std::size_t p = first; p < end; ++p) {
                const Piece& piece = pieces_[p];
                T* const g = gradient_.data() + piece.begin;
                const T* const w = parameters_.data() + piece.begin;
                PieceSums sums;
                if (is_coupled && piece.is_matrix) {
                    sums.weights = sum_of_squares(w, piece.size);
                    for (Index i = 0; i < piece.size; ++i) g[i] += factor * w[i];
                }
                sums.gradient = sum_of_squares(g, piece.size);
                piece_sums_[p] = sums;
            }
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
        const Index n = Index(parameters_.size());
        ++n_updates_;
        if (!embeddings_.empty()) deferred_.advance(rate, n_updates_);
        for (EmbeddingRows& rows : embeddings_)
            for (const Index id : rows.touched) rows.up_to[std::size_t(id)] = deferred_.n_updates();
        with_solver<T>(options_.solver, rate, n_updates_, [&](const auto& solver) {
            for_each_stretch(team, decay > 0.0, [&](const Piece& piece) {
                T* const first = moments_.data() + piece.begin;
                elman::update(solver, piece.size, gradient_.data() + piece.begin, T(scale),
                              T(piece.is_matrix ? 1.0 - decay : 1.0),
                              parameters_.data() + piece.begin,
                              {first, n_moments_ > 1 ? first + n : first});
                if (has_average()) add_to_average(piece);
            });
        });
    }

    // After update number n_updates_, counted from 1.
    void add_to_average(const Piece& piece) {
        const double k = double(n_updates_ - 1);
        const T stays = T(std::min(options_.parameter_average, (k + 1.0) / (k + 10.0)));
        const T* const w = parameters_.data() + piece.begin;
        T* const average = average_.data() + piece.begin;
        for (Index i = 0; i < piece.size; ++i)
            average[i] = stays * average[i] + (T(1) - stays) * w[i];
    }

    UpdateOptions options_;
    Array<T> parameters_, gradient_;
    Index n_moments_;
    Array<T> moments_;
    Array<T> average_;
    Index n_updates_ = 0;
    std::vector<EmbeddingRows> embeddings_;
    std::vector<Piece> pieces_;
    std::vector<PieceSums> piece_sums_;
    std::size_t n_dense_pieces_ = 0;
    Deferred deferred_;
    double squared_norm_ = 0.0;
};

}  // namespace elman
