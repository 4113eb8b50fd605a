// Prints a digest of the bits of each of many trainings and predictions, one a line: two builds of
// the core, for other instruction sets, agree where their lines do. Layers are of sizes that leave
// lanes, rows of tiles and whole registers over on each of them.
//
// Weights and data come from integer arithmetic alone: the orthogonal start goes through Eigen's
// QR, and normal numbers through the C library, whose last bits may be a machine's own.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "elman/core.hpp"

using namespace elman;

namespace {

// FNV-1a, 64 bits.
class Digest {
public:
    template <class Values>
    void add(const Values& values) {
        std::vector<unsigned char> bytes(values.size() * sizeof(values[0]));
        std::memcpy(bytes.data(), values.data(), bytes.size());
        for (const unsigned char byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3u;
    }
    unsigned long long value() const { return value_; }

private:
    unsigned long long value_ = 0xcbf29ce484222325u;
};

template <class Values>
void fill(Values& values, std::uint64_t key, double scale) {
    using T = typename Values::value_type;
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = T(scale * (random_uniform(key, i) - 0.5));
}

struct Variant {
    const char* name;
    std::vector<Index> hidden_layer_sizes;
    bool bidirectional = false;
    bool is_ragged = true;
    bool layer_norm = false;
    const char* missing = "none";
    const char* solver = "adam";
    double recurrent_dropout = 0.1;
    Index dense_layer = 0;  // before the first layer, and in the head
    bool residual = false;
    Index n_tokens = 0;
};
const std::vector<Variant> variants = {
    {"wide", {33, 20}, false},
    {"two directions", {18, 9}, true},
    {"side by side", {2, 3}, false, false},
    {"layer norm", {18, 20}, false, true, true},
    {"decay", {18}, false, true, false, "decay"},
    {"sgd", {24}, false, true, false, "none", "sgd"},
    {"sequences side by side", {20, 9}, true, false, false, "none", "adam", 0.0},
    {"lanes handed on", {20, 9, 18}, false, false, false, "none", "adam", 0.0},
    {"many units", {70}, false, true, false, "none", "adam", 0.1, 21},
    {"mask, residual", {18, 18}, true, true, false, "mask", "adam", 0.1, 0, true},
    {"tokens", {33, 20}, true, true, false, "none", "adam", 0.1, 0, false, 15},
};
const std::vector<CellOptions> cells = {{"simple", "tanh", true},  {"simple", "relu", true},
                                        {"gru", "tanh", true},     {"gru", "tanh", false},
                                        {"lstm", "tanh", true},    {"min_gru", "tanh", true},
                                        {"min_lstm", "tanh", true}};

Index steps_of(const std::vector<Index>& offsets, Index i) {
    return offsets[std::size_t(i) + 1] - offsets[std::size_t(i)];
}

template <class T>
void print(const Digest& digest, const CellOptions& cell, const std::string& name) {
    std::printf("%016llx float%d %s %s%s, %s\n", digest.value(), int(8 * sizeof(T)),
                cell.cell.c_str(), cell.activation.c_str(), cell.reset_after ? "" : " before",
                name.c_str());
}

template <class T>
void print_digest(const CellOptions& cell, const Variant& variant) {
    NetworkOptions shape{
        cell,
        variant.hidden_layer_sizes,
        std::vector<bool>(variant.hidden_layer_sizes.size(), variant.bidirectional),
        3,
        2,
        true};
    shape.layer_norm = variant.layer_norm;
    shape.missing = variant.missing;
    shape.residual = variant.residual;
    shape.input_layer = shape.head_layer = variant.dense_layer;
    shape.n_tokens = variant.n_tokens;
    const Network<T> network(shape);
    std::vector<Index> offsets{0};
    for (Index i = 0; i < 40; ++i)
        offsets.push_back(offsets.back() + (variant.is_ragged ? 1 + i * 7 % 30 : 12));
    std::vector<T> values(std::size_t(offsets.back() * 3)), targets(40 * 2);
    fill(values, 1, 4.0);
    if (std::strcmp(variant.missing, "none") != 0)
        for (std::size_t i = 0; i < values.size(); i += 7) values[i] = T(NAN);
    fill(targets, 2, 2.0);
    Array<T> start(std::size_t(network.n_parameters()));
    fill(start, 3, 0.8);
    TrainerOptions options;
    options.loss = "squared";
    options.alpha = 0.01;
    options.dropout = 0.1;
    options.recurrent_dropout = variant.recurrent_dropout;
    options.clip_norm = 1.0;
    options.n_threads = 2;
    options.solver.name = variant.solver;
    Trainer<T> trainer(network, start.data(), options);
    std::vector<Index> order(40);
    std::iota(order.begin(), order.end(), Index(0));
    Sequences<T> sequences{values.data(), 3, offsets.data(), 40};
    std::vector<std::int32_t> ids(std::size_t(offsets.back()));
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] =
            std::int32_t(random_bits(4, i) % std::uint64_t(std::max<Index>(shape.n_tokens, 1)));
    if (shape.n_tokens > 0) sequences.tokens.ids = ids.data();
    for (int epoch = 0; epoch < 2; ++epoch)
        trainer.epoch({sequences, targets.data(), 2, nullptr, false}, order.data(), 40, 16, {});
    Digest digest;
    digest.add(trainer.updates().parameters());
    const Predictor<T> predictor(network, trainer.updates().parameters().data());
    std::vector<T> outputs(std::size_t(offsets.back() * 2));
    predictor.predict(sequences, true, nullptr, 2, {}, outputs.data(), nullptr);
    digest.add(outputs);
    // A sequence that comes alone goes other ways.
    for (Index i = 0; i < 3; ++i) {
        const Index first = offsets[std::size_t(i)];
        const std::array<Index, 2> alone{0, steps_of(offsets, i)};
        Sequences<T> sequence{values.data() + 3 * first, 3, alone.data(), 1};
        if (shape.n_tokens > 0) sequence.tokens.ids = ids.data() + first;
        predictor.predict(sequence, true, nullptr, 1, {}, outputs.data(), nullptr);
        digest.add(outputs);
    }
    print<T>(digest, cell, variant.name);
}

// An encoder-decoder of tokens: two mini-batches, and what it answers.
template <class T>
void print_digest(const CellOptions& cell, const std::string& attention) {
    constexpr Index n_tokens = 11, n_pairs = 20;
    const NetworkOptions network{cell, {18, 33}, {false, false}, 5, 1, false, n_tokens};
    Seq2SeqOptions shape{network, 0, network, attention, n_tokens};
    const Seq2Seq<T> model(shape);
    Array<T> start(std::size_t(model.n_parameters()));
    fill(start, 3, 0.8);
    std::vector<Index> offsets{0}, order(n_pairs);
    std::iota(order.begin(), order.end(), Index(0));
    for (Index i = 0; i < n_pairs; ++i) offsets.push_back(offsets.back() + 1 + i * 7 % 12);
    std::vector<std::int32_t> ids;
    for (Index i = 0; i < offsets.back(); ++i)
        ids.push_back(std::int32_t(random_bits(4, std::uint64_t(i)) % n_tokens));
    const std::vector<T> targets(ids.rbegin(), ids.rend());
    Sequences<T> sources{nullptr, 0, offsets.data(), n_pairs};
    sources.tokens.ids = ids.data();
    Seq2SeqTrainerOptions options;
    options.loss = "multiclass";
    options.dropout = options.recurrent_dropout = 0.1;
    if (attention == "dot") options.embedding_dropout = 0.1;
    options.n_threads = 2;
    Seq2SeqTrainer<T> trainer(model, start.data(), options);
    trainer.epoch({sources, sources, targets.data(), 1}, order.data(), n_pairs, 10, {});
    Digest digest;
    digest.add(trainer.updates().parameters());
    BeamOptions beams;
    beams.beam_width = 3;
    beams.stop = n_tokens - 1;
    beams.max_length = 15;
    std::vector<std::vector<std::int32_t>> tokens;
    std::vector<double> scores(n_pairs);
    const Decoding<T> decoding(model, trainer.updates().parameters().data());
    decoding.translate(sources, beams, 2, {}, tokens, scores.data());
    for (std::vector<std::int32_t>& answer : tokens) {
        answer.push_back(-1);
        digest.add(answer);
    }
    print<T>(digest, cell, "attention " + attention);
}

}  // namespace

int main() {
    for (const CellOptions& cell : cells) {
        for (const Variant& variant : variants) {
            print_digest<float>(cell, variant);
            print_digest<double>(cell, variant);
        }
        for (const char* const attention : {"none", "dot", "general", "additive"}) {
            print_digest<float>(cell, std::string(attention));
            print_digest<double>(cell, std::string(attention));
        }
    }
}
