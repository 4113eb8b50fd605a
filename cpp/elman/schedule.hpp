// The learning rate of update t = 0, 1, ...
//
//     constant    eta
//     invscaling  eta / (t + 1)^power_t
//     cosine      eta (t + 1) / warmup                                   while t < warmup, then
//                 eta / 2 (1 + cos(pi (t - warmup) / (total - warmup)))  (Loshchilov & Hutter,
//                 2017)
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "elman/simd.hpp"

namespace elman {

struct Schedule {
    std::string name = "constant";
    double power_t = 0.5;
    Index warmup_steps = 0;
    Index total_steps = 0;

    void check() const {
        if (name != "constant" && name != "invscaling" && name != "cosine")
            throw std::invalid_argument("elman: there is no schedule '" + name + "'");
        if (name == "cosine" && (warmup_steps < 0 || total_steps <= warmup_steps))
            throw std::invalid_argument(
                "elman: a cosine schedule needs total_steps beyond its warm-up");
    }

    double rate(double eta, Index t) const {
        constexpr double pi = 3.14159265358979323846;
        if (name == "invscaling") return eta / std::pow(double(t) + 1.0, power_t);
        if (name == "constant") return eta;
        if (t < warmup_steps) return eta * double(t + 1) / double(warmup_steps);
        const double progress =
            std::min(1.0, double(t - warmup_steps) / double(total_steps - warmup_steps));
        return 0.5 * eta * (1.0 + std::cos(pi * progress));
    }
};

}  // namespace elman
