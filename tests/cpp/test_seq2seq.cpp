// The encoder-decoder without Python, for the sanitizers: gradients against central differences,
// and bits of training and of answers against threads.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "elman/core.hpp"

using namespace elman;

namespace {

constexpr Index n_classes = 5;

// Sources and outputs of n pairs, of numbers or tokens.
struct PairProblem {
    std::vector<Index> offsets{0}, input_offsets{0};
    std::vector<double> values, inputs, targets, weights;
    std::vector<std::int32_t> source_ids, input_ids;
    bool has_tokens;

    PairProblem(Index n, Index longest, bool tokens) : has_tokens(tokens) {
        for (Index i = 0; i < n; ++i) {
            offsets.push_back(offsets.back() + 1 + i * 5 % longest);
            input_offsets.push_back(input_offsets.back() + 1 + i * 3 % longest);
            weights.push_back(random_uniform(7, std::uint64_t(i)));
        }
        fill(values, offsets.back() * 2, 1);
        fill(inputs, input_offsets.back() * 2, 2);
        fill(targets, input_offsets.back() * 3, 3);
        fill(source_ids, offsets.back(), 4);
        fill(input_ids, input_offsets.back(), 5);
        for (double& target : targets)
            if (has_tokens)
                target = std::floor(std::abs(target) * 100.0) -
                         n_classes * std::floor(std::floor(std::abs(target) * 100.0) / n_classes);
    }

    Pairs<double> pairs() const {
        Pairs<double> all{sequences(values, offsets, source_ids),
                          sequences(inputs, input_offsets, input_ids)};
        all.targets = targets.data();
        all.n_targets = has_tokens ? 1 : 3;
        all.weights = weights.data();
        return all;
    }

private:
    static void fill(std::vector<double>& to, Index n, std::uint64_t key) {
        for (Index i = 0; i < n; ++i) to.push_back(random_normal(key, std::uint64_t(i)));
    }
    static void fill(std::vector<std::int32_t>& to, Index n, std::uint64_t key) {
        for (Index i = 0; i < n; ++i)
            to.push_back(std::int32_t(random_uniform(key, std::uint64_t(i)) * n_classes));
    }
    Sequences<double> sequences(const std::vector<double>& rows, const std::vector<Index>& ends,
                                const std::vector<std::int32_t>& ids) const {
        Sequences<double> result{rows.data(), 2, ends.data(), Index(ends.size()) - 1};
        if (has_tokens) result.tokens.ids = ids.data();
        return result;
    }
};

Seq2Seq<double> make_model(const CellOptions& cell, const std::string& attention, bool tokens,
                           std::vector<Index> sizes) {
    const Index n_tokens = tokens ? n_classes : 0;
    Seq2SeqOptions options;
    options.encoder =
        NetworkOptions{cell, sizes, {false, attention != "dot"}, 2, 1, false, n_tokens};
    options.decoder = NetworkOptions{cell, sizes, {false, false}, 2, 1, false, n_tokens};
    options.attention = attention;
    options.n_outputs = tokens ? n_classes : 3;
    return Seq2Seq<double>(options);
}

Array<double> initial_weights(const Seq2Seq<double>& model) {
    Team alone(1, {});
    Array<double> weights(std::size_t(model.n_parameters()));
    model.initialize(3, weights.data(), alone.control());
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += 0.2 * random_normal(6, i);
    return weights;
}

Seq2SeqTrainerOptions trainer_options(bool tokens) {
    Seq2SeqTrainerOptions options;
    options.loss = tokens ? "multiclass" : "squared";
    options.dropout = 0.3;
    options.recurrent_dropout = options.embedding_dropout = 0.2;
    return options;
}

void test_gradients(const CellOptions& cell, const std::string& attention, bool tokens) {
    const Seq2Seq<double> model = make_model(cell, attention, tokens, {3, 4});
    const PairProblem problem(4, 4, tokens);
    const Array<double> weights = initial_weights(model);
    const auto trainer_at = [&](const Array<double>& at) {
        return Seq2SeqTrainer<double>(model, at.data(), trainer_options(tokens));
    };
    Seq2SeqTrainer<double> trainer = trainer_at(weights);
    trainer.loss_and_gradient(problem.pairs(), {});
    CHECK(test::gradient_error(weights, trainer.updates().gradient(), [&](const auto& at) {
              return trainer_at(at).loss_and_gradient(problem.pairs(), {});
          }) < 1e-7);
}

void test_threads(const std::string& attention, bool tokens) {
    const Seq2Seq<double> model = make_model({"lstm", "tanh", true}, attention, tokens, {20, 20});
    const PairProblem problem(70, 13, tokens);
    const Array<double> start = initial_weights(model);
    std::vector<Index> order(70);
    std::iota(order.begin(), order.end(), Index(0));
    Array<double> expected;
    std::vector<std::vector<std::int32_t>> answers, expected_answers;
    for (const Index n_threads : {1, 2, 3}) {
        Seq2SeqTrainerOptions options = trainer_options(tokens);
        options.teacher_forcing = 0.6;
        options.n_threads = n_threads;
        Seq2SeqTrainer<double> trainer(model, start.data(), options);
        for (int epoch = 0; epoch < 2; ++epoch)
            trainer.epoch(problem.pairs(), order.data(), 70, 30, {});
        const Array<double>& weights = trainer.updates().parameters();
        const Decoding<double> decoding(model, weights.data());
        std::vector<double> scores(70), values(70 * 9 * 2);
        std::vector<Index> lengths(70);
        const Sequences<double> sources = problem.pairs().sources;
        if (tokens)
            decoding.translate(sources, {n_classes - 1, 9, 3, 0.5}, n_threads, {}, answers,
                               scores.data());
        else
            decoding.generate(sources, 9, 2, n_threads, {}, values.data(), lengths.data());
        if (n_threads == 1) expected = weights;
        if (n_threads == 1) expected_answers = answers;
        CHECK(std::memcmp(expected.data(), weights.data(), weights.size() * sizeof(double)) == 0);
        CHECK(answers == expected_answers);
    }
}

}  // namespace

int main() {
    for (const char* attention : {"none", "dot", "general", "additive"}) {
        for (const bool tokens : {false, true}) {
            for (const char* cell : {"simple", "gru", "lstm"})
                test_gradients({cell, "tanh", true}, attention, tokens);
            test_threads(attention, tokens);
        }
    }
    return test::report();
}
