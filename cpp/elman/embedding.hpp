// The embedding of tokens (Bengio et al., 2003), or of several features a step:
//
//     x_t = sum_k v_k E[i_k]                         one token a step: x_t = E[i]
//
// and its gradient, which has only the rows of E whose tokens are in the mini-batch:
//
//     dE[i] = sum of v dL/dx_t over the steps that hold i, from the last row to the first
//
// Word dropout (Iyyer et al., 2015) comes before: a step's only token turns into token 0, the
// unknown one; where a step may hold several, they are left out.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "elman/dropout.hpp"
#include "elman/memory.hpp"
#include "elman/sequences.hpp"

namespace elman {

// The tokens of a batch: by row as the embedding reads them, by token as its gradient does.
template <class T>
struct TokenRows {
    struct Occurrence {
        std::int32_t id;
        T value;
        Index row;
    };
    std::vector<Occurrence> by_row, by_token;
    std::vector<Index> first_of_row;    // and the end
    std::vector<Index> first_of_token;  // of each one that occurs, and the end

    Index n_tokens() const { return Index(first_of_token.size()) - 1; }
    std::int32_t token(Index i) const {
        return by_token[std::size_t(first_of_token[std::size_t(i)])].id;
    }
};

template <class T>
class Embedding {
public:
    Embedding(Index n_tokens, Index width, Index offset)
        : n_tokens_(n_tokens), width_(width), offset_(offset) {}

    Index n_tokens() const { return n_tokens_; }
    Index width() const { return width_; }
    // Where E begins in the flat parameter vector, and where a token's row of it does.
    Index offset() const { return offset_; }
    Index offset(Index id) const { return offset_ + id * width_; }

    // Calls function(token, value, row) for the tokens of the batch's steps, row by row, as far as
    // dropout leaves them.
    template <class Function>
    static void for_each_token(const Sequences<T>& sequences, const Batch& batch,
                               const Dropout& dropout, const Function& function) {
        const TokenSteps<T>& tokens = sequences.tokens;
        const bool has_one = tokens.first == nullptr;
        for (Index t = 0; t < batch.n_steps(); ++t) {
            for (Index s = 0; s < batch.active(t); ++s) {
                const Index step = batch.first_step + t;
                const TokenDropout of_step = dropout.tokens_of(s, step);
                const Range features =
                    tokens.of_step(sequences.offsets[batch.source[std::size_t(s)]] + step);
                for (Index k = features.begin; k < features.end; ++k) {
                    const bool is_dropped = of_step.drops(tokens.ids[k], k - features.begin);
                    if (is_dropped && !has_one) continue;
                    function(is_dropped ? 0 : tokens.ids[k], tokens.value(k), batch.row(t, s));
                }
            }
        }
    }

    static void collect(const Sequences<T>& sequences, const Batch& batch, const Dropout& dropout,
                        TokenRows<T>& rows) {
        rows.by_row.clear();
        rows.first_of_row.assign(std::size_t(batch.n_rows()) + 1, 0);
        for_each_token(sequences, batch, dropout, [&](std::int32_t id, T value, Index row) {
            rows.by_row.push_back({id, value, row});
            ++rows.first_of_row[std::size_t(row) + 1];
        });
        std::partial_sum(rows.first_of_row.begin(), rows.first_of_row.end(),
                         rows.first_of_row.begin());
    }

    // Puts the tokens of a batch in the order of the gradient.
    static void sort(TokenRows<T>& rows) {
        using Occurrence = typename TokenRows<T>::Occurrence;
        rows.by_token.assign(rows.by_row.rbegin(), rows.by_row.rend());
        std::stable_sort(rows.by_token.begin(), rows.by_token.end(),
                         [](const Occurrence& a, const Occurrence& b) { return a.id < b.id; });
        rows.first_of_token.clear();
        for (std::size_t i = 0; i < rows.by_token.size(); ++i)
            if (i == 0 || rows.by_token[i].id != rows.by_token[i - 1].id)
                rows.first_of_token.push_back(Index(i));
        rows.first_of_token.push_back(Index(rows.by_token.size()));
    }

    void forward(const T* E, const TokenRows<T>& tokens, Index row, T* x) const {
        std::fill_n(x, width_, T(0));
        for (Index k = tokens.first_of_row[std::size_t(row)];
             k < tokens.first_of_row[std::size_t(row) + 1]; ++k) {
            const auto& token = tokens.by_row[std::size_t(k)];
            add(token.value, E + token.id * width_, x);
        }
    }

    // Adds to the rows of the tokens with these places among those that occur.
    void gradient(Range places, const TokenRows<T>& tokens, const Rows<T>& dx, T* gradient) const {
        for (Index i = places.begin; i < places.end; ++i) {
            T* const to = gradient + offset(tokens.token(i));
            for (Index k = tokens.first_of_token[std::size_t(i)];
                 k < tokens.first_of_token[std::size_t(i) + 1]; ++k) {
                const auto& token = tokens.by_token[std::size_t(k)];
                add(token.value, dx.row(token.row), to);
            }
        }
    }

private:
    void add(T value, const T* from, T* to) const {
        for (Index j = 0; j < width_; ++j) to[j] += value * from[j];
    }

    Index n_tokens_, width_, offset_;
};

}  // namespace elman
