// Vectors as wide as the machine's registers, and exp, log and sums on them.
//
// Written with the vector types that GCC and Clang share, so that one source serves AVX-512, AVX2, SSE and NEON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int float_bytes = 64, double_bytes = 64;
#elif defined(__AVX__)
constexpr int float_bytes = 32, double_bytes = 32;
#else
constexpr int float_bytes = 16, double_bytes = 32;  // a block's four rows need four lanes: two registers for doubles
#endif
constexpr int alignment = 64;

using Floats = float __attribute__((vector_size(float_bytes)));
using Doubles = double __attribute__((vector_size(double_bytes)));
using FloatBits = std::int32_t __attribute__((vector_size(float_bytes)));
using DoubleBits = std::int64_t __attribute__((vector_size(double_bytes)));
using FewFloats = float __attribute__((vector_size(double_bytes / 2)));  // as many as there are Doubles

template <class T> struct Format;
template <> struct Format<float> {
    using Vector = Floats;
    using Bits = FloatBits;
    static constexpr int mantissa = 23, exp_degree = 7, log_terms = 5;
    static constexpr float smallest = 0x1p-126f, magic = 0x1.8p23f;  // x + magic has round(x) in its lowest bits
    static constexpr float lowest_exponent = -87, highest_exponent = 88;
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
};
template <> struct Format<double> {
    using Vector = Doubles;
    using Bits = DoubleBits;
    static constexpr int mantissa = 52, exp_degree = 13, log_terms = 11;
    static constexpr double smallest = 0x1p-1022, magic = 0x1.8p52;
    static constexpr double lowest_exponent = -708, highest_exponent = 709;
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
};
template <class T> using Vector = typename Format<T>::Vector;
template <class T> constexpr int lanes = sizeof(Vector<T>) / sizeof(T);

template <class T> inline Vector<T> fill(T value) { return value - Vector<T>{}; }

template <class T> inline Vector<T> load(const T* from) { return *reinterpret_cast<const Vector<T>*>(from); }

template <class V, class T> inline void store(T* to, V value) { *reinterpret_cast<V*>(to) = value; }

// As many numbers as `Doubles` holds, whatever their type.
inline Doubles load_wide(const double* from) { return load(from); }
inline Doubles load_wide(const float* from) {
    return __builtin_convertvector(*reinterpret_cast<const FewFloats*>(from), Doubles);
}
inline void store_wide(double* to, Doubles value) { store(to, value); }
inline void store_wide(float* to, Doubles value) {
    *reinterpret_cast<FewFloats*>(to) = __builtin_convertvector(value, FewFloats);
}

template <class V> inline V smaller(V x, V y) { return x < y ? x : y; }
template <class V> inline V larger(V x, V y) { return x > y ? x : y; }

// shuffle(x, y, pick): lane l is lane pick(l) of x followed by y.
template <class V, class Pick, std::size_t... l>
inline V shuffle(V x, V y, Pick pick, std::index_sequence<l...>) {
#if defined(__clang__)
    return __builtin_shufflevector(x, y, static_cast<int>(pick(int(l)))...);
#else
    using Bits = decltype(x < y);
    return __builtin_shuffle(x, y, Bits{pick(int(l))...});
#endif
}
template <class V, class Pick> inline V shuffle(V x, V y, Pick pick) {
    return shuffle(x, y, pick, std::make_index_sequence<sizeof(V) / sizeof(x[0])>());
}

// Lane groups: a vector in four equal parts, of which part r speaks for row r of a block of four rows.
constexpr int block_rows = 4;
template <class T> constexpr int group = lanes<T> / block_rows;

// The sums of four vectors' lanes, each sum in all lanes of its group.
template <class T> inline Vector<T> group_sums(Vector<T> x0, Vector<T> x1, Vector<T> x2, Vector<T> x3) {
    constexpr int all = lanes<T>, half = all / 2, part = group<T>;
    auto lower_halves = [](int l) { return l < half ? l : all + l - half; };
    auto upper_halves = [](int l) { return l < half ? l + half : all + l; };
    auto even_parts = [](int l) { return l / part * 2 * part + l % part; };
    auto odd_parts = [](int l) { return l / part * 2 * part + part + l % part; };
    Vector<T> x01 = shuffle(x0, x1, lower_halves) + shuffle(x0, x1, upper_halves);
    Vector<T> x23 = shuffle(x2, x3, lower_halves) + shuffle(x2, x3, upper_halves);
    Vector<T> sum = shuffle(x01, x23, even_parts) + shuffle(x01, x23, odd_parts);
    if constexpr (part >= 4) sum += shuffle(sum, sum, [](int l) { return l ^ 2; });
    if constexpr (part >= 2) sum += shuffle(sum, sum, [](int l) { return l ^ 1; });
    return sum;
}

// Group r of x in all lanes.
template <class T, int r> inline Vector<T> spread(Vector<T> x) {
    return shuffle(x, x, [](int) { return r * group<T>; });
}

template <class T, class Combine> inline T across(Vector<T> x, Combine combine) {
    T result = x[0];
    for (int l = 1; l < lanes<T>; ++l) result = combine(result, x[l]);
    return result;
}
inline double sum(Doubles x) {
    return across<double>(x, [](double p, double q) { return p + q; });
}
template <class T> inline T smallest(Vector<T> x) {
    return across<T>(x, [](T p, T q) { return p < q ? p : q; });
}
template <class T> inline T largest(Vector<T> x) {
    return across<T>(x, [](T p, T q) { return p > q ? p : q; });
}

template <class V> inline bool any_below(V x, V y) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    if constexpr (sizeof(x[0]) == 4) return _mm512_cmp_ps_mask(__m512(x), __m512(y), _CMP_LT_OQ) != 0;
    else return _mm512_cmp_pd_mask(__m512d(x), __m512d(y), _CMP_LT_OQ) != 0;
#else
    const auto below = x < y;
    auto any = below[0];
    for (int l = 1; l < int(sizeof(V) / sizeof(x[0])); ++l) any |= below[l];
    return any != 0;
#endif
}

template <class To, class From> inline To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

struct InverseFactorials {
    double of[16];
    constexpr InverseFactorials() : of{1} {
        double factorial = 1;
        for (int n = 1; n < 16; ++n) of[n] = 1 / (factorial *= n);
    }
};

// exp by 2^k Taylor(remainder), |remainder| <= log(2) / 2; arguments are clamped to where the result is normal.
// The default degree is exact to rounding.
template <class T, int degree = Format<T>::exp_degree> inline Vector<T> exp(Vector<T> x) {
    using F = Format<T>;
    constexpr InverseFactorials inverse_factorial;
    x = larger(x, fill<T>(F::lowest_exponent));
    x = smaller(x, fill<T>(F::highest_exponent));
    Vector<T> shifted = x * T(1.4426950408889634) + F::magic;
    Vector<T> k = shifted - F::magic;
    Vector<T> rest = (x - k * F::ln2_high) - k * F::ln2_low;
    Vector<T> result = fill<T>(T(inverse_factorial.of[degree]));
    for (int n = degree - 1; n >= 0; --n) result = result * rest + T(inverse_factorial.of[n]);
    auto power = bit_cast<typename F::Bits>(shifted) << F::mantissa;
    return bit_cast<Vector<T>>(bit_cast<typename F::Bits>(result) + power);
}

// log by x = 2^e m, m about 1, and the series of the inverse hyperbolic tangent; of what is not positive the log of
// the smallest normal number.
template <class T> inline Vector<T> log(Vector<T> x) {
    using F = Format<T>;
    using Bits = typename F::Bits;
    const Bits root_half = bit_cast<Bits>(fill<T>(T(0.7071067811865476)));
    Bits bits = bit_cast<Bits>(larger(x, fill<T>(F::smallest)));
    Bits e = (bits - root_half) >> F::mantissa;
    Vector<T> m = bit_cast<Vector<T>>(bits - (e << F::mantissa));
    Vector<T> exponent = bit_cast<Vector<T>>(e + bit_cast<Bits>(fill<T>(F::magic))) - F::magic;
    Vector<T> s = (m - 1) / (m + 1), square = s * s;
    Vector<T> series = fill<T>(T(1) / (2 * F::log_terms + 1));
    for (int n = F::log_terms - 1; n >= 0; --n) series = series * square + T(1) / (2 * n + 1);
    return exponent * F::ln2_high + (2 * s * series + exponent * F::ln2_low);
}
