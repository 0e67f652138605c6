// What an actor-critic's loss asks of its rows.

#pragma once
#include "arithmetic.h"

struct means {
    double policy_loss, value_error, entropy;
};

// The textbook's loss of an episode: Σ −log π(action) · (return − value) + value_weight · (value − return)², with the
// value a constant in the first term. Writes the weights of −log π (rows,), the gradient by the values (rows,), and the
// means over all rows, summed in order in float64.
void episode_loss(
    const float *values, const float *returns, const float *log_probabilities, const float *entropies,
    float value_weight, float *weights, float *by_values, struct means *means, int64_t rows
) {
    double policy_loss = 0, value_error = 0, entropy = 0;
    for (int64_t row = 0; row < rows; row++) {
        float advantage = returns[row] - values[row];
        weights[row] = advantage;
        by_values[row] = -2 * value_weight * advantage;
        policy_loss -= (double)log_probabilities[row] * advantage;
        value_error += (double)advantage * advantage;
        entropy += entropies[row];
    }
    means->policy_loss = policy_loss / rows, means->value_error = value_error / rows, means->entropy = entropy / rows;
}

// A3C's loss (Mnih et al. 2016): the mean, over the rows that are counted, of
// −log π(action) · advantage − entropy_weight · H(π) + value_weight · (value − return)².
//
// Writes, for every row (rows,), the weights of −log π and of −H in it and its gradient by the values, and the means,
// which are summed in order in float64. Advantages of rows that are not counted must be 0; if none is, the loss is 0.
void actor_critic_loss(
    int64_t rows, const float *values, const float *advantages, const float *returns, const uint8_t *counted,
    const float *log_probabilities, const float *entropies, float value_weight, float entropy_weight, float *weights,
    float *entropy_weights, float *by_values, struct means *means
) {
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++) count += counted[row];
    float divisor = (float)(count ? count : 1);
    double policy_loss = 0, value_error = 0, entropy = 0;
    for (int64_t row = 0; row < rows; row++) {
        float share = counted[row] ? 1 / divisor : 0, error = values[row] - returns[row];
        weights[row] = advantages[row] / divisor;
        entropy_weights[row] = entropy_weight * share;
        by_values[row] = 2 * value_weight * error * share;
        policy_loss -= (double)log_probabilities[row] * advantages[row];
        value_error += (double)(error * share) * error;
        entropy += (double)entropies[row] * share;
    }
    means->policy_loss = policy_loss / divisor, means->value_error = value_error, means->entropy = entropy;
}

// The clipped surrogate (Schulman et al. 2017, eq. 7): min(ratio · advantage, clip(ratio) · advantage). The ratio is
// that of π(action) to what it was when the action was taken, and clip keeps it within 1 ± range.
//
// Writes, for every row (rows,), ratio · advantage where that is the minimum, and 0 where the ratio is clipped: the
// surrogate's derivative by log π(action). Gives the mean over the rows that are counted, summed in order in float64.
// Advantages of rows that are not counted must be 0; if none is, the mean is 0.
double clipped_surrogate(
    int64_t rows, const float *log_probabilities, const float *old_log_probabilities, const float *advantages,
    const uint8_t *counted, double range, float *derivatives
) {
    double sum = 0, least = 1 - range, most = 1 + range;
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++) {
        double ratio = exp_of((double)log_probabilities[row] - old_log_probabilities[row]);
        double kept = ratio < least ? least : ratio > most ? most : ratio;
        double surrogate = ratio * advantages[row], bound = kept * advantages[row];
        derivatives[row] = surrogate <= bound ? (float)surrogate : 0;
        sum += surrogate <= bound ? surrogate : bound;
        count += counted[row];
    }
    return sum / (count ? count : 1);
}
