// The core without Python, for the sanitizers and for other architectures: functions against libm,
// products against plain loops, gradients against central differences, and bits against threads.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "elman/core.hpp"

using namespace elman;

namespace {

template <class T, class Wide>
double units_in_last_place(T got, Wide expected) {
    const T rounded = T(expected);
    const double unit = std::abs(double(std::nextafter(std::abs(rounded), T(HUGE_VAL))) -
                                 double(std::abs(rounded)));
    return std::abs(double(Wide(got) - expected)) / unit;
}

// Wide is the type of what is expected, which some processors have in software alone.
template <class T, class Wide>
void test_functions(Index n_points) {
    const double limit = sizeof(T) == 4 ? 80.0 : 700.0;
    double worst_exp = 0, worst_tanh = 0, worst_sigmoid = 0;
    for (Index i = 0; i < n_points; ++i) {
        const T x = T(limit * (2.0 * random_uniform(1, std::uint64_t(i)) - 1.0));
        const T small = T(double(x) / limit * 12.0);
        worst_exp =
            std::max(worst_exp, units_in_last_place(exp(Vec<T>(x)).first(), std::exp(Wide(x))));
        worst_tanh = std::max(
            worst_tanh, units_in_last_place(tanh(Vec<T>(small)).first(), std::tanh(Wide(small))));
        worst_sigmoid = std::max(
            worst_sigmoid,
            units_in_last_place(sigmoid(Vec<T>(small)).first(), 1 / (1 + std::exp(-Wide(small)))));
    }
    CHECK(worst_exp <= 2.0);
    CHECK(worst_tanh <= 4.0);
    CHECK(worst_sigmoid <= 3.0);
    const T nan = std::numeric_limits<T>::quiet_NaN();
    CHECK(std::isnan(exp(Vec<T>(nan)).first()));
    CHECK(std::isnan(tanh(Vec<T>(nan)).first()));
    CHECK(std::isnan(sigmoid(Vec<T>(nan)).first()));
}

// L(x, a) and its slope against sums of logarithms, and L(1, a) against log Gamma.
void test_gamma_ratio() {
    double worst = 0, worst_slope = 0;
    for (const int a : {0, 1, 2, 7, 40, 1000}) {
        for (double x = 1e-12; x < 1e20; x *= 1.7) {
            long double log = 0, slope = 0;
            for (int i = 1; i < a; ++i) {
                log += std::log1p((long double)(i) / x);
                slope -= i / (x * ((long double)(x) + i));
            }
            // A factor x of Gamma's own stands against x^a.
            const GammaRatio got = gamma_ratio(x, double(a));
            worst = std::max(worst, double(std::abs(got.log - log) / (1 + a + std::abs(log))));
            worst_slope = std::max(worst_slope, double(std::abs(got.slope - slope) * x / (1 + a)));
        }
    }
    for (double a = 1e-3; a < 1e6; a *= 1.3) {
        const long double log = std::lgamma(1.0L + a);
        worst = std::max(worst,
                         double(std::abs(gamma_ratio(1.0, a).log - log) / (1 + a + std::abs(log))));
    }
    CHECK(worst <= 3e-15);
    CHECK(worst_slope <= 3e-15);
}

// A mixture's gradient against central differences; targets that are not known add nothing to it.
void test_mixture() {
    constexpr Index n_targets = 5, n_candidates = 11, n_groups = 3, n_rows = 4;
    const Mixture<double> mixture({n_targets, 2, 2 * n_targets, n_candidates, n_groups, 1.3});
    const Loss<double> loss("quantile", {0.2, 0.7});
    const Index width = mixture.n_outputs() + mixture.n_scores();
    for (std::uint64_t row = 0; row < n_rows; ++row) {
        Array<double> a(static_cast<std::size_t>(width)), gradient(a.size());
        std::vector<double> y(n_targets + std::size_t(mixture.n_values()));
        for (std::size_t i = 0; i < a.size(); ++i) a[i] = random_normal(10 + row, i);
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = random_normal(20 + row, i);
        for (std::size_t j = 0; j < n_targets; ++j)
            if (j < row || row + 1 == n_rows) y[j] = std::numeric_limits<double>::quiet_NaN();
        const auto value = [&](Array<double> at, double* da) {
            mixture.forward(at.data(), y.data() + n_targets);
            const double l = loss.row(at.data(), y.data(), mixture.n_outputs(), 1.0, da);
            mixture.backward(at.data(), y.data() + n_targets, da);
            return l;
        };
        value(a, gradient.data());
        Array<double> unused(a.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            constexpr double step = 1e-6;
            Array<double> up = a, down = a;
            up[i] += step;
            down[i] -= step;
            const double slope =
                (value(up, unused.data()) - value(down, unused.data())) / (2 * step);
            CHECK(std::abs(slope - gradient[i]) < 1e-8);
        }
    }
}

// C = start + A B for every number of rows, depths beyond a slice, and all remainders of columns.
template <class T>
void test_products() {
    for (const Index n_rows : {1, 2, 3, 5, 6, 7, 12, 13, 25}) {
        for (const Index n_columns : {1, 7, 8, 16, 17, 40}) {
            for (const Index depth : {1, 3, 300}) {
                const Index stride = padded_stride<T>(n_columns);
                Array<T> a(std::size_t(n_rows * depth)), b(std::size_t(depth * n_columns));
                for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(random_uniform(2, i) - 0.5);
                for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(random_uniform(3, i) - 0.5);
                Array<T> panels(std::size_t(depth * packed_columns<T>(n_columns)));
                T* panel = panels.data();
                for (Index column = 0; column < n_columns; column += panel_width<T>)
                    panel = pack_panel(b.data() + column, n_columns, 1, depth,
                                       std::min(panel_width<T>, n_columns - column),
                                       panel_vectors<T>(column, n_columns), panel);
                Array<T> c(std::size_t(n_rows * stride), T(1));
                const Term<T> terms[2] = {{a.data(), depth, 1, depth / 2},
                                          {a.data() + depth / 2, depth, 1, depth - depth / 2}};
                const Block<T> out{c.data(), stride, panel_width<T>};
                multiply_all<T>({terms, 2}, n_rows, n_columns, panels.data(),
                                {c.data(), stride, panel_width<T>}, out);
                bool equal = true;
                for (Index r = 0; r < n_rows; ++r) {
                    for (Index j = 0; j < n_columns; ++j) {
                        double expected = 1.0;
                        for (Index k = 0; k < depth; ++k)
                            expected += double(a[std::size_t(r * depth + k)]) *
                                        double(b[std::size_t(k * n_columns + j)]);
                        equal = equal && std::abs(double(c[std::size_t(r * stride + j)]) -
                                                  expected) < (sizeof(T) == 4 ? 1e-4 : 1e-12);
                    }
                }
                CHECK(equal);
            }
        }
    }
}

struct Problem {
    std::vector<Index> offsets{0};
    std::vector<double> values, targets, weights;
    bool per_step;

    Problem(const std::vector<Index>& lengths, Index n_channels, Index n_targets, bool steps)
        : per_step(steps) {
        for (const Index length : lengths) offsets.push_back(offsets.back() + length);
        values.resize(std::size_t(offsets.back() * n_channels));
        const std::size_t rows = steps ? std::size_t(offsets.back()) : lengths.size();
        targets.resize(rows * std::size_t(n_targets));
        weights.resize(rows);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = random_normal(4, i);
        for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = random_normal(5, i);
        for (std::size_t i = 0; i < rows; ++i) weights[i] = random_uniform(6, i);
    }
    Examples<double> examples(Index n_channels, Index n_targets) const {
        return {{values.data(), n_channels, offsets.data(), Index(offsets.size()) - 1},
                targets.data(),
                n_targets,
                weights.data(),
                per_step};
    }
};

const std::vector<CellOptions> cells = {{"simple", "tanh", true},     {"simple", "relu", true},
                                        {"simple", "identity", true}, {"gru", "tanh", true},
                                        {"gru", "tanh", false},       {"lstm", "tanh", true}};

// Layers of few units on sequences of one length go another way than others.
struct Shape {
    std::vector<Index> hidden_layer_sizes, lengths;
};
const std::vector<Shape> shapes = {{{9, 18}, {5, 1, 7, 3, 7}}, {{2, 4}, std::vector<Index>(9, 6)}};

void test_gradients(const CellOptions& cell, const Shape& shape, bool bidirectional, bool per_step,
                    double dropout) {
    Team alone(1, {});
    const Network<double> network(
        {cell, shape.hidden_layer_sizes, {bidirectional, bidirectional}, 2, 3, true});
    const Problem problem(shape.lengths, 2, 3, per_step);
    const Examples<double> examples = problem.examples(2, 3);
    Array<double> weights(std::size_t(network.n_parameters()));
    network.initialize(7, weights.data(), alone.control());
    // Without biases a relu whose inputs are all off stands on its kink.
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += 0.1 * random_normal(7, i);
    TrainerOptions options;
    options.loss = "squared";
    options.alpha = 0.1;
    options.dropout = dropout;
    options.recurrent_dropout = dropout;
    const auto trainer_at = [&](const Array<double>& at) {
        return Trainer<double>(network, at.data(), options);
    };
    Trainer<double> trainer = trainer_at(weights);
    trainer.loss_and_gradient(examples, {});
    CHECK(test::gradient_error(weights, trainer.updates().gradient(), [&](const auto& at) {
              return trainer_at(at).loss_and_gradient(examples, {});
          }) < 1e-7);
}

void test_threads(const CellOptions& cell) {
    Team alone(1, {});
    const Network<double> network({cell, {33, 20}, {false, true}, 2, 1, true});
    std::vector<Index> lengths;
    for (Index i = 0; i < 32; ++i) lengths.push_back(1 + i * 7 % 40);
    const Problem problem(lengths, 2, 1, false);
    const Examples<double> examples = problem.examples(2, 1);
    Array<double> start(std::size_t(network.n_parameters()));
    network.initialize(8, start.data(), alone.control());
    std::vector<Index> order(lengths.size());
    std::iota(order.begin(), order.end(), Index(0));
    Array<double> expected;
    for (const Index n_threads : {1, 2, 3, 8}) {
        TrainerOptions options;
        options.loss = "squared";
        options.clip_norm = 0.5;
        options.recurrent_dropout = 0.2;
        options.n_threads = n_threads;
        Trainer<double> trainer(network, start.data(), options);
        for (int epoch = 0; epoch < 2; ++epoch)
            trainer.epoch(examples, order.data(), Index(order.size()), 16, {});
        if (n_threads == 1) expected = trainer.updates().parameters();
        CHECK(std::memcmp(expected.data(), trainer.updates().parameters().data(),
                          expected.size() * sizeof(double)) == 0);
    }
}

// The bits of a mini-batch with and without checkpoints, and of prediction in segments.
void test_segments(const CellOptions& cell, const Shape& shape) {
    Team alone(1, {});
    const Network<double> network({cell, shape.hidden_layer_sizes, {false, false}, 2, 1, true});
    std::vector<Index> lengths = shape.lengths;
    for (Index& length : lengths) length *= 100;
    const Problem problem(lengths, 2, 1, true);
    const Examples<double> examples = problem.examples(2, 1);
    Array<double> weights(std::size_t(network.n_parameters()));
    network.initialize(8, weights.data(), alone.control());
    for (double& weight : weights) weight *= 0.3;
    Array<double> expected;
    for (const bool checkpoint : {false, true}) {
        TrainerOptions options;
        options.loss = "squared";
        options.n_threads = 2;
        options.checkpoint = checkpoint;
        Trainer<double> trainer(network, weights.data(), options);
        trainer.loss_and_gradient(examples, {});
        const double* const gradient = trainer.updates().gradient().data();
        if (!checkpoint) expected = trainer.updates().gradient();
        CHECK(std::memcmp(expected.data(), gradient, expected.size() * sizeof(double)) == 0);
    }
    const Predictor<double> predictor(network, weights.data());
    std::vector<double> together(std::size_t(problem.offsets.back())), alone_outputs(together);
    predictor.predict(examples.sequences, true, nullptr, 2, {}, together.data(), nullptr);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const Index first = problem.offsets[i], offsets[] = {0, lengths[i]};
        predictor.predict({problem.values.data() + 2 * first, 2, offsets, 1}, true, nullptr, 1, {},
                          alone_outputs.data() + first, nullptr);
    }
    CHECK(std::memcmp(together.data(), alone_outputs.data(), together.size() * sizeof(double)) ==
          0);
}

// What may stand around the layers: tokens, features, missing values, merged directions.
struct Variant {
    Index n_tokens, features;  // at most so many a step; 0 is just one token
    const char* merge_mode;
    bool residual;
    const char* missing;
    bool bidirectional;
    bool layer_norm = false;
    Index input_layer = 0, head_layer = 0;
    bool head_inputs = false;
};
const std::vector<Variant> variants = {{50, 0, "concat", false, "none", true},
                                       {50, 3, "sum", true, "none", true},
                                       {0, 0, "mul", true, "mask", true},
                                       {0, 0, "concat", true, "mask", false},
                                       {0, 0, "concat", true, "decay", false},
                                       {50, 0, "concat", true, "none", false},
                                       {50, 0, "concat", false, "none", false, true},
                                       {0, 0, "concat", false, "mask", false, true},
                                       {0, 0, "concat", false, "decay", false, false, 7, 0, true},
                                       {0, 0, "concat", false, "mask", false, false, 9, 18, true},
                                       {50, 0, "concat", false, "none", true, false, 7, 18, true}};

// The bits of training do not depend on threads or checkpoints; nothing is read that is not there.
void test_variant(const CellOptions& cell, const Variant& variant) {
    Team alone(1, {});
    NetworkOptions shape{cell, {18, 18}, {variant.bidirectional, variant.bidirectional},
                         5,    1,        true};
    shape.n_tokens = variant.n_tokens;
    shape.merge_mode = variant.merge_mode;
    shape.residual = variant.residual;
    shape.missing = variant.missing;
    shape.layer_norm = variant.layer_norm;
    shape.input_layer = variant.input_layer;
    shape.head_layer = variant.head_layer;
    shape.head_inputs = variant.head_inputs;
    const Network<double> network(shape);
    std::vector<Index> lengths;
    for (Index i = 0; i < 32; ++i) lengths.push_back(1 + i * 7 % 40);
    Problem problem(lengths, 5, 1, true);
    std::vector<std::int32_t> ids;
    std::vector<Index> first{0};
    for (Index step = 0; step < problem.offsets.back(); ++step) {
        const Index n = variant.features == 0 ? 1 : step % (variant.features + 1);
        for (Index k = 0; k < n; ++k) ids.push_back(std::int32_t(random_bits(9, ids.size()) % 50));
        first.push_back(Index(ids.size()));
    }
    if (shape.missing != "none")
        for (std::size_t i = 0; i < problem.values.size(); i += 7)
            problem.values[i] = std::numeric_limits<double>::quiet_NaN();
    Examples<double> examples = problem.examples(5, 1);
    if (variant.n_tokens > 0)
        examples.sequences.tokens = {ids.data(), variant.features > 0 ? first.data() : nullptr,
                                     variant.features > 0 ? problem.values.data() : nullptr};
    Array<double> start(std::size_t(network.n_parameters()));
    network.initialize(8, start.data(), alone.control());
    std::vector<Index> order(lengths.size());
    std::iota(order.begin(), order.end(), Index(0));
    Array<double> expected;
    for (const auto& [n_threads, checkpoint] : {std::pair(1, false), {3, false}, {2, true}}) {
        if (checkpoint && variant.bidirectional) continue;
        TrainerOptions options;
        options.loss = "squared";
        options.dropout = options.recurrent_dropout = 0.2;
        // With it tokens are read at each step, without it once.
        options.embedding_dropout = variant.residual ? 0.2 : 0.0;
        options.token_dropout = 0.1;
        options.n_threads = n_threads;
        options.checkpoint = checkpoint;
        Trainer<double> trainer(network, start.data(), options);
        for (int epoch = 0; epoch < 2; ++epoch)
            trainer.epoch(examples, order.data(), Index(order.size()), 16, {});
        if (expected.empty()) expected = trainer.updates().parameters();
        CHECK(std::memcmp(expected.data(), trainer.updates().parameters().data(),
                          expected.size() * sizeof(double)) == 0);
    }
    const Predictor<double> predictor(network, expected.data());
    std::vector<double> outputs(std::size_t(problem.offsets.back()));
    predictor.predict(examples.sequences, true, nullptr, 2, {}, outputs.data(), nullptr);
    for (const double output : outputs) CHECK(std::isfinite(output));
}

void test_interruption() {
    struct Interrupted {};
    Team alone(1, {});
    const Network<double> network({cells.back(), {64}, {false}, 2, 1, true});
    const Problem problem(std::vector<Index>(200, 100), 2, 1, false);
    Array<double> weights(std::size_t(network.n_parameters()));
    network.initialize(9, weights.data(), alone.control());
    std::vector<Index> order(200);
    std::iota(order.begin(), order.end(), Index(0));
    for (const Index n_threads : {1, 3}) {
        TrainerOptions options;
        options.loss = "squared";
        options.n_threads = n_threads;
        Trainer<double> trainer(network, weights.data(), options);
        bool was_interrupted = false;
        try {
            trainer.epoch(problem.examples(2, 1), order.data(), 200, 100,
                          [] { throw Interrupted(); });
        } catch (const Interrupted&) {
            was_interrupted = true;
        }
        CHECK(was_interrupted);
    }
}

void test_divergence() {
    Team alone(1, {});
    const Network<double> network({cells[1], {8}, {false}, 2, 1, true});
    const Problem problem(std::vector<Index>(40, 50), 2, 1, false);
    Array<double> weights(std::size_t(network.n_parameters()));
    network.initialize(9, weights.data(), alone.control());
    std::vector<Index> order(40);
    std::iota(order.begin(), order.end(), Index(0));
    TrainerOptions options;
    options.loss = "squared";
    options.solver.name = "sgd";
    options.learning_rate = 1e6;
    Trainer<double> trainer(network, weights.data(), options);
    bool has_diverged = false;
    try {
        for (int epoch = 0; epoch < 50; ++epoch)
            trainer.epoch(problem.examples(2, 1), order.data(), 40, 10, {});
    } catch (const Diverged&) {
        has_diverged = true;
    }
    CHECK(has_diverged);
}

}  // namespace

int main() {
    test_functions<float, double>(200000);
    test_functions<double, long double>(20000);
    test_gamma_ratio();
    test_mixture();
    test_products<float>();
    test_products<double>();
    for (const CellOptions& cell : cells) {
        for (const Shape& shape : shapes) {
            for (const bool bidirectional : {false, true})
                for (const bool per_step : {false, true})
                    for (const double dropout : {0.0, 0.3})
                        test_gradients(cell, shape, bidirectional, per_step, dropout);
            test_segments(cell, shape);
        }
        test_threads(cell);
        for (const Variant& variant : variants)
            if (cell.cell != "simple") test_variant(cell, variant);
    }
    test_interruption();
    test_divergence();
    return test::report();
}
