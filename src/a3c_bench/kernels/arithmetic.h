// What every kernel is made of: sixteen numbers at a time, one way to multiply and add, and three functions.
//
// The bits of a result are decided here and in products.h, never by the compiler or the CPU: it may not fuse a product
// with a sum of its own accord (-ffp-contract=off), nor reorder a sum. How wide the CPU's registers are decides the
// speed alone.

#pragma once
#include <stdint.h>

enum { LANES = 16 };

typedef float floats __attribute__((vector_size(4 * LANES)));

// a · b + c, rounded once.
static inline float fused(float a, float b, float c) {
#if defined __FMA__ || defined __aarch64__
    return __builtin_fmaf(a, b, c);
#else
    // The product is exact in float64. The sum is rounded to odd, so that the second rounding does no harm (Boldo and
    // Melquiond 2008).
    double product = (double)a * (double)b, sum = product + (double)c;
    double added = sum - product, lost = (product - (sum - added)) + ((double)c - added);
    int64_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    int64_t towards = (lost > 0) == (sum > 0) ? 1 : -1;
    bits += (lost > 0 || lost < 0) && !(bits & 1) ? towards : 0;
    __builtin_memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
#endif
}

static inline floats fused_lanes(floats a, floats b, floats c) {
#if defined __FMA__ || defined __aarch64__
    return __builtin_elementwise_fma(a, b, c);
#else
    floats result;
    for (int lane = 0; lane < LANES; lane++) result[lane] = fused(a[lane], b[lane], c[lane]);
    return result;
#endif
}

static inline floats load(const float *from) {
    floats numbers;
    __builtin_memcpy(&numbers, from, sizeof numbers);
    return numbers;
}

static inline void store(float *to, floats numbers) { __builtin_memcpy(to, &numbers, sizeof numbers); }

static inline floats spread(float number) { return number - (floats){}; }

// The sum of sixteen numbers: halves are added, then quarters, eighths and sixteenths.
static inline float sum_of_lanes(floats numbers) {
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) numbers[lane] += numbers[lane + half];
    return numbers[0];
}

// tanh by a rational function of degrees 13 and 6 (the coefficients are Eigen's); its error is below 4e-7.
static inline float tanh_of(float x) {
    const float most = 7.90531110763549805f;
    float clamped = x < -most ? -most : x > most ? most : x, square = clamped * clamped;
    float above = -2.76076847742355e-16f;
    above = fused(above, square, 2.00018790482477e-13f);
    above = fused(above, square, -8.60467152213735e-11f);
    above = fused(above, square, 5.12229709037114e-08f);
    above = fused(above, square, 1.48572235717979e-05f);
    above = fused(above, square, 6.37261928875436e-04f);
    above = fused(above, square, 4.89352455891786e-03f);
    float below = 1.19825839466702e-06f;
    below = fused(below, square, 1.18534705686654e-04f);
    below = fused(below, square, 2.26843463243900e-03f);
    below = fused(below, square, 4.89352518554385e-03f);
    float ratio = clamped * above / below;
    float bounded = ratio < -1 ? -1 : ratio > 1 ? 1 : ratio;
    return -4e-4f < x && x < 4e-4f ? x : bounded;
}

// Σ coefficient · x^(count − 1 − k) by Horner's scheme: multiplied and added one after the other.
static inline __attribute__((always_inline)) double polynomial(double x, int count, const double *coefficients) {
    double sum = coefficients[0];
    for (int k = 1; k < count; k++) sum = sum * x + coefficients[k];
    return sum;
}

// e^x for float32 results: computed in float64 to 1e-11, relatively; what is beyond float32 becomes 0 or infinite when
// it is rounded.
static inline double exp_of(double x) {
    const double to_integer = 6755399441055744.0;  // 1.5 · 2^52: the last bits of a sum with it are an integer
    double clamped = x < -110 ? -110 : x > 90 ? 90 : x;
    double shifted = clamped * 1.4426950408889634 + to_integer, power = shifted - to_integer;
    double rest = (clamped - power * 0.693147180369123816490) - power * 1.90821492927058770002e-10;
    static const double factors[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                     1.0 / 24,      1.0 / 6,      0.5,         1.0,        1.0};
    double series = polynomial(rest, 11, factors);
    int64_t bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    bits = (int64_t)(((uint64_t)bits + 1023) << 52);
    double scale;
    __builtin_memcpy(&scale, &bits, sizeof scale);
    return series * scale;
}

// ln x for normal x > 0, in float64, to 1e-15.
static inline double log_of(double x) {
    int64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    // 0x3fe6a09e667f3bcd is √½: the mantissa is taken from [√½, √2).
    int64_t exponent = (bits - 0x3fe6a09e667f3bcd) >> 52;
    bits -= (int64_t)((uint64_t)exponent << 52);
    double mantissa;
    __builtin_memcpy(&mantissa, &bits, sizeof mantissa);
    double ratio = (mantissa - 1) / (mantissa + 1), square = ratio * ratio;
    static const double factors[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                     1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
    double series = polynomial(square, 10, factors);
    return (double)exponent * 0.693147180559945309 + (2 * ratio + 2 * ratio * (square * series));
}
