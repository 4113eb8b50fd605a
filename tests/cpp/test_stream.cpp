// Streams without Python, for the sanitizers: the bits of whole sequences, for streams that come
// and go, on one thread and on several.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "elman/core.hpp"

using namespace elman;

namespace {

struct Variant {
    const char* cell;
    std::vector<Index> hidden_layer_sizes;
    const char* missing;
    Index n_tokens;
    bool layer_norm;
};
const std::vector<Variant> variants = {
    {"simple", {20, 20}, "none", 0, false}, {"gru", {3, 3}, "none", 0, false},
    {"lstm", {20, 20}, "none", 0, false},   {"lstm", {17, 17}, "mask", 0, true},
    {"gru", {40, 40}, "decay", 0, false},   {"min_lstm", {9, 9}, "none", 7, false}};

std::vector<float> states_of(const Stream<float>& stream) {
    std::vector<float> states(std::size_t(stream.n_streams() * stream.network().state_size()));
    stream.get_states(states.data());
    return states;
}

void test_bits(const Variant& variant, Index n_streams, Index n_threads) {
    constexpr Index n_steps = 5, n_channels = 2, n_outputs = 3;
    NetworkOptions options{{variant.cell, "tanh", false},
                           variant.hidden_layer_sizes,
                           {false, false},
                           n_channels,
                           n_outputs,
                           true};
    options.missing = variant.missing;
    options.n_tokens = variant.n_tokens;
    options.layer_norm = variant.layer_norm;
    options.residual = true;
    const Network<float> network(options);
    Team alone(1, {});
    Array<float> parameters(std::size_t(network.n_parameters()));
    network.initialize(3, parameters.data(), alone.control());
    const Predictor<float> predictor(network, parameters.data());

    std::vector<float> values(std::size_t(n_streams * n_steps * n_channels));
    std::vector<std::int32_t> ids(std::size_t(n_streams * n_steps));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = float(random_normal(4, i));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = std::int32_t(random_bits(5, i) % 7);
    if (std::strcmp(variant.missing, "none") != 0)
        for (std::size_t i = 0; i < values.size(); i += 3) values[i] = NAN;
    std::vector<Index> offsets;
    for (Index i = 0; i <= n_streams; ++i) offsets.push_back(i * n_steps);
    std::vector<float> expected(std::size_t(n_streams * n_steps * n_outputs));
    predictor.predict({values.data(), n_channels, offsets.data(), n_streams, {ids.data()}}, true,
                      nullptr, 1, {}, expected.data(), nullptr);

    Stream<float> stream(predictor, n_streams, n_threads);
    std::vector<Index> alive(offsets.size() - 1);
    std::iota(alive.begin(), alive.end(), Index(0));
    for (Index t = 0; t < n_steps; ++t) {
        if (t == 2) {  // every third one ends
            std::vector<Index> kept;
            for (Index i = 0; i < n_streams; ++i)
                if (i % 3 != 0) kept.push_back(i);
            stream.keep(kept.data(), Index(kept.size()));
            alive = kept;
        }
        std::vector<float> x, outputs(alive.size() * n_outputs);
        std::vector<std::int32_t> tokens;
        for (const Index i : alive) {
            const float* const from = values.data() + (i * n_steps + t) * n_channels;
            x.insert(x.end(), from, from + n_channels);
            tokens.push_back(ids[std::size_t(i * n_steps + t)]);
        }
        stream.step(x.data(), {tokens.data()}, {}, outputs.data());
        bool is_equal = true;
        for (std::size_t k = 0; k < alive.size(); ++k)
            is_equal =
                is_equal && std::memcmp(outputs.data() + k * n_outputs,
                                        expected.data() + (alive[k] * n_steps + t) * n_outputs,
                                        n_outputs * sizeof(float)) == 0;
        CHECK(is_equal);
    }
    const Index n_before = stream.n_streams(), size = network.state_size();
    stream.add(2);
    std::vector<float> start(static_cast<std::size_t>(size));
    network.start(parameters.data(), start.data());
    CHECK(stream.n_streams() == n_before + 2);
    std::vector<float> states = states_of(stream);
    CHECK(std::equal(start.begin(), start.end(), states.begin() + (n_before + 1) * size));
    const std::vector<Index> back = {0, n_before / 2, n_before + 1};
    stream.reset(back.data(), Index(back.size()));
    for (const Index i : back) std::copy(start.begin(), start.end(), states.begin() + i * size);
    CHECK(states_of(stream) == states);
}

// A step that is interrupted has not been made.
void test_interruption(const char* missing) {
    struct Interrupted {};
    NetworkOptions options{{"lstm", "tanh", true}, {64}, {false}, 1, 1, true};
    options.missing = missing;
    const Network<float> network(options);
    Team alone(1, {});
    Array<float> parameters(std::size_t(network.n_parameters()));
    network.initialize(3, parameters.data(), alone.control());
    const Predictor<float> predictor(network, parameters.data());
    Stream<float> stream(predictor, 20000, 2);
    std::vector<float> x(20000, 1.0f), outputs(20000);
    stream.step(x.data(), {}, {}, outputs.data());
    bool was_interrupted = false;
    // On a busy machine the other thread may be done before this one has come to ask.
    for (int attempt = 0; attempt < 100 && !was_interrupted; ++attempt) {
        const std::vector<float> before = states_of(stream);
        try {
            stream.step(x.data(), {}, [] { throw Interrupted(); }, outputs.data());
        } catch (const Interrupted&) {
            was_interrupted = true;
            const std::vector<float> now = states_of(stream);
            CHECK(std::memcmp(now.data(), before.data(), before.size() * sizeof(float)) == 0);
        }
    }
    CHECK(was_interrupted);
}

}  // namespace

int main() {
    for (const Variant& variant : variants)
        for (const Index n_streams : {1, 9, 400})
            for (const Index n_threads : {1, 3}) test_bits(variant, n_streams, n_threads);
    for (const char* missing : {"none", "decay"}) test_interruption(missing);
    return test::report();
}
