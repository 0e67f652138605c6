// Returns and advantages of rollouts.

#pragma once
#include "arithmetic.h"

// GAE(γ, λ), from the end backwards (Schulman et al. 2016, eq. 16); λ-returns are advantage + value.
//
// rewards, terminated, truncated, counted, advantages, returns: (steps, envs); values: (steps + 1, envs). A terminated
// step has no next value; into a truncated one nothing flows back from the next episode; one that is not counted has
// advantage 0.
void generalised_advantages(
    int64_t steps, int64_t envs, const float *rewards, const float *values, const uint8_t *terminated,
    const uint8_t *truncated, const uint8_t *counted, float gamma, float gamma_lambda, float *advantages,
    float *returns
) {
    for (int64_t step = steps - 1; step >= 0; step--)
        for (int64_t env = 0; env < envs; env++) {
            int64_t at = step * envs + env;
            float bootstrap = terminated[at] ? 0 : gamma * values[at + envs];
            float error = rewards[at] + bootstrap - values[at];
            float following = step + 1 < steps ? advantages[at + envs] : 0;
            float carried = terminated[at] || truncated[at] ? error : fused(gamma_lambda, following, error);
            advantages[at] = counted[at] ? carried : 0;
            returns[at] = advantages[at] + values[at];
        }
}

// Discounted return of every step of one whole episode (steps,), in float64.
void discounted_returns(int64_t steps, const float *rewards, double gamma, float *returns) {
    double following = 0;
    for (int64_t step = steps - 1; step >= 0; step--) {
        following = rewards[step] + gamma * following;
        returns[step] = (float)following;
    }
}

// Shift and scale the counted numbers (count,) to mean 0 and deviation 1; the others become 0. Sums in order, in
// float64.
void standardise(int64_t count, const uint8_t *counted, float *numbers) {
    double total = 0, squares = 0, entries = 0;
    for (int64_t k = 0; k < count; k++) total += counted[k] ? numbers[k] : 0, entries += counted[k] ? 1 : 0;
    double mean = total / (entries > 1 ? entries : 1);
    for (int64_t k = 0; k < count; k++) {
        double centred = counted[k] ? numbers[k] - mean : 0;
        squares += centred * centred;
    }
    double deviation = __builtin_sqrt(squares / (entries > 1 ? entries : 1)) + 1e-8;
    for (int64_t k = 0; k < count; k++) numbers[k] = counted[k] ? (float)((numbers[k] - mean) / deviation) : 0;
}

// Σ left · right, in order, in float64.
double sum_of_products(int64_t count, const float *left, const float *right) {
    double sum = 0;
    for (int64_t k = 0; k < count; k++) sum += (double)left[k] * right[k];
    return sum;
}
