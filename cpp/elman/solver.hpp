// Solvers: from a gradient g and their moments to the change of a weight. t counts from 1.
//
//     sgd      v <- mu v - eta g;  change = v,  Nesterov: mu v - eta g
//     rmsprop  v <- b2 v + (1 - b2) g^2;  change = -eta g / (sqrt(v) + e)      (Hinton, 2012)
//     adam     m <- b1 m + (1 - b1) g,  v as above;
//              change = -eta sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + e)     (Kingma & Ba, 2015)
//     adamw    adam, with W <- (1 - eta alpha) W before                        (Loshchilov &
//     Hutter, 2019) nadam    change = -eta mh / (sqrt(v / (1 - b2^t)) + e),
//              mh = b1 m / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t)            (Dozat, 2016)
#pragma once

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <variant>

#include "elman/memory.hpp"

namespace elman {

struct SolverOptions {
    std::string name = "adam";
    double momentum = 0.9;
    bool nesterovs_momentum = true;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-8;
};

// Each solver's constants of one update, as registers.
template <class T>
struct Sgd {
    static constexpr int n_moments = 1;
    Vec<T> momentum, rate;
    bool nesterov;

    Sgd(const SolverOptions& options, double eta, Index)
        : momentum(T(options.momentum)), rate(T(eta)), nesterov(options.nesterovs_momentum) {}

    Vec<T> change(const Vec<T>& g, Vec<T>* moments) const {
        const Vec<T> descent = Vec<T>::zero() - rate * g;
        moments[0] = fma(momentum, moments[0], descent);
        return nesterov ? fma(momentum, moments[0], descent) : moments[0];
    }
};

template <class T>
struct Rmsprop {
    static constexpr int n_moments = 1;
    Vec<T> beta_2, one_minus_beta_2, rate, epsilon;

    Rmsprop(const SolverOptions& options, double eta, Index)
        : beta_2(T(options.beta_2)),
          one_minus_beta_2(T(1.0 - options.beta_2)),
          rate(T(-eta)),
          epsilon(T(options.epsilon)) {}

    Vec<T> change(const Vec<T>& g, Vec<T>* moments) const {
        moments[0] = fma(beta_2, moments[0], one_minus_beta_2 * (g * g));
        return rate * g / (sqrt(moments[0]) + epsilon);
    }
};

template <class T>
struct Adam {
    static constexpr int n_moments = 2;
    Vec<T> beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, rate, epsilon;

    Adam(const SolverOptions& options, double eta, Index t)
        : beta_1(T(options.beta_1)),
          one_minus_beta_1(T(1.0 - options.beta_1)),
          beta_2(T(options.beta_2)),
          one_minus_beta_2(T(1.0 - options.beta_2)),
          rate(T(-eta * std::sqrt(1.0 - std::pow(options.beta_2, double(t))) /
                 (1.0 - std::pow(options.beta_1, double(t))))),
          epsilon(T(options.epsilon)) {}

    Vec<T> change(const Vec<T>& g, Vec<T>* moments) const {
        moments[0] = fma(beta_1, moments[0], one_minus_beta_1 * g);
        moments[1] = fma(beta_2, moments[1], one_minus_beta_2 * (g * g));
        return rate * moments[0] / (sqrt(moments[1]) + epsilon);
    }
};

template <class T>
struct Nadam {
    static constexpr int n_moments = 2;
    Vec<T> beta_1, one_minus_beta_1, beta_2, one_minus_beta_2;
    Vec<T> momentum_share, gradient_share, second_share, rate, epsilon;

    Nadam(const SolverOptions& options, double eta, Index t)
        : beta_1(T(options.beta_1)),
          one_minus_beta_1(T(1.0 - options.beta_1)),
          beta_2(T(options.beta_2)),
          one_minus_beta_2(T(1.0 - options.beta_2)),
          momentum_share(T(options.beta_1 / (1.0 - std::pow(options.beta_1, double(t) + 1.0)))),
          gradient_share(T((1.0 - options.beta_1) / (1.0 - std::pow(options.beta_1, double(t))))),
          second_share(T(1.0 / (1.0 - std::pow(options.beta_2, double(t))))),
          rate(T(-eta)),
          epsilon(T(options.epsilon)) {}

    Vec<T> change(const Vec<T>& g, Vec<T>* moments) const {
        moments[0] = fma(beta_1, moments[0], one_minus_beta_1 * g);
        moments[1] = fma(beta_2, moments[1], one_minus_beta_2 * (g * g));
        const Vec<T> m = fma(momentum_share, moments[0], gradient_share * g);
        return rate * m / (sqrt(second_share * moments[1]) + epsilon);
    }
};

// Calls function(solver) with the constants of update t.
template <class T, class Function>
auto with_solver(const SolverOptions& options, double eta, Index t, const Function& function) {
    if (options.name == "sgd") return function(Sgd<T>(options, eta, t));
    if (options.name == "rmsprop") return function(Rmsprop<T>(options, eta, t));
    if (options.name == "nadam") return function(Nadam<T>(options, eta, t));
    if (options.name == "adam" || options.name == "adamw")
        return function(Adam<T>(options, eta, t));
    throw std::invalid_argument("elman: there is no solver '" + options.name + "'");
}

template <class T>
Index solver_moments(const SolverOptions& options) {
    return with_solver<T>(options, 0.0, 1,
                          [](const auto& solver) { return Index(solver.n_moments); });
}

// w = keep w + change of a gradient, for one register of weights and their moments.
template <class T, class Solver>
void update_register(const Solver& solver, const Vec<T>& gradient, const Vec<T>& keep, T* w,
                     T* first, T* second) {
    Vec<T> moment[2] = {Vec<T>::load(first), Vec<T>::load(second)};
    const Vec<T> change = solver.change(gradient, moment);
    fma(keep, Vec<T>::load(w), change).store(w);
    moment[0].store(first);
    if (Solver::n_moments > 1) moment[1].store(second);
}

// weights = keep * weights + change of scale * gradient, for n weights; moments[i] belong to them.
template <class T, class Solver>
void update(const Solver& solver, Index n, const T* gradient, T scale, T keep, T* weights,
            const std::array<T*, 2>& moments) {
    using V = Vec<T>;
    constexpr Index width = V::width;
    const auto step = [&](const T* g, T* w, T* first, T* second) {
        update_register(solver, V(scale) * V::load(g), V(keep), w, first, second);
    };
    T* const second = Solver::n_moments > 1 ? moments[1] : moments[0];
    Index i = 0;
    for (; i + width <= n; i += width) step(gradient + i, weights + i, moments[0] + i, second + i);
    if (i == n) return;
    // The last weights do not fill a register: they take a detour through one that they do.
    std::array<T, std::size_t(width)> g{}, w{}, first{}, last{};
    std::copy(gradient + i, gradient + n, g.begin());
    std::copy(weights + i, weights + n, w.begin());
    std::copy(moments[0] + i, moments[0] + n, first.begin());
    std::copy(second + i, second + n, last.begin());
    step(g.data(), w.data(), first.data(), last.data());
    std::copy_n(w.begin(), n - i, weights + i);
    std::copy_n(first.begin(), n - i, moments[0] + i);
    if (Solver::n_moments > 1) std::copy_n(last.begin(), n - i, second + i);
}

}  // namespace elman
