// Updates of weights whose gradient is zero, put off until somebody looks.
//
// A row of an embedding has no gradient in most mini-batches, but momentum moves it on all the
// same. k such updates in a row come to one: moments fade, m by b1^k and v by b2^k, and the weight
// drifts along them,
//
//     adam, nadam   w <- keep w + sum_j rate_j (b1 / sqrt(b2))^j m / (sqrt(v) + e)
//     sgd           w <- w + sum_j mu^j v,  Nesterov: times mu                  j = 1 ... k
//
// where rate_j is the solver's of that update (solver.hpp) and keep the decay of adamw. This is
// what the updates one by one would give, but for e, whose share does not grow as v fades.
#pragma once

#include <cmath>
#include <vector>

#include "elman/solver.hpp"

namespace elman {

class Deferred {
public:
    // What some updates do to a weight and its two moments.
    struct Sum {
        double keep = 1.0, drift = 0.0;
        std::array<double, 2> fade{1.0, 1.0};
    };

    Deferred(const SolverOptions& options, double alpha) : options_(options) {
        const bool is_sgd = options.name == "sgd", has_two = !is_sgd && options.name != "rmsprop";
        alpha_ = options.name == "adamw" ? alpha : 0.0;
        if (is_sgd)
            ratio_ = options.momentum;
        else if (has_two && options.beta_2 > 0.0)
            ratio_ = options.beta_1 / std::sqrt(options.beta_2);
        fade_ = {is_sgd    ? options.momentum
                 : has_two ? options.beta_1
                           : options.beta_2,
                 has_two ? options.beta_2 : 1.0};
        constexpr double negligible = 1e-12;
        if (ratio_ < 1.0)
            longest_ = ratio_ > 0.0 ? Index(std::log(negligible) / std::log(ratio_)) + 1 : 1;
        begin();
    }

    // From here on updates count from zero.
    void begin() {
        n_updates_ = 0;
        drift_.clear();
        log_keep_.assign(1, 0.0);
    }
    Index n_updates() const { return n_updates_; }

    // One more update; t is its number over all of training, from 1.
    void advance(double eta, Index t) {
        ++n_updates_;
        const double keep = std::max(1.0 - eta * alpha_, std::numeric_limits<double>::min());
        log_keep_.push_back(log_keep_.back() + std::log(keep));
        drift_.push_back(0.0);
        double step = rate(eta, t);
        for (Index i = n_updates_ - 1; i >= std::max<Index>(0, n_updates_ - longest_); --i) {
            step *= ratio_;
            drift_[std::size_t(i)] = keep * drift_[std::size_t(i)] + step;
        }
    }

    // Of all updates after the first ones, of which there is at least one.
    Sum since(Index first) const {
        Sum sum;
        const Index n = n_updates_ - first;
        const Index settled = std::min(n_updates_, first + std::min(longest_, n));
        sum.keep = keep(first, n_updates_);
        sum.drift = drift_[std::size_t(first)] * keep(settled, n_updates_);
        for (std::size_t i = 0; i < 2; ++i) sum.fade[i] = std::pow(fade_[i], double(n));
        return sum;
    }

    template <class T>
    void apply(const Sum& sum, Index n, T* weights, T* first, T* second) const {
        const T keep = T(sum.keep), drift = T(sum.drift), epsilon = T(options_.epsilon);
        const T fade_first = T(sum.fade[0]), fade_second = T(sum.fade[1]);
        for (Index i = 0; i < n; ++i) {
            const T direction =
                second == nullptr ? first[i] : first[i] / (std::sqrt(second[i]) + epsilon);
            weights[i] = keep * weights[i] + drift * direction;
            first[i] *= fade_first;
        }
        for (Index i = 0; second != nullptr && i < n; ++i) second[i] *= fade_second;
    }

private:
    double rate(double eta, Index t) const {
        const double first = 1.0 - std::pow(options_.beta_1, double(t));
        const double second = 1.0 - std::pow(options_.beta_2, double(t));
        if (options_.name == "sgd") return options_.nesterovs_momentum ? options_.momentum : 1.0;
        if (options_.name == "rmsprop") return 0.0;
        if (options_.name == "nadam")
            return -eta * options_.beta_1 * std::sqrt(second) /
                   (1.0 - std::pow(options_.beta_1, double(t) + 1.0));
        return -eta * std::sqrt(second) / first;
    }
    double keep(Index first, Index last) const {
        return std::exp(log_keep_[std::size_t(last)] - log_keep_[std::size_t(first)]);
    }

    SolverOptions options_;
    double alpha_ = 0.0;
    double ratio_ = 0.0;  // by which the drift shrinks from one update to the next
    std::array<double, 2> fade_;
    Index longest_ = std::numeric_limits<Index>::max() / 2;  // updates until it is negligible
    Index n_updates_ = 0;
    std::vector<double> drift_;     // of the updates after the first ones, by their number
    std::vector<double> log_keep_;  // of the first ones
};

}  // namespace elman
