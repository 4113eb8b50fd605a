// Networks side by side against each of them alone: parameters, moments, losses and outputs to the
// bit, whatever the width of a register is here. A network more than fills one, so that lanes stay
// empty; sequences differ in number and length. Those that are drawn are drawn more or less often,
// and are corrections of a mixture of candidates.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "elman/fleet.hpp"

using namespace elman;

namespace {

constexpr Index n_epochs = 3;

struct Case {
    const char *cell, *activation;
    bool reset_after;
    std::vector<Index> sizes;
    const char* loss;
    bool per_step;
    bool is_regular;
    Index n_regular = 12;  // sequences of a network, where all are of one length
};

template <class T>
struct Problem {
    std::vector<T> values, targets;
    std::vector<Index> offsets{0}, first_sequence{0};
    std::vector<std::int32_t> numbers;
    std::vector<Index> first, stride;
};

template <class T>
Problem<T> make_problem(const Case& of, Index n_networks, Index n_channels) {
    Problem<T> problem;
    for (Index i = 0; i < n_networks; ++i) {
        const Index n = of.is_regular ? of.n_regular : 1 + i % 9;
        problem.first.push_back(Index(problem.numbers.size()));
        problem.stride.push_back(n);
        for (Index e = 0; e < n_epochs; ++e)
            for (Index k = 0; k < n; ++k)
                problem.numbers.push_back(std::int32_t((k * (e % 2 == 0 ? 1 : n - 1) + e) % n));
        for (Index k = 0; k < n; ++k)
            problem.offsets.push_back(problem.offsets.back() + 1 +
                                      (of.is_regular ? 4 + i % 3 : (3 * i + 5 * k) % 11));
        problem.first_sequence.push_back(Index(problem.offsets.size()) - 1);
    }
    const Index rows = of.per_step ? problem.offsets.back() : Index(problem.offsets.size()) - 1;
    for (Index k = 0; k < problem.offsets.back() * n_channels; ++k)
        problem.values.push_back(T(random_normal(1, std::uint64_t(k))));
    for (Index k = 0; k < rows; ++k)
        problem.targets.push_back(of.loss == std::string("multiclass")
                                      ? T(k % 3)
                                      : T(random_uniform(2, std::uint64_t(k))));
    return problem;
}

NetworkOptions network_options(const Case& of, Index n_channels) {
    NetworkOptions options;
    options.cell = {of.cell, of.activation, of.reset_after};
    options.hidden_layer_sizes = of.sizes;
    options.bidirectional.assign(of.sizes.size(), false);
    options.n_channels = n_channels;
    const std::string loss = of.loss;
    options.n_outputs = loss == "multiclass" ? 3 : loss == "gaussian" ? 2 : 1;
    options.head = true;
    return options;
}

fleet::TrainingOptions training_options(const Case& of) {
    fleet::TrainingOptions options;
    options.loss = of.loss;
    options.alpha = 0.1;
    options.clip_norm = 0.5;
    options.learning_rate = 0.01;
    options.batch_size = of.is_regular ? of.n_regular * 3 / 4 : 200;
    options.max_iter = n_epochs;
    options.patience = double(n_epochs);
    options.n_threads = 2;
    return options;
}

template <class T>
bool same(const T* a, const T* b, Index n) {
    return std::memcmp(a, b, std::size_t(n) * sizeof(T)) == 0;
}

// Where trainings stand, each before its first epoch.
template <class T>
struct Standing {
    std::vector<T> parameters, moments;
    std::vector<double> rate, best, norm, losses;
    std::vector<Index> n_iter, stale, diverged;
    std::unique_ptr<bool[]> is_over;

    Standing(std::vector<T> start, Index n, Index max_iter, double learning_rate)
        : parameters(std::move(start)),
          moments(2 * parameters.size()),
          rate(std::size_t(n), learning_rate),
          best(std::size_t(n), 1e300),
          norm(static_cast<std::size_t>(n)),
          losses(std::size_t(n * max_iter)),
          n_iter(static_cast<std::size_t>(n)),
          stale(static_cast<std::size_t>(n)),
          diverged(std::size_t(n), -1),
          is_over(new bool[std::size_t(n)]()) {}

    fleet::Progress<T> progress() {
        return {parameters.data(), moments.data(), rate.data(),     best.data(), n_iter.data(),
                stale.data(),      is_over.get(),  diverged.data(), norm.data(), losses.data()};
    }
};

template <class T>
std::vector<T> starts(const Network<T>& network, Index n) {
    std::vector<T> parameters(std::size_t(n * network.n_parameters()));
    Team team(1, {});
    for (Index i = 0; i < n; ++i)
        network.initialize(std::uint64_t(i), parameters.data() + i * network.n_parameters(),
                           team.control());
    return parameters;
}

template <class T>
void test_case(const Case& of) {
    const Index n = fleet::n_lanes<T> + 1, n_channels = 2;
    const Network<T> network(network_options(of, n_channels));
    const Problem<T> problem = make_problem<T>(of, n, n_channels);
    const fleet::TrainingOptions options = training_options(of);
    const Index size = network.n_parameters();
    const std::vector<T> start = starts(network, n);
    Standing<T> standing(start, n, n_epochs, options.learning_rate);
    const std::vector<T>&parameters = standing.parameters, &moments = standing.moments;
    const std::vector<double>& losses = standing.losses;
    const Sequences<T> sequences{problem.values.data(), n_channels, problem.offsets.data(),
                                 Index(problem.offsets.size()) - 1};
    const Examples<T> examples{sequences, problem.targets.data(), 1, nullptr, of.per_step};
    fleet::train(network, options,
                 {examples, problem.first_sequence.data(), n, problem.numbers.data(),
                  problem.first.data(), problem.stride.data(), true},
                 standing.progress(), {});
    const Index n_rows = of.per_step ? problem.offsets.back() : sequences.n_sequences;
    const Index n_outputs = network.options().n_outputs;
    std::vector<T> outputs(std::size_t(n_rows * n_outputs));
    fleet::predict(network, parameters.data(),
                   {sequences, problem.first_sequence.data(), n, of.per_step}, 2, {},
                   outputs.data());
    for (Index i = 0; i < n; ++i) {
        Trainer<T> alone(network, start.data() + i * size, options);
        const Index first = problem.first_sequence[std::size_t(i)];
        const Index n_own = problem.first_sequence[std::size_t(i) + 1] - first;
        for (Index e = 0; e < n_epochs; ++e) {
            std::vector<Index> order;
            for (Index k = 0; k < n_own; ++k)
                order.push_back(
                    first +
                    problem.numbers[std::size_t(problem.first[std::size_t(i)] + e * n_own + k)]);
            const double loss = alone.epoch(examples, order.data(), n_own, options.batch_size, {});
            CHECK(loss == losses[std::size_t(i * n_epochs + e)]);
        }
        CHECK(same(alone.updates().parameters().data(), parameters.data() + i * size, size));
        CHECK(same(alone.updates().moments().data(), moments.data() + 2 * i * size, 2 * size));
        std::vector<T> expected(outputs.size());
        Predictor<T>(network, parameters.data() + i * size)
            .predict(sequences, of.per_step, nullptr, 1, {}, expected.data(), nullptr);
        const auto row = [&](Index s) {
            return (of.per_step ? problem.offsets[std::size_t(s)] : s) * n_outputs;
        };
        CHECK(same(expected.data() + row(first), outputs.data() + row(first),
                   row(first + n_own) - row(first)));
    }
}

// Sequences of each network, drawn for two to eight mini-batches of four in epochs of three.
template <class T>
void test_drawn(const char* loss, bool per_step) {
    constexpr Index size = 4, stride = 3 * size, n_targets = 3, n_candidates = 2;
    const Index n = fleet::n_lanes<T> + 1, n_columns = n_targets * (1 + n_candidates);
    Case of{"gru", "tanh", true, {4}, loss, per_step, true};
    NetworkOptions shape = network_options(of, 2);
    shape.n_outputs = n_targets + n_candidates;
    const Network<T> network(shape);
    Problem<T> problem = make_problem<T>(of, n, 2);
    const Index n_sequences = Index(problem.offsets.size()) - 1;
    const Index rows = per_step ? problem.offsets.back() : n_sequences;
    std::vector<T> targets, weights;
    for (Index k = 0; k < rows * n_columns; ++k)
        targets.push_back(T(random_normal(3, std::uint64_t(k))));
    for (Index k = 0; k < rows; ++k) weights.push_back(T(k % 5) / T(4));
    problem.numbers.clear();
    std::vector<Index> n_drawn, warmup_steps, total_steps;
    for (Index i = 0; i < n; ++i) {
        problem.first[std::size_t(i)] = Index(problem.numbers.size());
        problem.stride[std::size_t(i)] = stride;
        total_steps.push_back(2 + 5 * i % 7);
        warmup_steps.push_back(i % 2);
        n_drawn.push_back(total_steps.back() * size);
        for (Index k = 0; k < n_drawn.back(); ++k)
            problem.numbers.push_back(std::int32_t((7 * k * k + 3 * i) % 12));
    }
    fleet::TrainingOptions options = training_options(of);
    options.batch_size = size;
    options.patience = std::numeric_limits<double>::infinity();
    options.solver.name = "adamw";
    options.schedule.name = "cosine";
    options.n_candidates = n_candidates;
    options.sharpness = 2.0;
    const Sequences<T> sequences{problem.values.data(), 2, problem.offsets.data(), n_sequences};
    const Examples<T> examples{sequences, targets.data(), n_columns, weights.data(), per_step};
    const std::vector<T> start = starts(network, n);
    Standing<T> standing(start, n, n_epochs, options.learning_rate);
    fleet::train(
        network, options,
        {examples, problem.first_sequence.data(), n, problem.numbers.data(), problem.first.data(),
         problem.stride.data(), true, n_drawn.data(), warmup_steps.data(), total_steps.data()},
        standing.progress(), {});
    const Index n_parameters = network.n_parameters();
    for (Index i = 0; i < n; ++i) {
        const std::size_t at = std::size_t(i);
        fleet::TrainingOptions own = options;
        own.schedule.warmup_steps = warmup_steps[at];
        own.schedule.total_steps = total_steps[at];
        Trainer<T> alone(network, start.data() + i * n_parameters, own);
        for (Index begin = 0, e = 0; begin < n_drawn[at]; begin += stride, ++e) {
            std::vector<Index> order;
            for (Index k = begin; k < std::min(begin + stride, n_drawn[at]); ++k)
                order.push_back(problem.first_sequence[at] +
                                problem.numbers[std::size_t(problem.first[at] + k)]);
            const double mean = alone.epoch(examples, order.data(), Index(order.size()), size, {});
            CHECK(mean == standing.losses[std::size_t(i * n_epochs + e)]);
        }
        CHECK(standing.is_over[at]);
        CHECK(same(alone.updates().parameters().data(),
                   standing.parameters.data() + i * n_parameters, n_parameters));
        CHECK(same(alone.updates().moments().data(), standing.moments.data() + 2 * i * n_parameters,
                   2 * n_parameters));
    }
}

}  // namespace

int main() {
    const std::vector<Case> cases{
        {"simple", "tanh", true, {3}, "squared", false, true},
        {"simple", "relu", true, {17, 5}, "absolute", true, false},
        {"simple", "identity", true, {2, 2}, "huber", true, true},
        {"gru", "tanh", true, {8}, "squared", true, false},
        {"gru", "tanh", true, {2}, "gaussian", false, true},
        {"gru", "tanh", false, {5, 4}, "poisson", false, false},
        {"lstm", "tanh", true, {9}, "multiclass", true, true},
        {"lstm", "tanh", true, {2, 6}, "binary", false, true},
        {"min_gru", "tanh", true, {4}, "quantile", true, true},
        {"min_lstm", "tanh", true, {6, 3}, "squared", false, false},
        {"simple", "tanh", true, {20}, "squared", true, true, 64},
        {"gru", "tanh", true, {9, 5}, "squared", false, true, 64},
        {"lstm", "tanh", true, {5, 20}, "squared", true, true, 64},
    };
    for (const Case& of : cases) {
        test_case<float>(of);
        test_case<double>(of);
    }
    for (const bool per_step : {true, false}) {
        test_drawn<float>("absolute", per_step);
        test_drawn<double>("squared", per_step);
    }
    return elman::test::report();
}
