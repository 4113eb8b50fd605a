// Masks of dropout (Srivastava et al., 2014) and of variational recurrent dropout (Gal &
// Ghahramani, 2016): each element is 0 with probability p, else 1 / (1 - p). Tokens are dropped as
// a whole (Iyyer et al., 2015), and nothing makes up for them.
//
// A mask is a function of the key of an update, the layer, the sequence's place in the mini-batch,
// the step and the unit: nothing is drawn in turn, so threads cannot change it.
#pragma once

#include "elman/random.hpp"
#include "elman/simd.hpp"

namespace elman {

// Which of the tokens of one step are dropped: all of them or none, or each with a probability of
// its own.
struct TokenDropout {
    double of_step;
    const double* of_token;  // by id, or null
    std::uint64_t key;

    bool drops(Index id, Index place) const {
        if (of_token != nullptr) return random_uniform(key, std::uint64_t(place)) < of_token[id];
        return of_step > 0.0 && random_uniform(key, 0) < of_step;
    }
};

struct Dropout {
    double output = 0.0;               // between layers, and before the head
    double recurrent = 0.0;            // on h_{t-1} in the products, the same at every step
    double embedding = 0.0;            // between the embedding and the first layer
    double tokens = 0.0;               // of a step, before the embedding
    const double* by_token = nullptr;  // instead: of each token, by id
    std::uint64_t key = 0;             // of this update

    std::uint64_t output_key(Index layer) const {
        return random_bits(key, std::uint64_t(2 * layer));
    }
    std::uint64_t recurrent_key(Index layer) const {
        return random_bits(key, std::uint64_t(2 * layer + 1));
    }
    std::uint64_t embedding_key() const { return random_bits(key, std::uint64_t(-1)); }
    TokenDropout tokens_of(Index sequence, Index t) const {
        const std::uint64_t of_tokens = random_bits(key, std::uint64_t(-2));
        return {tokens, by_token,
                random_bits(random_bits(of_tokens, std::uint64_t(sequence)), std::uint64_t(t))};
    }
};

// Elements [first, first + n) of a sequence's mask.
template <class T>
void dropout_mask(std::uint64_t layer_key, Index sequence, Index first, Index n, double p,
                  T* mask) {
    const std::uint64_t key = random_bits(layer_key, std::uint64_t(sequence));
    const T kept = T(1.0 / (1.0 - p));
    for (Index i = 0; i < n; ++i)
        mask[i] = random_uniform(key, std::uint64_t(first + i)) < p ? T(0) : kept;
}

}  // namespace elman
