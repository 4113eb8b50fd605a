// What the caller hands in: sequences one after another, whose steps are numbers or tokens.
#pragma once

#include <cstdint>

#include "elman/batch.hpp"

namespace elman {

// Steps that hold tokens by number: step i has ids[first[i]] to ids[first[i + 1] - 1], each times
// its value. Without first there is one token a step, without values they are ones.
template <class T>
struct TokenSteps {
    const std::int32_t* ids = nullptr;
    const Index* first = nullptr;
    const T* values = nullptr;

    Range of_step(Index i) const {
        return first == nullptr ? Range{i, i + 1} : Range{first[i], first[i + 1]};
    }
    T value(Index k) const { return values == nullptr ? T(1) : values[k]; }
};

// Sequence i is steps offsets[i] to offsets[i + 1] of values (rows of n_channels), or of tokens.
template <class T>
struct Sequences {
    const T* values;
    Index n_channels;
    const Index* offsets;
    Index n_sequences;
    TokenSteps<T> tokens = {};

    Index n_steps() const { return offsets[n_sequences]; }
    const T* step(Index sequence, Index t) const {
        return values + (offsets[sequence] + t) * n_channels;
    }
};

}  // namespace elman
