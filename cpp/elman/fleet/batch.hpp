// A mini-batch of each of some networks, which lie side by side in the lanes of a register.
//
// Place s of a lane holds a sequence of its own network; as in Batch they stand by decreasing
// length. Rows are those of a Batch whose sequence s is as long as the longest one at place s:
//
//     lane        0     1     2
//     place 0     xxxx  xxx   xxxx     rows: 4 steps
//     place 1     xx    xxx   -        rows: 3 steps
//
// What a lane has no step for is zero: its inputs, its states, and the gradients of both. It adds
// nothing to any sum.
#pragma once

#include "elman/batch.hpp"
#include "elman/fleet/product.hpp"

namespace elman::fleet {

// Sequences of one network, in the order in which a mini-batch has them.
struct Members {
    const Index* numbers = nullptr;
    Index size = 0;
};

template <class T>
class LaneBatch {
public:
    static constexpr Index width = n_lanes<T>;

    // False where it is the batch that it was before. offsets are those of all sequences.
    bool assign(const std::vector<Members>& members, const Index* offsets) {
        if (is_same(members)) return false;
        n_places_ = 0;
        for (std::size_t lane = 0; lane < std::size_t(width); ++lane) {
            given_[lane].assign(members[lane].numbers, members[lane].numbers + members[lane].size);
            sorted_[lane].assign(members[lane].numbers, members[lane].size, offsets);
            n_places_ = std::max(n_places_, members[lane].size);
        }
        std::vector<Index> numbers(static_cast<std::size_t>(n_places_)), bounds(1, 0);
        std::iota(numbers.begin(), numbers.end(), Index(0));
        shortest_.assign(std::size_t(n_places_), std::numeric_limits<Index>::max());
        for (Index s = 0; s < n_places_; ++s) {
            Index longest = 0;
            for (Index lane = 0; lane < width; ++lane) {
                longest = std::max(longest, length(s, lane));
                if (n_members(lane) == 0) continue;
                Index& shortest = shortest_[std::size_t(s)];
                shortest = std::min(shortest, length(s, lane));
            }
            bounds.push_back(bounds.back() + longest);
        }
        rows_.assign(numbers.data(), n_places_, bounds.data());
        return true;
    }

    const Batch& rows() const { return rows_; }
    Range places() const { return {0, n_places_}; }
    Index n_members(Index lane) const { return sorted_[std::size_t(lane)].n_sequences(); }
    Index length(Index s, Index lane) const {
        const Batch& batch = sorted_[std::size_t(lane)];
        return s < batch.n_sequences() ? batch.length[std::size_t(s)] : 0;
    }
    Index source(Index s, Index lane) const {
        return sorted_[std::size_t(lane)].source[std::size_t(s)];
    }
    bool is_regular(Index lane) const { return sorted_[std::size_t(lane)].is_regular; }
    // Steps that place s has in all lanes that hold a network.
    Index shortest(Index s) const { return shortest_[std::size_t(s)]; }

private:
    bool is_same(const std::vector<Members>& members) const {
        for (std::size_t lane = 0; lane < std::size_t(width); ++lane)
            if (Index(given_[lane].size()) != members[lane].size ||
                !std::equal(given_[lane].begin(), given_[lane].end(), members[lane].numbers))
                return false;
        return n_places_ > 0;
    }

    std::array<std::vector<Index>, std::size_t(width)> given_;
    std::array<Batch, std::size_t(width)> sorted_;
    Batch rows_;
    Index n_places_ = 0;
    std::vector<Index> shortest_;
};

}  // namespace elman::fleet
