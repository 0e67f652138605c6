// Adam, clipping, and sums of gradients, on flat vectors.

#pragma once
#include "arithmetic.h"

// Euclidean length (float64): number k is added to partial sum k mod 16, and these in order.
double length_of(int64_t size, const float *vector) {
    double sums[LANES] = {}, total = 0;
    int64_t k = 0;
    for (; k + LANES <= size; k += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += (double)vector[k + lane] * vector[k + lane];
    for (int lane = 0; k + lane < size; lane++) sums[lane] += (double)vector[k + lane] * vector[k + lane];
    for (int lane = 0; lane < LANES; lane++) total += sums[lane];
    return __builtin_sqrt(total);
}

// `vector` divided by its length, or by 1e-12 if that is smaller.
void scale_to_unit_length(int64_t size, float *vector) {
    double length = length_of(size, vector);
    for (int64_t k = 0; k < size; k++) vector[k] = (float)(vector[k] / (length > 1e-12 ? length : 1e-12));
}

// Scale `gradient` down to the length `longest`; gives its length before.
double clip(int64_t size, float *gradient, double longest) {
    double length = length_of(size, gradient);
    if (length > longest) {
        float factor = (float)(longest / length);
        for (int64_t k = 0; k < size; k++) gradient[k] *= factor;
    }
    return length;
}

void add(int64_t size, const float *summand, float *sum) {
    for (int64_t k = 0; k < size; k++) sum[k] += summand[k];
}

// base^exponent by squaring.
static double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

// One step of Adam (Kingma and Ba 2015, algorithm 1), the `count`th; the corrections of the biases are folded into
// two factors.
void adam(
    int64_t size, float *first, float *second, int64_t count, double learning_rate, const float *gradient,
    float *parameters
) {
    const double beta_1 = 0.9, beta_2 = 0.999;
    const float share_1 = (float)(1 - beta_1), share_2 = (float)(1 - beta_2), epsilon = 1e-8f;
    float rate = (float)(learning_rate / (1 - power(beta_1, count)));
    float scale = (float)(1 / __builtin_sqrt(1 - power(beta_2, count)));
    for (int64_t k = 0; k < size; k++) {
        first[k] = fused(share_1, gradient[k] - first[k], first[k]);
        second[k] = fused(share_2, fused(gradient[k], gradient[k], -second[k]), second[k]);
        parameters[k] -= rate * (first[k] / fused(__builtin_sqrtf(second[k]), scale, epsilon));
    }
}
