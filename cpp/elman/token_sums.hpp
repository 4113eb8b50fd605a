// What the first layer makes of tokens, once for each that occurs instead of at each step:
//
//     s_i   = b + E[i] W_xh                  z_t = s_i + h_{t-1} W_hh at a step that holds i
//     ds_i  = sum of dz_t over these steps, from the last row to the first
//
//     dW_xh = sum_i E[i]^T ds_i,   db = sum_i ds_i,   dE[i] = ds_i W_xh^T
//
// z_t is the same chain of sums as b + [x_t, h_{t-1}] [W_xh; W_hh], so outputs are the same to the
// bit. Of an alphabet, and mostly of words too, there are far fewer tokens than steps.
//
// Tokens have places in the order in which they come, rows from the last to the first, and keep
// them until they are forgotten: over the segments of a mini-batch, or the steps of a decoder.
#pragma once

#include <algorithm>
#include <vector>

#include "elman/embedding.hpp"
#include "elman/layer_gates.hpp"

namespace elman {

// Whether reading each token once, instead of at each step, spares more than it costs.
inline bool tokens_recur(Index n_tokens, Index n_steps) { return 4 * n_tokens <= 3 * n_steps; }

// Whether a pass reads each token once; its caller then has to call Network::sum_tokens.
enum class TokensOnce { never, where_they_recur, always };

template <class T>
class DistinctTokens {
public:
    TokensOnce when = TokensOnce::never;
    bool is_used = false;
    Matrix<T> dx;  // dL/dE[i], by place

    // E[i], by place.
    const Rows<T>& x() const { return x_; }
    Index size() const { return Index(ids_.size()); }
    Range places() const { return {0, size()}; }
    std::int32_t id(Index place) const { return ids_[std::size_t(place)]; }
    // Those that the last batch has brought.
    Range added() const { return {first_added_, size()}; }
    // Of a large vocabulary a few steps are not worth an entry for each of its tokens.
    bool may_recur(Index n_tokens, Index n_steps) const {
        constexpr Index tokens_a_step = 256;
        return when == TokensOnce::always || n_tokens <= tokens_a_step * n_steps;
    }
    bool recur() const {
        return when == TokensOnce::always ||
               tokens_recur(added().size(), Index(place_of_row_.size()));
    }
    const Index* place_of_row() const { return place_of_row_.data(); }
    // Rows of the last batch that hold the token of a place, from the last to the first.
    Range occurrences(Index place) const {
        return {first_[std::size_t(place)], first_[std::size_t(place) + 1]};
    }
    Index row(Index occurrence) const { return rows_[std::size_t(occurrence)]; }

    // To be called when the weights have changed.
    void forget() {
        for (const std::int32_t id : ids_) place_of_id_[std::size_t(id)] = none;
        ids_.clear();
    }

    void collect(const Embedding<T>& embedding, const Sequences<T>& sequences, const Batch& batch,
                 const Dropout& dropout, bool training) {
        place_of_id_.resize(std::size_t(embedding.n_tokens()), none);
        place_of_row_.resize(std::size_t(batch.n_rows()));
        first_added_ = size();
        embedding.for_each_token(sequences, batch, dropout, [&](std::int32_t id, T, Index row) {
            place_of_row_[std::size_t(row)] = id;
        });
        for (auto place = place_of_row_.rbegin(); place != place_of_row_.rend(); ++place) {
            const auto id = std::int32_t(*place);
            std::int32_t& known = place_of_id_[std::size_t(id)];
            if (known == none) {
                known = std::int32_t(size());
                ids_.push_back(id);
            }
            *place = known;
        }
        if (training) sort();
        x_.width = embedding.width();
        x_.stride = padded_stride<T>(x_.width);
        const auto n_numbers = std::size_t(checked_multiply(size(), x_.stride));
        if (all_x_.size() < n_numbers) all_x_.resize(n_numbers);
        x_.data = all_x_.data();
        if (training) dx.resize(size(), x_.width);
    }

private:
    static constexpr std::int32_t none = -1;

    void sort() {
        first_.assign(ids_.size() + 1, 0);
        for (const Index place : place_of_row_) ++first_[std::size_t(place) + 1];
        std::partial_sum(first_.begin(), first_.end(), first_.begin());
        rows_.resize(place_of_row_.size());
        next_.assign(first_.begin(), first_.end() - 1);
        for (Index row = Index(rows_.size()) - 1; row >= 0; --row) {
            const std::size_t place = std::size_t(place_of_row_[std::size_t(row)]);
            rows_[std::size_t(next_[place]++)] = row;
        }
    }

    std::vector<std::int32_t> ids_;          // by place
    std::vector<std::int32_t> place_of_id_;  // or none
    std::vector<Index> place_of_row_;
    std::vector<Index> first_, rows_, next_;  // by place: the rows that hold it
    Index first_added_ = 0;
    Array<T> all_x_;
    Rows<T> x_;
};

// Sums and their gradients stand by place, all gates of a token side by side.
template <class T>
inline Index token_stride(const LayerShape<T>& shape) {
    return padded_stride<T>(shape.n_gates() * shape.packed_width());
}
template <class T>
inline GateRows<T> token_rows(const LayerShape<T>& shape, Array<T>& by_place) {
    return {by_place.data(), shape.packed_width(), panel_width<T>, token_stride(shape)};
}

// Room for a row of each token, where there is none yet; gradients begin at zero.
template <class T>
inline void resize_token_sums(const DistinctTokens<T>& tokens, Index stride, Tape<T>& tape) {
    const auto size = std::size_t(checked_multiply(tokens.size(), stride));
    tape.token_of_row = tokens.place_of_row();
    tape.n_tokens = tokens.size();
    if (tape.token_sums.size() < size) tape.token_sums.resize(size);
    if (!tape.training) return;
    if (tape.dtoken_sums.size() < size) tape.dtoken_sums.resize(size);
    std::fill_n(tape.dtoken_sums.data() + tokens.added().begin * stride,
                tokens.added().size() * stride, T(0));
}

template <class T>
inline void sum_tokens(const LayerShape<T>& shape, const Rows<const T>& x, Range places,
                       const PackedWeights<T>& weights, Tape<T>& tape) {
    const Term<T> term{x.row(places.begin), x.stride, 1, x.width};
    shape.for_each_group([&](const GateGroup& group) {
        if (takes_input(shape.gate(group.first).operand))
            multiply_group(shape, group, {0, shape.n_blocks()}, Terms<T>{&term, 1}, places.size(),
                           0, weights, places.begin, token_rows(shape, tape.token_sums));
    });
}

// z of some rows, as far as their tokens make it.
template <class T>
inline void copy_token_sums(const LayerShape<T>& shape, const GateGroup& group, Range blocks,
                            const StepRows& rows, const GateRows<T>& z, Tape<T>& tape) {
    if (!takes_input(shape.gate(group.first).operand)) return;
    const GateRows<T> sums = token_rows(shape, tape.token_sums);
    const Index first = gate_row(rows, tape);
    for (Index block = blocks.begin; block < blocks.end; ++block) {
        const Index width = shape.block_width(block), stride = z.stride(shape, block);
        for (int g = group.first; g < group.first + group.n_alike; ++g) {
            T* to = z.of(block, g) + first * stride;
            for (Index r = 0; r < rows.size; ++r, to += stride) {
                const T* const from =
                    sums.of(block, g) + tape.token_of_row[rows.row + r] * sums.row_stride;
                for (Index lane = 0; lane < width; lane += Vec<T>::width)
                    Vec<T>::load(from + lane).store(to + lane);
            }
        }
    }
}

// Adds dz of the batch's rows to the gradients of the tokens that they hold.
template <class T>
inline void add_token_gradients(const LayerShape<T>& shape, const DistinctTokens<T>& tokens,
                                Range places, Tape<T>& tape) {
    const GateRows<T> dz = dz_rows(shape, tape), ds = token_rows(shape, tape.dtoken_sums);
    const auto add = [&](const T* from, Index stride, T* to) {
        for (Index place = places.begin; place < places.end; ++place) {
            const Range occurrences = tokens.occurrences(place);
            Vec<T> sum = Vec<T>::load(to + place * ds.row_stride);
            for (Index i = occurrences.begin; i < occurrences.end; ++i)
                sum = sum + Vec<T>::load(from + tokens.row(i) * stride);
            sum.store(to + place * ds.row_stride);
        }
    };
    for (int g = 0; g < shape.n_gates(); ++g) {
        if (!takes_input(shape.gate(g).operand)) continue;
        shape.for_each_block([&](Index block) {
            for (Index lane = 0; lane < shape.block_width(block); lane += Vec<T>::width)
                add(dz.of(block, g) + lane, dz.stride(shape, block), ds.of(block, g) + lane);
        });
    }
}

}  // namespace elman
