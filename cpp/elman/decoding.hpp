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

#include <cmath>

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

// log sum_j exp(a_j).
template <class T>
double log_sum_exp(const T* a, Index n) {
    T largest = a[0];
    for (Index j = 1; j < n; ++j) largest = std::max(largest, a[j]);
    T lanes[Vec<T>::width];
    double sum = 0.0;
    for (Index j = 0; j < n; j += Vec<T>::width) {
        exp(Vec<T>::load(a + j) - Vec<T>(largest)).store(lanes);
        for (Index lane = 0; lane < std::min<Index>(Vec<T>::width, n - j); ++lane)
            sum += double(lanes[lane]);
    }
    return double(largest) + std::log(sum);
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
        const std::vector<Beam> before = std::move(live_);
        live_.clear();
        ++length_;
        for (std::size_t i = 0; i < best_.size(); ++i) {
            const Candidate& candidate = best_[i];
            if (Index(live_.size()) == options_->beam_width) break;
            const Index previous = before[std::size_t(candidate.beam)].node;
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
        const std::size_t n_best = 2 * std::size_t(options_->beam_width);
        best_.clear();
        for (std::size_t b = 0; b < live_.size(); ++b) {
            const T* const a = outputs.row(first_row + Index(b));
            const double before = live_[b].log_p - log_sum_exp(a, n_outputs);
            for (Index token = 0; token < n_outputs; ++token) {
                const double log_p = before + double(a[token]);
                if (best_.size() == n_best && !(log_p > best_.back().log_p)) continue;
                if (best_.size() == n_best) best_.pop_back();
                const auto place = std::upper_bound(
                    best_.begin(), best_.end(), log_p,
                    [](double value, const Candidate& other) { return value > other.log_p; });
                best_.insert(place, {log_p, Index(b), std::int32_t(token)});
            }
        }
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
    std::vector<Beam> live_;
    std::vector<Candidate> best_;
    Index length_ = 0, n_ended_ = 0;
    Index best_node_ = -1;
    double best_score_ = 0.0;
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
        model_.prepare_sources(pairs.sources, encoded);
        model_.encode(pairs.sources, weights_, all, encoded, control);
        model_.prepare_bridge(pairs.sources, encoded, decoded);
        model_.cross_bridge(weights_, all, decoded);
        model_.prepare_outputs(pairs.inputs, encoded.workspace.batch.n_steps(), decoded);
        model_.decode(pairs.inputs, weights_, all, encoded, decoded, control);
    }

    double log_likelihood(const Pairs<T>& pairs, const Decoded<T>& decoded, Index s) const {
        const Batch& batch = decoded.workspace.batch;
        const T* target = pairs.targets + pairs.inputs.offsets[batch.source[std::size_t(s)]];
        double sum = 0.0;
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t) {
            const T* const a = decoded.outputs.row(batch.row(t, s));
            sum += double(a[Index(target[t])]) - log_sum_exp(a, model_.n_outputs());
        }
        return sum;
    }

    static void copy_steps(const Batch& batch, Index s, const Rows<T>& from, Index width, T* to) {
        for (Index t = 0; t < batch.length[std::size_t(s)]; ++t)
            to = std::copy_n(from.row(batch.row(t, s)), width, to);
    }

    const Seq2Seq<T>& model_;
    Seq2SeqWeights<T> weights_;
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
                              Stepper<T> stepper(model_, weights_);
                              stepper.begin(sources, members.data(), Index(members.size()),
                                            control);
                              std::vector<Beams<T>> beams(members.size(), Beams<T>(options));
                              while (advance(stepper, beams, control)) {
                              }
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
            Stepper<T> stepper(model_, weights_);
            stepper.begin(sources, members.data(), Index(members.size()), control);
            generate(stepper, members, n_steps, n_values, control, values, lengths);
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
