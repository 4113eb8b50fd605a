// Losses of one row: outputs a against targets y, and dl/da.
//
//     squared     (a - y)^2 / 2                       absolute   |a - y|
//     huber       (a - y)^2 / 2 where |a - y| <= d, else d (|a - y| - d / 2)
//     quantile    q (y - a) where y > a, else (1 - q) (a - y)       (Koenker & Bassett, 1978)
//     poisson     exp(a) - y a
//     gaussian    s + (y - m)^2 exp(-2 s) / 2 + log(2 pi) / 2       (Nix & Weigend, 1994)
//     binary      log(1 + exp(a)) - y a
//     multiclass  log(sum_j exp(a_j)) - a_y
//
// Regression losses are means over the targets; "multilabel" is the sum of "binary" over the
// labels. A gaussian row holds k means m, then k logarithms s of standard deviations.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>

#include "elman/memory.hpp"

namespace elman {

template <class T>
class Loss {
public:
    Loss(const std::string& name, double parameter) : parameter_(T(parameter)) {
        static constexpr const char* names[] = {"squared",  "absolute",   "huber",
                                                "quantile", "poisson",    "gaussian",
                                                "binary",   "multilabel", "multiclass"};
        for (int kind = 0; kind < int(std::size(names)); ++kind)
            if (name == names[kind]) kind_ = Kind(kind);
        if (kind_ == Kind::none)
            throw std::invalid_argument("elman: there is no loss '" + name + "'");
    }

    // Columns of the targets that belong to n_outputs outputs; 0 where they cannot be.
    Index n_targets(Index n_outputs) const {
        if (kind_ == Kind::gaussian) return n_outputs % 2 == 0 ? n_outputs / 2 : 0;
        if (kind_ == Kind::multiclass) return 1;
        if (kind_ == Kind::binary) return n_outputs == 1 ? 1 : 0;
        return n_outputs;
    }

    bool has_classes() const { return kind_ == Kind::multiclass; }

    // Returns l and sets da = scale dl/da. The row a is padded to whole registers.
    double row(const T* a, const T* y, Index n_outputs, T scale, T* da) const {
        switch (kind_) {
            case Kind::gaussian:
                return gaussian(a, y, n_outputs / 2, scale, da);
            case Kind::multiclass:
                return multiclass(a, Index(y[0]), n_outputs, scale, da);
            default:
                break;
        }
        const bool is_sum = kind_ == Kind::binary || kind_ == Kind::multilabel;
        const T share = is_sum ? T(1) : T(1) / T(n_outputs);
        double sum = 0.0;
        for (Index j = 0; j < n_outputs; ++j) {
            T gradient;
            sum += element(a[j], y[j], gradient);
            da[j] = scale * share * gradient;
        }
        return is_sum ? sum : sum / double(n_outputs);
    }

private:
    enum class Kind {
        squared,
        absolute,
        huber,
        quantile,
        poisson,
        gaussian,
        binary,
        multilabel,
        multiclass,
        none
    };

    static T exponential(T x) { return exp(Vec<T>(x)).first(); }
    static T logistic(T x) { return sigmoid(Vec<T>(x)).first(); }
    static T sign(T x) { return T((x > T(0)) - (x < T(0))); }

    double element(T a, T y, T& gradient) const {
        const T error = a - y;
        const double e = double(a) - double(y);
        switch (kind_) {
            case Kind::squared:
                gradient = error;
                return 0.5 * e * e;
            case Kind::absolute:
                gradient = sign(error);
                return std::abs(e);
            case Kind::huber:
                if (std::abs(error) <= parameter_) {
                    gradient = error;
                    return 0.5 * e * e;
                }
                gradient = parameter_ * sign(error);
                return double(parameter_) * (std::abs(e) - 0.5 * double(parameter_));
            case Kind::quantile:
                gradient = error < T(0) ? -parameter_ : error > T(0) ? T(1) - parameter_ : T(0);
                return e < 0.0 ? -double(parameter_) * e : (1.0 - double(parameter_)) * e;
            case Kind::poisson: {
                const T mean = exponential(a);
                gradient = mean - y;
                return double(mean) - double(y) * double(a);
            }
            default:  // binary, multilabel
                gradient = logistic(a) - y;
                return std::max(double(a), 0.0) + std::log1p(std::exp(-std::abs(double(a)))) -
                       double(y) * double(a);
        }
    }

    double gaussian(const T* a, const T* y, Index n_targets, T scale, T* da) const {
        constexpr double half_log_two_pi = 0.91893853320467274178;
        const T share = scale / T(n_targets);
        double sum = 0.0;
        for (Index j = 0; j < n_targets; ++j) {
            const T log_deviation = a[n_targets + j];
            const T precision = exponential(T(-2) * log_deviation);
            const T error = a[j] - y[j];
            const T ratio = error * error * precision;
            da[j] = share * error * precision;
            da[n_targets + j] = share * (T(1) - ratio);
            sum += double(log_deviation) + 0.5 * double(ratio) + half_log_two_pi;
        }
        return sum / double(n_targets);
    }

    double multiclass(const T* a, Index y, Index n_outputs, T scale, T* da) const {
        T largest = a[0];
        for (Index j = 1; j < n_outputs; ++j) largest = std::max(largest, a[j]);
        for (Index j = 0; j < n_outputs; j += Vec<T>::width)
            exp(Vec<T>::load(a + j) - Vec<T>(largest)).store(da + j);
        T sum = T(0);
        for (Index j = 0; j < n_outputs; ++j) sum += da[j];
        for (Index j = 0; j < n_outputs; ++j) da[j] = scale * (da[j] / sum);
        da[y] -= scale;
        return double(largest) + std::log(double(sum)) - double(a[y]);
    }

    Kind kind_ = Kind::none;
    T parameter_;
};

}  // namespace elman
