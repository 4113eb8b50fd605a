// Vec<T>: one register of T, over Eigen's packet operations; exp, tanh and sigmoid on it.
//
// The algorithms are written once on Vec; Eigen chooses the instructions for the ISA that the
// module is compiled for. All functions are made of operations on single lanes (FMA, division,
// shifts), so a lane's result depends neither on its position nor on its neighbours, and Vecs
// of any width give the same bits wherever the machine has an FMA.
//
// With x = n log 2 + r, |r| <= log(2) / 2, and p(r) = exp(r) - 1 = r + r^2 q(r):
//
//     exp(x)     = 2^n (1 + p(r))
//     exp(x) - 1 = 2^n p(r) + (2^n - 1)
//     tanh(x)    = m / (m + 2),  m = exp(2 x) - 1
//     sigmoid(x) = 1 / (1 + exp(-x))
//
// q is a Chebyshev fit of degree 4 (float: 8e-9 relative to exp) or 9 (double: 2e-17).
// Largest errors seen in the tests, in units in the last place: exp 2, sigmoid 3, tanh 4.
#pragma once

#include <Eigen/Core>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace elman {

using Index = std::int64_t;

template <class T>
struct Vec {
    using Packet = typename Eigen::internal::packet_traits<T>::type;
    static constexpr int width = Eigen::internal::unpacket_traits<Packet>::size;

    Packet packet;

    Vec() = default;
    explicit Vec(const Packet& p) : packet(p) {}
    explicit Vec(T value) : packet(Eigen::internal::pset1<Packet>(value)) {}

    static Vec load(const T* from) { return Vec(Eigen::internal::ploadu<Packet>(from)); }
    static Vec broadcast(const T* from) { return Vec(Eigen::internal::pload1<Packet>(from)); }
    static Vec zero() { return Vec(T(0)); }
    void store(T* to) const { Eigen::internal::pstoreu<T>(to, packet); }
    T first() const { return Eigen::internal::pfirst(packet); }

    friend Vec operator+(const Vec& a, const Vec& b) {
        return Vec(Eigen::internal::padd(a.packet, b.packet));
    }
    friend Vec operator-(const Vec& a, const Vec& b) {
        return Vec(Eigen::internal::psub(a.packet, b.packet));
    }
    friend Vec operator*(const Vec& a, const Vec& b) {
        return Vec(Eigen::internal::pmul(a.packet, b.packet));
    }
    friend Vec operator/(const Vec& a, const Vec& b) {
        return Vec(Eigen::internal::pdiv(a.packet, b.packet));
    }
};

// n registers that go through the same operations side by side: where each operation of a result
// waits for the last, the processor looks far enough ahead to be busy.
template <class T, int n>
struct Vecs {
    static constexpr int width = n * Vec<T>::width;

    Vec<T> parts[n];

    Vecs() = default;
    explicit Vecs(T value) : Vecs(each([&](int) { return Vec<T>(value); })) {}

    template <class Function>
    static Vecs each(const Function& function) {
        Vecs result;
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i) result.parts[i] = function(i);
        return result;
    }
    static Vecs broadcast(const T* from) { return Vecs(*from); }
    static Vecs zero() { return Vecs(T(0)); }
    static Vecs load(const T* from) {
        return each([&](int i) { return Vec<T>::load(from + i * Vec<T>::width); });
    }
    void store(T* to) const {
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i) parts[i].store(to + i * Vec<T>::width);
    }

    friend Vecs operator+(const Vecs& a, const Vecs& b) {
        return each([&](int i) { return a.parts[i] + b.parts[i]; });
    }
    friend Vecs operator-(const Vecs& a, const Vecs& b) {
        return each([&](int i) { return a.parts[i] - b.parts[i]; });
    }
    friend Vecs operator*(const Vecs& a, const Vecs& b) {
        return each([&](int i) { return a.parts[i] * b.parts[i]; });
    }
    friend Vecs operator/(const Vecs& a, const Vecs& b) {
        return each([&](int i) { return a.parts[i] / b.parts[i]; });
    }
};

// Asks for the cache line of an address, which need not exist, into the second-level cache.
inline void prefetch(const void* address) {
#if defined(__GNUC__)
    __builtin_prefetch(address, 0, 2);
#else
    (void)address;
#endif
}

// a b + c, rounded once where the ISA has an FMA.
template <class T>
inline Vec<T> fma(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
    return Vec<T>(Eigen::internal::pmadd(a.packet, b.packet, c.packet));
}

template <class T, int n>
inline Vecs<T, n> fma(const Vecs<T, n>& a, const Vecs<T, n>& b, const Vecs<T, n>& c) {
    return Vecs<T, n>::each([&](int i) { return fma(a.parts[i], b.parts[i], c.parts[i]); });
}

// A NaN in x survives: Eigen's pmin and pmax give back their first argument then.
template <class T>
inline Vec<T> clamp(const Vec<T>& x, T low, T high) {
    using Eigen::internal::pmax;
    using Eigen::internal::pmin;
    return Vec<T>(pmax(pmin(x.packet, Vec<T>(high).packet), Vec<T>(low).packet));
}

template <class T, int n>
inline Vecs<T, n> clamp(const Vecs<T, n>& x, T low, T high) {
    return Vecs<T, n>::each([&](int i) { return clamp(x.parts[i], low, high); });
}

template <class T>
inline Vec<T> min(const Vec<T>& a, const Vec<T>& b) {
    return Vec<T>(Eigen::internal::pmin(a.packet, b.packet));
}
template <class T>
inline Vec<T> max(const Vec<T>& a, const Vec<T>& b) {
    return Vec<T>(Eigen::internal::pmax(a.packet, b.packet));
}

template <class T, int n>
inline Vecs<T, n> min(const Vecs<T, n>& a, const Vecs<T, n>& b) {
    return Vecs<T, n>::each([&](int i) { return min(a.parts[i], b.parts[i]); });
}
template <class T, int n>
inline Vecs<T, n> max(const Vecs<T, n>& a, const Vecs<T, n>& b) {
    return Vecs<T, n>::each([&](int i) { return max(a.parts[i], b.parts[i]); });
}

// value where x > 0, else 0.
template <class T>
inline Vec<T> where_positive(const Vec<T>& x, const Vec<T>& value) {
    using namespace Eigen::internal;
    return Vec<T>(pand(pcmp_lt(pset1<typename Vec<T>::Packet>(T(0)), x.packet), value.packet));
}

template <class T, int n>
inline Vecs<T, n> where_positive(const Vecs<T, n>& x, const Vecs<T, n>& value) {
    return Vecs<T, n>::each([&](int i) { return where_positive(x.parts[i], value.parts[i]); });
}

template <class T>
inline Vec<T> sqrt(const Vec<T>& x) {
    return Vec<T>(Eigen::internal::psqrt(x.packet));
}

namespace detail {

template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
    using Bits = std::uint32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr int bias = 127;
    static constexpr float low = -87.0f, high = 88.0f;
    static constexpr float saturation = 10.0f;  // tanh(x) rounds to 1 beyond it
    static constexpr float log2_e = 1.44269504088896341f;
    static constexpr float log_2_high = 0.693359375f, log_2_low = -2.12194440e-4f;
    static constexpr float q[] = {0.5f, 0.16666576845976f, 0.041666554437686f, 0.008363202971576f,
                                  0.001392621346633f};
};

template <>
struct ExpConstants<double> {
    using Bits = std::uint64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr int bias = 1023;
    static constexpr double low = -708.0, high = 709.0;
    static constexpr double saturation = 20.0;
    static constexpr double log2_e = 1.44269504088896340736;
    static constexpr double log_2_high = 6.93145751953125e-1;
    static constexpr double log_2_low = 1.42860682030941723212e-6;
    static constexpr double q[] = {0.50000000000000010262,     0.16666666666666667456,
                                   0.041666666666623991516,    0.0083333333333300513464,
                                   0.0013888888917281793308,   0.00019841269863105968748,
                                   0.000024801521190217727651, 2.7557268378684192873e-6,
                                   2.7620138719733995569e-7,   2.5100424157005066788e-8};
};

// Moves the low bits of each lane into its exponent.
template <class T>
inline Vec<T> low_bits_as_exponent(const Vec<T>& x) {
    using Constants = ExpConstants<T>;
    using Bits = typename Constants::Bits;
    Vec<T> result;
#if defined(__GNUC__)
    typedef Bits Lanes __attribute__((vector_size(sizeof(Bits) * Vec<T>::width)));
    Lanes lanes;
    std::memcpy(&lanes, &x.packet, sizeof lanes);
    lanes <<= Constants::mantissa_bits;
    std::memcpy(&result.packet, &lanes, sizeof lanes);
#else
    Bits lanes[Vec<T>::width];
    std::memcpy(lanes, &x.packet, sizeof lanes);
    for (Bits& lane : lanes) lane <<= Constants::mantissa_bits;
    std::memcpy(&result.packet, lanes, sizeof lanes);
#endif
    return result;
}

template <class T, int n>
inline Vecs<T, n> low_bits_as_exponent(const Vecs<T, n>& x) {
    return Vecs<T, n>::each([&](int i) { return low_bits_as_exponent(x.parts[i]); });
}

// x = n log 2 + r: scale = 2^n, p = exp(r) - 1. Here and below V is a register or several. Always
// inlined, for a call would hand registers over in memory, which took up to a tenth of a step.
template <class T, class V>
[[gnu::always_inline]] inline void split_exp(const V& x, V& scale, V& p) {
    using Constants = ExpConstants<T>;
    // Adding 1.5 * 2^mantissa_bits rounds to an integer that stands in the low bits; the bias
    // rides along, so that those bits are the exponent of 2^n.
    constexpr T magic = T(3) * T(Index(1) << (Constants::mantissa_bits - 1)) + T(Constants::bias);
    const V shifted = fma(x, V(Constants::log2_e), V(magic));
    const V n = shifted - V(magic);
    V r = fma(n, V(-Constants::log_2_high), x);
    r = fma(n, V(-Constants::log_2_low), r);
    constexpr int degree = sizeof(Constants::q) / sizeof(T) - 1;
    V q(Constants::q[degree]);
#pragma GCC unroll 16
    for (int k = degree - 1; k >= 0; --k) q = fma(q, r, V(Constants::q[k]));
    p = fma(r * r, q, r);
    scale = low_bits_as_exponent(shifted);
}

template <class T, class V>
[[gnu::always_inline]] inline V exp_of(const V& x) {
    using Constants = ExpConstants<T>;
    V scale, p;
    split_exp<T>(clamp(x, Constants::low, Constants::high), scale, p);
    return fma(scale, p, scale);
}
template <class T, class V>
[[gnu::always_inline]] inline V sigmoid_of(const V& x) {
    const V one(T(1));
    return one / (one + exp_of<T>(V(T(0)) - x));
}
template <class T, class V>
[[gnu::always_inline]] inline V tanh_of(const V& x) {
    using Constants = ExpConstants<T>;
    const V bounded = clamp(x, -Constants::saturation, Constants::saturation);
    V scale, p;
    split_exp<T>(bounded + bounded, scale, p);
    const V m = fma(scale, p, scale - V(T(1)));
    return m / (m + V(T(2)));
}

}  // namespace detail

// Saturates at exp(-87) and exp(88) in float, exp(-708) and exp(709) in double.
template <class T>
inline Vec<T> exp(const Vec<T>& x) {
    return detail::exp_of<T>(x);
}
template <class T, int n>
inline Vecs<T, n> exp(const Vecs<T, n>& x) {
    return detail::exp_of<T>(x);
}

template <class T>
[[gnu::always_inline]] inline Vec<T> sigmoid(const Vec<T>& x) {
    return detail::sigmoid_of<T>(x);
}
template <class T, int n>
[[gnu::always_inline]] inline Vecs<T, n> sigmoid(const Vecs<T, n>& x) {
    return detail::sigmoid_of<T>(x);
}

template <class T>
[[gnu::always_inline]] inline Vec<T> tanh(const Vec<T>& x) {
    return detail::tanh_of<T>(x);
}
template <class T, int n>
[[gnu::always_inline]] inline Vecs<T, n> tanh(const Vecs<T, n>& x) {
    return detail::tanh_of<T>(x);
}

}  // namespace elman
