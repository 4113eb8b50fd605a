// Losses of one row: outputs a against targets y, and dl/da.
//
//     squared     (a - y)^2 / 2                       absolute   |a - y|
//     huber       (a - y)^2 / 2 where |a - y| <= d, else d (|a - y| - d / 2)
//     quantile    q (y - a) where y > a, else (1 - q) (a - y)       (Koenker & Bassett, 1978)
//     poisson     exp(a) - y a
//     gaussian    s + (y - m)^2 exp(-2 s) / 2 + log(2 pi) / 2       (Nix & Weigend, 1994)
//     student_t   s - log Gamma((v + 1) / 2) + log Gamma(v / 2) + log(pi v) / 2
//                 + (v + 1) / 2 log(1 + z^2 / v),  z = (y - m) exp(-s),  v = 2 + log(1 + exp(d))
//     negative_binomial, of mean exp(m) and variance exp(m) + exp(d) exp(m)^2: with r = exp(-d)
//                 log Gamma(y + 1) + log Gamma(r) - log Gamma(r + y) + y log r - y m
//                 + (r + y) log(1 + exp(m + d))
//     binary      log(1 + exp(a)) - y a
//     multiclass  log(sum_j exp(a_j)) - a_y
//
// Regression losses are means over the targets; "multilabel" is the sum of "binary" over the
// labels. What a target has several outputs for stands in blocks of one number a target: all m,
// then all s, then all d; of quantile a block for each level q, and the mean is over these too.
//
// A target of regression that is NaN is not known: it adds nothing, and the mean is over the
// others. Where none is known the loss is zero.
//
// Degrees of freedom v grow no faster than their output, and above 2 the variance is finite.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "elman/memory.hpp"
#include "elman/special.hpp"

namespace elman {

template <class T>
class Loss {
public:
    // parameters: the d of huber, or the levels q of quantile.
    explicit Loss(const std::string& name, const std::vector<double>& parameters = {1.0})
        : parameters_(parameters.begin(), parameters.end()) {
        static constexpr const char* names[] = {
            "squared",   "absolute",          "huber",  "quantile",   "poisson",   "gaussian",
            "student_t", "negative_binomial", "binary", "multilabel", "multiclass"};
        for (int kind = 0; kind < int(std::size(names)); ++kind)
            if (name == names[kind]) kind_ = Kind(kind);
        if (kind_ == Kind::none)
            throw std::invalid_argument("elman: there is no loss '" + name + "'");
        if (parameters.empty() || (parameters.size() > 1 && kind_ != Kind::quantile))
            throw std::invalid_argument("elman: loss '" + name + "' has one parameter, got " +
                                        std::to_string(parameters.size()));
        for (const double level : parameters)
            if (kind_ == Kind::quantile && !(level >= 0.0 && level <= 1.0))
                throw std::invalid_argument("elman: levels of quantiles must be in [0, 1], got " +
                                            std::to_string(level));
    }

    // Columns of the targets that belong to n_outputs outputs; 0 where they cannot be.
    Index n_targets(Index n_outputs) const {
        if (kind_ == Kind::multiclass) return 1;
        if (kind_ == Kind::binary) return n_outputs == 1 ? 1 : 0;
        return n_outputs % n_blocks() == 0 ? n_outputs / n_blocks() : 0;
    }

    bool has_classes() const { return kind_ == Kind::multiclass; }
    bool is_regression() const { return kind_ < Kind::binary; }

    // The blocks of outputs that shift with their targets, which are the first ones.
    Index n_locations() const { return kind_ == Kind::quantile ? n_blocks() : 1; }

    // Whether the loss of a row is the mean of what single numbers of it lose.
    bool is_pointwise() const { return kind_ < Kind::gaussian && n_blocks() == 1; }

    // What row() does for rows of one output, n of them side by side whose targets are known.
    void column(const T* a, const T* y, Index n, const T* scale, T* da, double* loss) const {
        with_element([&](const auto& element) {
            const T parameter = parameters_.front();
            for (Index i = 0; i < n; ++i) {
                T gradient;
                loss[i] = element(a[i], y[i], parameter, gradient);
                da[i] = scale[i] * gradient;
            }
        });
    }

    // Returns l and sets da = scale dl/da. The row a is padded to whole registers.
    double row(const T* a, const T* y, Index n_outputs, T scale, T* da) const {
        if (kind_ == Kind::multiclass) return multiclass(a, Index(y[0]), n_outputs, scale, da);
        if (!is_regression()) return labels(a, y, n_outputs, scale, da);
        const Index n = n_targets(n_outputs);
        const Index n_known = std::count_if(y, y + n, is_known);
        std::fill_n(da, n_known < n ? n_outputs : 0, T(0));
        if (n_known == 0) return 0.0;
        return is_density() ? density(a, y, n, n_known, scale, da)
                            : pointwise(a, y, n, n_known, scale, da);
    }

    // Calls function(row), where row(a, y, scale, da) does what row() does. Of single numbers the
    // kind of loss is looked up here, once for all rows.
    template <class Function>
    void with_row(Index n_outputs, const Function& function) const {
        if (n_outputs != 1 || !is_pointwise())
            return function([&](const T* a, const T* y, T scale, T* da) {
                return row(a, y, n_outputs, scale, da);
            });
        with_element([&](const auto& element) {
            const T parameter = parameters_.front();
            function([&](const T* a, const T* y, T scale, T* da) {
                if (!is_known(*y)) {
                    *da = T(0);
                    return 0.0;
                }
                T gradient;
                const double loss = element(*a, *y, parameter, gradient);
                *da = scale * gradient;
                return loss;
            });
        });
    }

private:
    enum class Kind {
        squared,
        absolute,
        huber,
        quantile,
        poisson,
        gaussian,
        student_t,
        negative_binomial,
        binary,
        multilabel,
        multiclass,
        none
    };

    template <class U>
    static U exponential(U x) {
        return exp(Vec<U>(x)).first();
    }
    template <class U>
    static U logistic(U x) {
        return sigmoid(Vec<U>(x)).first();
    }
    static double softplus(double x) {
        return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    }
    static T sign(T x) { return T((x > T(0)) - (x < T(0))); }
    static bool is_known(T y) { return y == y; }

    // Whether a target has outputs of different meanings.
    bool is_density() const { return kind_ >= Kind::gaussian && kind_ < Kind::binary; }
    Index n_blocks() const {
        if (kind_ == Kind::quantile) return Index(parameters_.size());
        return kind_ == Kind::student_t ? 3 : is_density() ? 2 : 1;
    }

    double labels(const T* a, const T* y, Index n_outputs, T scale, T* da) const {
        double sum = 0.0;
        for (Index j = 0; j < n_outputs; ++j) {
            da[j] = scale * (logistic(a[j]) - y[j]);
            sum += softplus(double(a[j])) - double(y[j]) * double(a[j]);
        }
        return sum;
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

    double pointwise(const T* a, const T* y, Index n, Index n_known, T scale, T* da) const {
        const Index n_terms = n_known * n_blocks();
        const T share = T(1) / T(n_terms);
        double sum = 0.0;
        with_element([&](const auto& element) {
            for (const T parameter : parameters_) {
                for (Index j = 0; j < n; ++j) {
                    if (!is_known(y[j])) continue;
                    T gradient;
                    sum += element(a[j], y[j], parameter, gradient);
                    da[j] = scale * share * gradient;
                }
                a += n;
                da += n;
            }
        });
        return sum / double(n_terms);
    }

    // Calls function(element), where element(a, y, parameter, gradient) is the loss of one number.
    template <class Function>
    void with_element(const Function& function) const {
        switch (kind_) {
            case Kind::squared:
                return function([](T a, T y, T, T& gradient) {
                    const double e = double(a) - double(y);
                    gradient = a - y;
                    return 0.5 * e * e;
                });
            case Kind::absolute:
                return function([](T a, T y, T, T& gradient) {
                    gradient = sign(a - y);
                    return std::abs(double(a) - double(y));
                });
            case Kind::huber:
                return function([](T a, T y, T parameter, T& gradient) {
                    const T error = a - y;
                    const double e = double(a) - double(y);
                    if (std::abs(error) <= parameter) {
                        gradient = error;
                        return 0.5 * e * e;
                    }
                    gradient = parameter * sign(error);
                    return double(parameter) * (std::abs(e) - 0.5 * double(parameter));
                });
            case Kind::quantile:
                return function([](T a, T y, T parameter, T& gradient) {
                    const T error = a - y;
                    const double e = double(a) - double(y);
                    gradient = error < T(0) ? -parameter : error > T(0) ? T(1) - parameter : T(0);
                    return e < 0.0 ? -double(parameter) * e : (1.0 - double(parameter)) * e;
                });
            default:  // poisson
                return function([](T a, T y, T, T& gradient) {
                    const T mean = exponential(a);
                    gradient = mean - y;
                    return double(mean) - double(y) * double(a);
                });
        }
    }

    double density(const T* a, const T* y, Index n, Index n_known, T scale, T* da) const {
        const T share = scale / T(n_known);
        double sum = 0.0;
        for (Index j = 0; j < n; ++j) {
            if (!is_known(y[j])) continue;
            if (kind_ == Kind::gaussian)
                sum += gaussian(a + j, n, y[j], share, da + j);
            else if (kind_ == Kind::student_t)
                sum += student_t(a + j, n, double(y[j]), double(share), da + j);
            else
                sum += negative_binomial(a + j, n, double(y[j]), double(share), da + j);
        }
        return sum / double(n_known);
    }

    static constexpr double half_log_two_pi = 0.91893853320467274178;

    // Of one target, whose outputs are n apart.
    double gaussian(const T* a, Index n, T y, T share, T* da) const {
        const T log_deviation = a[n];
        const T precision = exponential(T(-2) * log_deviation);
        const T error = a[0] - y;
        const T ratio = error * error * precision;
        da[0] = share * error * precision;
        da[n] = share * (T(1) - ratio);
        return double(log_deviation) + 0.5 * double(ratio) + half_log_two_pi;
    }

    double student_t(const T* a, Index n, double y, double share, T* da) const {
        const double log_scale = double(a[n]), d = double(a[2 * n]);
        const double v = 2.0 + softplus(d), inverse_scale = exponential(-log_scale);
        const double z = (y - double(a[0])) * inverse_scale, ratio = z * z / v;
        const double weight = (v + 1.0) / (v + z * z), tail = std::log1p(ratio);
        const GammaRatio gamma = gamma_ratio(0.5 * v, 0.5);
        da[0] = T(-share * weight * z * inverse_scale);
        da[n] = T(share * (1.0 - weight * z * z));
        da[2 * n] = T(share * logistic(d) * 0.5 * (tail - weight * ratio - gamma.slope));
        return log_scale + half_log_two_pi - gamma.log + 0.5 * (v + 1.0) * tail;
    }

    double negative_binomial(const T* a, Index n, double y, double share, T* da) const {
        const double log_mean = double(a[0]), log_dispersion = double(a[n]);
        const double r = exponential(-log_dispersion), both = log_mean + log_dispersion;
        const double p = logistic(both), q = logistic(-both), tail = softplus(both);
        const GammaRatio gamma = gamma_ratio(r, y);
        da[0] = T(share * (r * p - y * q));
        da[n] = T(share * (r * (gamma.slope - tail) + (r + y) * p));
        return gamma_ratio(1.0, y).log - gamma.log - y * log_mean + (r + y) * tail;
    }

    Kind kind_ = Kind::none;
    std::vector<T> parameters_;
};

}  // namespace elman
