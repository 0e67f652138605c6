// Running moments, and what is scaled by them. Sums are in order, in float64.
//
// The moments of so many columns are their count (1), means (columns) and variances (columns), one after another.

#pragma once
#include "arithmetic.h"

static const float LARGEST_SCALED = 10, LEAST_VARIANCE = 1e-8f;

static inline float within_bounds(float number) {
    return number > LARGEST_SCALED ? LARGEST_SCALED : number < -LARGEST_SCALED ? -LARGEST_SCALED : number;
}

// The moments of `numbers` (rows, columns); sixteen columns at a time.
void moments_of(int64_t columns, const float *numbers, float *moments, int64_t rows) {
    double some = rows > 1 ? (double)rows : 1;
    moments[0] = (float)rows;
    for (int64_t first = 0; first < columns; first += LANES) {
        int64_t lanes = columns - first < LANES ? columns - first : LANES;
        double means[LANES] = {}, squares[LANES] = {};
        for (int64_t row = 0; row < rows; row++)
            for (int64_t lane = 0; lane < lanes; lane++) means[lane] += numbers[row * columns + first + lane];
        for (int64_t lane = 0; lane < lanes; lane++) means[lane] /= some;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t lane = 0; lane < lanes; lane++) {
                double centred = numbers[row * columns + first + lane] - means[lane];
                squares[lane] += centred * centred;
            }
        for (int64_t lane = 0; lane < lanes; lane++) {
            moments[1 + first + lane] = (float)means[lane];
            moments[1 + columns + first + lane] = (float)(squares[lane] / some);
        }
    }
}

// `moments` become those of all that they and `others` are of (Chan, Golub and LeVeque 1983).
void merge_moments(int64_t columns, float *moments, const float *others) {
    double all = (double)moments[0] + others[0], share = others[0] / all;
    if (others[0] == 0) return;
    float *means = moments + 1, *variances = means + columns;
    for (int64_t column = 0; column < columns; column++) {
        double apart = (double)others[1 + column] - means[column];
        double within = variances[column] * (1 - share) + others[1 + columns + column] * share;
        means[column] = (float)(means[column] + apart * share);
        variances[column] = (float)(within + apart * apart * (share * (1 - share)));
    }
    moments[0] = (float)all;
}

// Rows from `start` to `stop` of `numbers` (rows, columns), shifted and scaled by moments, within ±10.
void scale_observations(
    int64_t columns, const float *moments, const float *numbers, float *normalised, int64_t start, int64_t stop
) {
    const float *means = moments + 1, *variances = means + columns;
    for (int64_t row = start; row < stop; row++)
        for (int64_t column = 0; column < columns; column++) {
            int64_t at = row * columns + column;
            float deviation = __builtin_sqrtf(variances[column] + LEAST_VARIANCE);
            normalised[at] = within_bounds((numbers[at] - means[column]) / deviation);
        }
}

// The discounted return so far at each counted step of a rollout (steps, envs), one after another; gives their number.
// `carried` (envs,): those before its first step, and then those after its last; 0 where an episode ended.
int64_t returns_so_far(
    int64_t steps, int64_t envs, const float *rewards, const uint8_t *terminated, const uint8_t *truncated,
    const uint8_t *counted, double gamma, float *returns, double *carried
) {
    int64_t number = 0;
    for (int64_t at = 0; at < steps * envs; at++) {
        double *so_far = carried + at % envs;
        if (!counted[at]) continue;
        *so_far = rewards[at] + gamma * *so_far;
        returns[number++] = (float)*so_far;
        if (terminated[at] || truncated[at]) *so_far = 0;
    }
    return number;
}

// Rewards divided by the deviation that moments of one column have, within ±10.
void scale_rewards(int64_t count, const float *moments, const float *rewards, float *scaled) {
    float deviation = __builtin_sqrtf(moments[2] + LEAST_VARIANCE);
    for (int64_t k = 0; k < count; k++) scaled[k] = within_bounds(rewards[k] / deviation);
}
