// Independent normal numbers, `size` of them in a row: `outputs` (rows, 2 · size) has their means, then the logarithms
// of their deviations.
//
// Computed in float64 and rounded to float32 once; over the numbers of a row it is summed in their order.

#pragma once
#include "arithmetic.h"

// The standard normal number below which a share `p` in (0, 1) of all lies: algorithm AS 241 (PPND16; Wichura 1988),
// whose relative error is about 1e-16.
static inline double normal_quantile(double p) {
    static const double central[] = {2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
                                     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
                                     1.3314166789178437745e2, 3.3871328727963666080};
    static const double below_central[] = {5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
                                           2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
                                           4.2313330701600911252e1, 1.0};
    static const double outer[] = {7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
                                   1.27045825245236838258,    3.64784832476320460504,    5.76949722146069140550,
                                   4.63033784615654529590,    1.42343711074968357734};
    static const double below_outer[] = {
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940,    2.05319162663775882187,    1.0};
    static const double far[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
                                 2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
                                 5.46378491116411436990,    6.65790464350110377720};
    static const double below_far[] = {
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2,  1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0};
    double from_half = p - 0.5;
    if (-0.425 <= from_half && from_half <= 0.425) {
        double rest = 0.180625 - from_half * from_half;
        return from_half * polynomial(rest, 8, central) / polynomial(rest, 8, below_central);
    }
    double root = __builtin_sqrt(-log_of(from_half < 0 ? p : 1 - p));
    double size = root <= 5 ? polynomial(root - 1.6, 8, outer) / polynomial(root - 1.6, 8, below_outer)
                            : polynomial(root - 5, 8, far) / polynomial(root - 5, 8, below_far);
    return from_half < 0 ? -size : size;
}

// actions (rows, size), from row `start` to `stop`: mean + deviation · the quantile of uniform (rows, size), which lies
// in [0, 1). Its numbers are multiples of 2^-53: the half of one stands for 0, which has no quantile.
void gaussian_sample(
    int64_t size, const float *outputs, const double *uniform, float *actions, int64_t start, int64_t stop
) {
    for (int64_t row = start; row < stop; row++)
        for (int64_t k = 0; k < size; k++) {
            double share = uniform[row * size + k], mean = outputs[row * 2 * size + k];
            double deviation = exp_of(outputs[row * 2 * size + size + k]);
            actions[row * size + k] = (float)(mean + deviation * normal_quantile(share > 0 ? share : 0x1p-54));
        }
}

// log_probabilities (rows,) of `actions` (rows, size): logarithms of their density; and entropies (rows,) in nats.
void gaussian_taken(
    int64_t size, const float *outputs, const float *actions, float *log_probabilities, float *entropies, int64_t rows
) {
    const double half_log_two_pi = 0.91893853320467274178;
    for (int64_t row = 0; row < rows; row++) {
        double log_probability = 0, entropy = 0;
        for (int64_t k = 0; k < size; k++) {
            double mean = outputs[row * 2 * size + k], log_deviation = outputs[row * 2 * size + size + k];
            double standard = (actions[row * size + k] - mean) / exp_of(log_deviation);
            log_probability -= 0.5 * standard * standard + (log_deviation + half_log_two_pi);
            entropy += log_deviation + (half_log_two_pi + 0.5);
        }
        log_probabilities[row] = (float)log_probability;
        entropies[row] = (float)entropy;
    }
}

// gradient (rows, 2 · size) of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs; weights (rows,).
// With z the action's distance from the mean in deviations: −weight · z ÷ deviation by the mean, and
// weight · (1 − z²) − entropy weight by the logarithm of the deviation.
void gaussian_gradient(
    int64_t size, const float *outputs, const float *actions, float *gradient, int64_t rows, const float *weights,
    const float *entropy_weights
) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < size; k++) {
            int64_t mean = row * 2 * size + k, log_deviation = mean + size;
            double deviation = exp_of(outputs[log_deviation]), weight = weights[row];
            double standard = ((double)actions[row * size + k] - outputs[mean]) / deviation;
            gradient[mean] = (float)(-weight * standard / deviation);
            gradient[log_deviation] = (float)(weight * (1 - standard * standard) - entropy_weights[row]);
        }
}
