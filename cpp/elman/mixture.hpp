// A mixture of given candidates, such as forecasts of simple methods: a network scores them, and
// what it adds is left to its other outputs. It is a mixture of experts (Jacobs, Jordan, Nowlan &
// Hinton, 1991) whose experts are fixed.
//
// n targets are cut into groups of neighbours, group(j) = floor(j n_groups / n); each group has a
// score s_k for each candidate c_k. To every location a_j that the loss reads is added
//
//     m_j = sum_k p_k c_kj,   p = softmax(sharpness s) of group(j)
//
// and backwards, with g_j the sum of dl/da_j over the locations of target j,
//
//     dl/ds_k = sharpness p_k (u_k - sum_i p_i u_i),   u_k = sum_{j in the group} g_j c_kj
//
// A row of outputs holds the loss's own, then the scores group by group; a row of candidates holds
// them one after another, n numbers each.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "elman/batch.hpp"
#include "elman/memory.hpp"

namespace elman {

struct MixtureShape {
    Index n_targets;
    Index n_locations;  // blocks of n_targets outputs, the first ones, that the mixture is added to
    Index n_outputs;    // of the loss
    Index n_candidates;
    Index n_groups;
    double sharpness;
};

template <class T>
class Mixture {
public:
    explicit Mixture(const MixtureShape& shape) : shape_(shape) {
        const auto require = [](bool holds, const char* what) {
            if (!holds) throw std::invalid_argument(std::string("elman: ") + what);
        };
        require(shape.n_candidates >= 1, "n_candidates must be at least 1");
        require(shape.n_groups >= 1 && shape.n_groups <= shape.n_targets,
                "n_groups must be in [1, number of targets]");
        require(shape.sharpness > 0.0 && std::isfinite(shape.sharpness),
                "sharpness must be positive and finite");
        require(shape.n_locations >= 1 && shape.n_locations * shape.n_targets <= shape.n_outputs,
                "there are fewer outputs than locations");
    }

    Index n_scores() const { return shape_.n_groups * shape_.n_candidates; }
    Index n_outputs() const { return shape_.n_outputs; }
    // Numbers in a row of candidates.
    Index n_values() const { return shape_.n_candidates * shape_.n_targets; }

    // Adds the mixture to the locations in a row of outputs; shares p take the place of scores.
    void forward(T* outputs, const T* candidates) const {
        T* shares = outputs + shape_.n_outputs;
        for (Index g = 0; g < shape_.n_groups; ++g, shares += shape_.n_candidates) {
            softmax(shares);
            const Range targets = group(g);
            for (Index k = 0; k < shape_.n_candidates; ++k) {
                const T share = shares[k];
                const T* const candidate = candidates + k * shape_.n_targets;
                for_each_location(outputs, [&](T* location) {
                    for (Index j = targets.begin; j < targets.end; ++j)
                        location[j] += share * candidate[j];
                });
            }
        }
    }

    // From a row as forward leaves it and dl/d(the loss's outputs) to dl/d(scores) behind those.
    void backward(const T* outputs, const T* candidates, T* doutputs) const {
        const T* shares = outputs + shape_.n_outputs;
        T* dscores = doutputs + shape_.n_outputs;
        for (Index g = 0; g < shape_.n_groups; ++g) {
            T mean = T(0);
            for (Index k = 0; k < shape_.n_candidates; ++k) {
                dscores[k] = product(doutputs, candidates + k * shape_.n_targets, group(g));
                mean += shares[k] * dscores[k];
            }
            for (Index k = 0; k < shape_.n_candidates; ++k)
                dscores[k] = T(shape_.sharpness) * shares[k] * (dscores[k] - mean);
            shares += shape_.n_candidates;
            dscores += shape_.n_candidates;
        }
    }

    // What forward makes of n_rows of outputs, without the shares.
    void apply(Index n_rows, const T* outputs, const T* candidates, T* mixed) const {
        const Index width = shape_.n_outputs + n_scores();
        std::vector<T> row(static_cast<std::size_t>(width));
        for (Index r = 0; r < n_rows; ++r) {
            std::copy_n(outputs + r * width, width, row.begin());
            forward(row.data(), candidates + r * n_values());
            std::copy_n(row.begin(), shape_.n_outputs, mixed + r * shape_.n_outputs);
        }
    }

private:
    // The targets j with floor(j n_groups / n_targets) = g.
    Range group(Index g) const {
        const auto first = [this](Index i) {
            return (i * shape_.n_targets + shape_.n_groups - 1) / shape_.n_groups;
        };
        return {first(g), first(g + 1)};
    }

    // Calls function(block) for each block of the outputs that the mixture is added to.
    template <class Function>
    void for_each_location(T* outputs, const Function& function) const {
        for (Index i = 0; i < shape_.n_locations; ++i) function(outputs + i * shape_.n_targets);
    }

    T product(T* doutputs, const T* candidate, Range targets) const {
        T sum = T(0);
        for_each_location(doutputs, [&](const T* location) {
            for (Index j = targets.begin; j < targets.end; ++j) sum += location[j] * candidate[j];
        });
        return sum;
    }

    void softmax(T* scores) const {
        constexpr Index width = Vec<T>::width;
        const Index n = shape_.n_candidates;
        const T largest = *std::max_element(scores, scores + n);
        T sum = T(0);
        // What stands behind the scores belongs to the next group: registers are filled aside.
        std::array<T, std::size_t(width)> some{};
        for (Index first = 0; first < n; first += width) {
            const Index count = std::min(width, n - first);
            for (Index k = 0; k < count; ++k)
                some[std::size_t(k)] = T(shape_.sharpness) * (scores[first + k] - largest);
            exp(Vec<T>::load(some.data())).store(some.data());
            for (Index k = 0; k < count; ++k) sum += scores[first + k] = some[std::size_t(k)];
        }
        for (Index k = 0; k < n; ++k) scores[k] /= sum;
    }

    MixtureShape shape_;
};

}  // namespace elman
