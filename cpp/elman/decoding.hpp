// What a trained encoder-decoder puts out: tokens by beam search, values step by step, or how
// likely a given output is.
//
// Beam search keeps the beam_width most likely beginnings of a sequence. One that ends among them
// is kept with the score
//
//     log p(y | x) / ((5 + |y|) / 6)^length_penalty                        (Wu et al., 2016, eq.
//     14)
//
// where |y| counts the stop token, until beam_width have ended; the best of them is the answer. A
// width of one is greedy decoding. A decoder reads token 0 before the first step, and after that
// one more than the number of the output that stands before. Sequences are dealt out to threads in
// chunks, and rows of a product never meet, so an answer does not depend on the sequences beside
// it.
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "elman/predict.hpp"
#include "elman/stepper.hpp"

namespace elman {

struct BeamOptions {
    std::int32_t stop;     // the output that ends an answer
    Index max_length = 0;  // of an answer, without the stop token
    Index beam_width = 1;
    double length_penalty = 0.0;
};

// Sources, and what the decoder reads and shall put out at each step of given outputs.
template <class T>
struct Pairs {
    Sequences<T> sources, inputs;
    const T* targets = nullptr;  // n_targets a step
    Index n_targets = 0;
    const T* weights = nullptr;  // one a sequence, or null for ones

    T weight(Index sequence) const { return weights == nullptr ? T(1) : weights[sequence]; }
};

// Logits that are looked at side by side, however wide a register is.
inline constexpr Index logits_at_once = 16;

// The largest of each of so many columns, in which logits stand row by row.
template <class T>
std::array<T, logits_at_once> largest_by_column(const T* a, Index n) {
    std::array<T, logits_at_once> largest;
    largest.fill(-std::numeric_limits<T>::infinity());
    for (Index j = 0; j < n; j += logits_at_once)
        if (j + logits_at_once <= n)
            for (std::size_t i = 0; i < logits_at_once; ++i)
                largest[i] = a[j + Index(i)] > largest[i] ? a[j + Index(i)] : largest[i];
        else
            for (Index i = 0; j + i < n; ++i)
                largest[std::size_t(i)] = std::max(largest[std::size_t(i)], a[j + i]);
    return largest;
}

// log sum_j exp(a_j), given the largest of them.
template <class T>
double log_sum_exp(const T* a, Index n, T largest) {
    T terms[logits_at_once];
    double sums[logits_at_once] = {};
    for (Index j = 0; j < n; j += logits_at_once) {
        const Index n_terms = std::min(logits_at_once, n - j);
        for (Index i = 0; i < n_terms; i += Vec<T>::width)
            exp(Vec<T>::load(a + j + i) - Vec<T>(largest)).store(terms + i);
        if (n_terms == logits_at_once)
            for (Index i = 0; i < logits_at_once; ++i) sums[i] += double(terms[i]);
        else
            for (Index i = 0; i < n_terms; ++i) sums[i] += double(terms[i]);
    }
    for (Index half = logits_at_once / 2; half > 0; half /= 2)
        for (Index i = 0; i < half; ++i) sums[i] += sums[i + half];
    return double(largest) + std::log(sums[0]);
}

// The beams of one sequence. Tokens are nodes of a tree, each with the one before it.
template <class T>
class Beams {
public:
    struct Beam {
        Index node = -1;  // of its last token
        double log_p = 0.0;
    };

    explicit Beams(const BeamOptions& options) : options_(&options), live_(1) {}

    const std::vector<Beam>& live() const { return live_; }
    bool is_done() const { return live_.empty(); }
    // What the decoder reads next.
    std::int32_t input(const Beam& beam) const {
        return beam.node < 0 ? 0 : nodes_[std::size_t(beam.node)].token + 1;
    }

    // Goes on by one token, from the outputs of the live beams; from gets the number of the beam
    // that each of the new ones goes on from.
    void advance(const Rows<T>& outputs, Index first_row, Index n_outputs,
                 std::vector<Index>& from) {
        rank(outputs, first_row, n_outputs);
        before_.swap(live_);
        live_.clear();
        ++length_;
        for (std::size_t i = 0; i < best_.size(); ++i) {
            const Candidate& candidate = best_[i];
            if (Index(live_.size()) == options_->beam_width) break;
            const Index previous = before_[std::size_t(candidate.beam)].node;
            if (candidate.token == options_->stop) {
                if (Index(i) < options_->beam_width) end({previous, candidate.log_p}, length_);
                continue;
            }
            nodes_.push_back({candidate.token, previous});
            live_.push_back({Index(nodes_.size()) - 1, candidate.log_p});
            from.push_back(candidate.beam);
        }
        if (length_ == options_->max_length)
            for (const Beam& beam : live_) end(beam, length_);
        if (length_ < options_->max_length && n_ended_ < options_->beam_width) return;
        from.resize(from.size() - live_.size());
        live_.clear();
    }

    double score() const { return best_score_; }
    std::vector<std::int32_t> tokens() const {
        std::vector<std::int32_t> tokens;
        for (Index node = best_node_; node >= 0; node = nodes_[std::size_t(node)].previous)
            tokens.push_back(nodes_[std::size_t(node)].token);
        std::reverse(tokens.begin(), tokens.end());
        return tokens;
    }

private:
    struct Node {
        std::int32_t token;
        Index previous;
    };
    struct Candidate {
        double log_p;
        Index beam;
        std::int32_t token;
    };

    // The most likely ways to go on, the best first; of equal ones that of the earlier beam, then
    // of the smaller token. Twice the width: as many may end, and still the beam stays full.
    void rank(const Rows<T>& outputs, Index first_row, Index n_outputs) {
        best_.clear();
        for (std::size_t b = 0; b < live_.size(); ++b) {
            const T* const a = outputs.row(first_row + Index(b));
            auto largest = largest_by_column(a, n_outputs);
            std::partial_sort(largest.begin(), largest.begin() + n_tried(), largest.end(),
                              std::greater<T>());
            const double before = live_[b].log_p - log_sum_exp(a, n_outputs, largest[0]);
            const T least = std::max(least_wanted(before), least_of(largest));
            for (Index first = 0; first < n_outputs; first += logits_at_once) {
                const Index end = std::min(first + logits_at_once, n_outputs);
                if (!has_one_from(least, a + first, end - first)) continue;
                for (Index token = first; token < end; ++token)
                    if (a[token] >= least)
                        consider({before + double(a[token]), Index(b), std::int32_t(token)});
            }
        }
    }
    Index n_best() const { return 2 * options_->beam_width; }
    Index n_tried() const { return std::min(n_best(), logits_at_once); }
    // Logits below are not among the best: those of a beam that has as many others, the largest
    // ones of columns, or those that do not come up to what there is, give or take some rounding.
    T least_of(const std::array<T, logits_at_once>& largest) const {
        return n_best() > logits_at_once ? -std::numeric_limits<T>::infinity()
                                         : largest[std::size_t(n_best()) - 1];
    }
    T least_wanted(double before) const {
        if (Index(best_.size()) < n_best()) return -std::numeric_limits<T>::infinity();
        const double wanted = best_.back().log_p - before;
        return T(wanted - 1e-6 * (1.0 + std::abs(wanted) + std::abs(before)));
    }
    static bool has_one_from(T least, const T* a, Index n) {
        bool has_one = false;
        if (n == logits_at_once)
            for (Index i = 0; i < logits_at_once; ++i) has_one |= a[i] >= least;
        else
            for (Index i = 0; i < n; ++i) has_one |= a[i] >= least;
        return has_one;
    }
    void consider(const Candidate& candidate) {
        const bool is_full = Index(best_.size()) == n_best();
        if (is_full && !(candidate.log_p > best_.back().log_p)) return;
        if (is_full) best_.pop_back();
        const auto place = std::upper_bound(
            best_.begin(), best_.end(), candidate,
            [](const Candidate& a, const Candidate& b) { return a.log_p > b.log_p; });
        best_.insert(place, candidate);
    }

    void end(const Beam& beam, Index length) {
        const double score =
            beam.log_p / std::pow((5.0 + double(length)) / 6.0, options_->length_penalty);
        if (n_ended_++ > 0 && !(score > best_score_)) return;
        best_score_ = score;
        best_node_ = beam.node;
    }

    const BeamOptions* options_;
    std::vector<Node> nodes_;
    std::vector<Beam> live_, before_;
    std::vector<Candidate> best_;
    Index length_ = 0, n_ended_ = 0;
    Index best_node_ = -1;
    double best_score_ = std::numeric_limits<double>::quiet_NaN();  // where no logit is a number
};

template <class T>
class Decoding {
public:
    // The parameters must outlive it (see Network::pack).
    Decoding(const Seq2Seq<T>& model, const T* parameters);

    const Seq2Seq<T>& model() const { return model_; }
    const Seq2SeqWeights<T>& weights() const { return weights_; }

    // The most likely tokens of each sequence, and their scores. Like the others it returns whether
    // the system granted fewer threads than were asked for.
    bool translate(const Sequences<T>& sources, const BeamOptions& options, Index n_threads,
                   const Control::Check& check, std::vector<std::vector<std::int32_t>>& tokens,
                   double* scores) const;

    // n_values of each step's outputs, which the next step reads; before the first stand zeros.
    // values: (n_sequences, n_steps, n_values). Where there is one output more, it is the logit of
    // the step being the last; lengths: how many steps each sequence has.
    bool generate(const Sequences<T>& sources, Index n_steps, Index n_values, Index n_threads,
                  const Control::Check& check, T* values, Index* lengths) const;

    // Of given outputs, unless null: the sum of log p over the steps of each sequence; outputs of
    // each step; what each step has read of each step of the source, sequence by sequence.
    bool evaluate(const Pairs<T>& pairs, Index n_threads, const Control::Check& check,
                  double* log_p, T* outputs, T* shares) const;

private:
    static constexpr Index chunk_rows = 96;

    static Index steps_of(const Sequences<T>& sequences, Index s) {
        return sequences.offsets[s + 1] - sequences.offsets[s];
    }

    // Calls function(members, control) for chunks of the sequences, on as many threads as are
    // worth it for n_steps of each.
    template <class Function>
    bool for_each_chunk(const Sequences<T>& sources, Index chunk, Index n_steps, Index n_threads,
                        const Control::Check& check, const Function& function) const {
        const Index n = sources.n_sequences;
        const Index work = sources.n_steps() * model_.source_multiply_adds() +
                           checked_multiply(n * n_steps, model_.target_multiply_adds());
        Team team(std::min(worthwhile_threads(n_threads, work), n), check);
        const Index size = std::min(chunk, (n + team.n_threads() - 1) / team.n_threads());
        team.run((n + size - 1) / size, [&](Index task, Control& control) {
            std::vector<Index> members(std::size_t(std::min(size, n - task * size)));
            std::iota(members.begin(), members.end(), task * size);
            function(members, control);
        });
        return team.is_short();
    }

    // One token more of every beam; false when all have ended.
    bool advance(Stepper<T>& stepper, std::vector<Beams<T>>& beams, Control& control) const {
        std::vector<std::int32_t> ids;
        std::vector<Index> sequence_of, offsets(1, 0);
        for (std::size_t i = 0; i < beams.size(); ++i)
            for (const auto& beam : beams[i].live()) {
                ids.push_back(beams[i].input(beam));
                sequence_of.push_back(Index(i));
                offsets.push_back(Index(ids.size()));
            }
        if (ids.empty()) return false;
        Sequences<T> inputs{nullptr, 0, offsets.data(), Index(ids.size())};
        inputs.tokens.ids = ids.data();
        const Rows<T>& outputs = stepper.step(inputs, sequence_of, control);
        std::vector<Index> chosen;
        Index row = 0;
        for (Beams<T>& some : beams) {
            const Index n_live = Index(some.live().size());
            if (n_live == 0) continue;
            const std::size_t first = chosen.size();
            some.advance(outputs, row, model_.n_outputs(), chosen);
            for (std::size_t i = first; i < chosen.size(); ++i) chosen[i] += row;
            row += n_live;
        }
        stepper.choose(chosen);
        return !chosen.empty();
    }

    void generate(Stepper<T>& stepper, const std::vector<Index>& members, Index n_steps,
                  Index n_values, Control& control, T* values, Index* lengths) const {
        std::vector<Index> sequence_of(members.size()), offsets(members.size() + 1), chosen;
        std::iota(sequence_of.begin(), sequence_of.end(), Index(0));
        std::iota(offsets.begin(), offsets.end(), Index(0));
        Array<T> before(members.size() * std::size_t(n_values));
        const bool may_stop = model_.n_outputs() > n_values;
        for (Index t = 0; t < n_steps && !sequence_of.empty(); ++t) {
            const Sequences<T> inputs{before.data(), n_values, offsets.data(),
                                      Index(sequence_of.size())};
            const Rows<T>& outputs = stepper.step(inputs, sequence_of, control);
            std::vector<Index> going_on;
            chosen.clear();
            for (std::size_t r = 0; r < sequence_of.size(); ++r) {
                const T* const row = outputs.row(Index(r));
                const Index source = members[std::size_t(sequence_of[r])];
                std::copy_n(row, n_values, values + (source * n_steps + t) * n_values);
                lengths[source] = t + 1;
                if (may_stop && row[n_values] > T(0)) continue;
                std::copy_n(row, n_values, before.data() + Index(chosen.size()) * n_values);
                chosen.push_back(Index(r));
                going_on.push_back(sequence_of[r]);
            }
            stepper.choose(chosen);
            sequence_of = std::move(going_on);
        }
    }

    void forward(const Pairs<T>& pairs, const std::vector<Index>& members, Encoded<T>& encoded,
                 Decoded<T>& decoded, Control& control) const {
        const Range all{0, Index(members.size())};
        encoded.workspace.batch.assign(members.data(), all.end, pairs.sources.offsets);
        decoded.workspace.batch.assign(members.data(), all.end, pairs.inputs.offsets);
        for (Workspace<T>* workspace : {&encoded.workspace, &decoded.workspace})
            workspace->distinct.when = TokensOnce::where_they_recur;
        model_.prepare_sources(pairs.sources, encoded);
        model_.sum_source_tokens(0, 1, weights_, encoded);
        model_.encode(pairs.sources, weights_, all, encoded, control);
        model_.prepare_bridge(pairs.sources, encoded, decoded);
        model_.cross_bridge(weights_, all, decoded);
        model_.prepare_outputs(pairs.inputs, encoded.workspace.batch.n_steps(), decoded);
        model_.sum_input_tokens(0, 1, weights_, decoded);
        model_.decode(pairs.inputs, weights_, all, encoded, decoded, control);
    }

    double log_likelihood(const Pairs<T>& pairs, const Decoded<T>& decoded, Index s) const {
        const Batch& batch = decoded.workspace.batch;
        const T* target = pairs.targets + pairs.inputs.offsets[batch.source[std::size_t(s)]];
        double sum = 0.0;
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t) {
            const T* const a = decoded.outputs.row(batch.row(t, s));
            const auto largest = largest_by_column(a, model_.n_outputs());
            sum += double(a[Index(target[t])]) -
                   log_sum_exp(a, model_.n_outputs(),
                               *std::max_element(largest.begin(), largest.end()));
        }
        return sum;
    }

    static void copy_steps(const Batch& batch, Index s, const Rows<T>& from, Index width, T* to) {
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
            to = std::copy_n(from.row(batch.row(t, s)), width, to);
    }

    const Seq2Seq<T>& model_;
    Seq2SeqWeights<T> weights_;
    mutable WorkspacePool<Stepper<T>> pool_;
};

// What the binding calls is not inline, so that it is compiled with the core, once.
template <class T>
Decoding<T>::Decoding(const Seq2Seq<T>& model, const T* parameters) : model_(model) {
    model.pack(parameters, false, weights_);
}

template <class T>
bool Decoding<T>::translate(const Sequences<T>& sources, const BeamOptions& options,
                            Index n_threads, const Control::Check& check,
                            std::vector<std::vector<std::int32_t>>& tokens, double* scores) const {
    tokens.resize(std::size_t(sources.n_sequences));
    const Index chunk = std::max<Index>(1, chunk_rows / options.beam_width);
    const Index n_steps = std::min(options.max_length, Index(1) << 20);
    return for_each_chunk(sources, chunk, n_steps * options.beam_width, n_threads, check,
                          [&](const std::vector<Index>& members, Control& control) {
                              auto stepper = pool_.take(model_, weights_);
                              stepper->begin(sources, members.data(), Index(members.size()),
                                             control);
                              std::vector<Beams<T>> beams(members.size(), Beams<T>(options));
                              while (advance(*stepper, beams, control)) {
                              }
                              pool_.give_back(std::move(stepper));
                              for (std::size_t i = 0; i < members.size(); ++i) {
                                  tokens[std::size_t(members[i])] = beams[i].tokens();
                                  scores[members[i]] = beams[i].score();
                              }
                          });
}

template <class T>
bool Decoding<T>::generate(const Sequences<T>& sources, Index n_steps, Index n_values,
                           Index n_threads, const Control::Check& check, T* values,
                           Index* lengths) const {
    return for_each_chunk(
        sources, chunk_rows, n_steps, n_threads, check,
        [&](const std::vector<Index>& members, Control& control) {
            auto stepper = pool_.take(model_, weights_);
            stepper->begin(sources, members.data(), Index(members.size()), control);
            generate(*stepper, members, n_steps, n_values, control, values, lengths);
            pool_.give_back(std::move(stepper));
        });
}

template <class T>
bool Decoding<T>::evaluate(const Pairs<T>& pairs, Index n_threads, const Control::Check& check,
                           double* log_p, T* outputs, T* shares) const {
    std::vector<Index> first_share(1, 0);
    for (Index s = 0; s < pairs.sources.n_sequences; ++s)
        first_share.push_back(first_share.back() +
                              steps_of(pairs.sources, s) * steps_of(pairs.inputs, s));
    const Index n_sequences = std::max<Index>(pairs.sources.n_sequences, 1);
    return for_each_chunk(
        pairs.sources, chunk_rows, pairs.inputs.n_steps() / n_sequences + 1, n_threads, check,
        [&](const std::vector<Index>& members, Control& control) {
            Encoded<T> encoded;
            Decoded<T> decoded;
            forward(pairs, members, encoded, decoded, control);
            const Batch& batch = decoded.workspace.batch;
            for (Index s = 0; s < batch.n_sequences(); ++s) {
                const Index source = batch.source[std::size_t(s)];
                if (log_p != nullptr) log_p[source] = log_likelihood(pairs, decoded, s);
                if (outputs != nullptr)
                    copy_steps(batch, s, decoded.outputs.rows(), model_.n_outputs(),
                               outputs + pairs.inputs.offsets[source] * model_.n_outputs());
                if (shares != nullptr)
                    copy_steps(batch, s, decoded.shares.rows(), steps_of(pairs.sources, source),
                               shares + first_share[std::size_t(source)]);
            }
        });
}

}  // namespace elman
