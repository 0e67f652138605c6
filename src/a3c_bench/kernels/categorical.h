// One or several choices between actions, each independent of the others: choice c has sizes[c] actions, and a row of
// `outputs` has their unnormalised log-probabilities, one choice after the other.
//
// Computed in float64 and rounded to float32 once, sixteen rows at a time; over the choices it is summed in their order.

#pragma once
#include "arithmetic.h"

// The softmax of sixteen rows of one choice: the greatest output of each, and the sum of e^(output − greatest) in order
// of the actions.
struct softmax {
    const float *rows[LANES];
    double greatest[LANES], sum[LANES];
};

// The sixteen rows from `first` on, each `width` numbers after the one before; the last row stands in for those that
// are not there.
static inline void soften(
    struct softmax *softmax, int64_t first, int64_t rows, int64_t width, int64_t size, const float *outputs
) {
    for (int lane = 0; lane < LANES; lane++) {
        int64_t row = first + lane < rows ? first + lane : rows - 1;
        softmax->rows[lane] = outputs + row * width;
        softmax->greatest[lane] = outputs[row * width];
        softmax->sum[lane] = 0;
    }
    for (int64_t action = 1; action < size; action++)
        for (int lane = 0; lane < LANES; lane++) {
            double output = softmax->rows[lane][action], greatest = softmax->greatest[lane];
            softmax->greatest[lane] = output > greatest ? output : greatest;
        }
    for (int64_t action = 0; action < size; action++)
        for (int lane = 0; lane < LANES; lane++)
            softmax->sum[lane] += exp_of(softmax->rows[lane][action] - softmax->greatest[lane]);
}

static inline int64_t lanes_from(int64_t first, int64_t rows) { return rows - first < LANES ? rows - first : LANES; }

static inline int64_t all_actions(int64_t choices, const int64_t *sizes) {
    int64_t all = 0;
    for (int64_t choice = 0; choice < choices; choice++) all += sizes[choice];
    return all;
}

// probabilities, as `outputs`.
void categorical_probabilities(
    int64_t rows, int64_t choices, const int64_t *sizes, const float *outputs, float *probabilities
) {
    int64_t width = all_actions(choices, sizes);
    for (int64_t choice = 0; choice < choices; choice++) {
        int64_t size = sizes[choice];
        for (int64_t first = 0; first < rows; first += LANES) {
            struct softmax softmax;
            soften(&softmax, first, rows, width, size, outputs);
            for (int lane = 0; lane < lanes_from(first, rows); lane++)
                for (int64_t action = 0; action < size; action++) {
                    double likely = exp_of(softmax.rows[lane][action] - softmax.greatest[lane]);
                    probabilities[(first + lane) * width + action] = (float)(likely / softmax.sum[lane]);
                }
        }
        outputs += size, probabilities += size;
    }
}

// actions (rows, choices), from row `start` to `stop`: the first whose cumulative probability exceeds uniform
// (rows, choices), which lies in [0, 1).
void categorical_sample(
    int64_t choices, const int64_t *sizes, const float *outputs, const double *uniform, int64_t *actions, int64_t start,
    int64_t stop
) {
    int64_t rows = stop - start, width = all_actions(choices, sizes);
    outputs += start * width, uniform += start * choices, actions += start * choices;
    for (int64_t choice = 0; choice < choices; choice++) {
        int64_t size = sizes[choice];
        for (int64_t first = 0; first < rows; first += LANES) {
            struct softmax softmax;
            soften(&softmax, first, rows, width, size, outputs);
            double reached[LANES] = {}, aim[LANES];
            int64_t chosen[LANES] = {};
            int64_t lanes = lanes_from(first, rows);
            for (int lane = 0; lane < LANES; lane++) {
                int64_t row = first + (lane < lanes ? lane : lanes - 1);
                aim[lane] = uniform[row * choices + choice] * softmax.sum[lane];
            }
            // The last action is what remains.
            for (int64_t action = 0; action < size - 1; action++)
                for (int lane = 0; lane < LANES; lane++) {
                    reached[lane] += exp_of(softmax.rows[lane][action] - softmax.greatest[lane]);
                    chosen[lane] += reached[lane] <= aim[lane];
                }
            for (int lane = 0; lane < lanes; lane++) actions[(first + lane) * choices + choice] = chosen[lane];
        }
        outputs += size;
    }
}

// log_probabilities (rows,) of `actions` (rows, choices), and entropies in nats: (rows, choices) of each choice, and
// (rows,) of all together.
void categorical_taken(
    int64_t choices, const int64_t *sizes, const float *outputs, const int64_t *actions, float *log_probabilities,
    float *of_choices, float *entropies, int64_t rows
) {
    int64_t width = all_actions(choices, sizes);
    for (int64_t first = 0; first < rows; first += LANES) {
        double log_probability[LANES] = {}, all_entropy[LANES] = {};
        const float *own = outputs;
        for (int64_t choice = 0; choice < choices; choice++) {
            struct softmax softmax;
            soften(&softmax, first, rows, width, sizes[choice], own);
            double logarithm[LANES], entropy[LANES] = {};
            for (int lane = 0; lane < LANES; lane++) logarithm[lane] = log_of(softmax.sum[lane]);
            for (int64_t action = 0; action < sizes[choice]; action++)
                for (int lane = 0; lane < LANES; lane++) {
                    double shifted = softmax.rows[lane][action] - softmax.greatest[lane];
                    entropy[lane] -= exp_of(shifted) / softmax.sum[lane] * (shifted - logarithm[lane]);
                }
            for (int lane = 0; lane < lanes_from(first, rows); lane++) {
                int64_t taken = (first + lane) * choices + choice;
                double shifted = softmax.rows[lane][actions[taken]] - softmax.greatest[lane];
                log_probability[lane] += shifted - logarithm[lane];
                all_entropy[lane] += entropy[lane];
                of_choices[taken] = (float)entropy[lane];
            }
            own += sizes[choice];
        }
        for (int lane = 0; lane < lanes_from(first, rows); lane++) {
            log_probabilities[first + lane] = (float)log_probability[lane];
            entropies[first + lane] = (float)all_entropy[lane];
        }
    }
}

// gradient, as `outputs`, of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs; weights (rows,):
// (π − one-hot(action)) · weight + π · (log π + H) · entropy weight, for each choice by itself. The entropies
// `of_choices` are those of `categorical_taken`.
void categorical_gradient(
    int64_t choices, const int64_t *sizes, const float *outputs, const int64_t *actions, const float *of_choices,
    float *gradient, int64_t rows, const float *weights, const float *entropy_weights
) {
    int64_t width = all_actions(choices, sizes);
    for (int64_t choice = 0; choice < choices; choice++) {
        int64_t size = sizes[choice];
        for (int64_t first = 0; first < rows; first += LANES) {
            struct softmax softmax;
            soften(&softmax, first, rows, width, size, outputs);
            double logarithm[LANES], weight[LANES], entropy_weight[LANES], entropy[LANES];
            int64_t taken[LANES], lanes = lanes_from(first, rows);
            for (int lane = 0; lane < LANES; lane++) {
                int64_t row = first + (lane < lanes ? lane : lanes - 1);
                logarithm[lane] = log_of(softmax.sum[lane]);
                weight[lane] = weights[row], entropy_weight[lane] = entropy_weights[row];
                entropy[lane] = of_choices[row * choices + choice], taken[lane] = actions[row * choices + choice];
            }
            for (int64_t action = 0; action < size; action++) {
                float by_output[LANES];
                for (int lane = 0; lane < LANES; lane++) {
                    double shifted = softmax.rows[lane][action] - softmax.greatest[lane];
                    double likely = exp_of(shifted) / softmax.sum[lane], chosen = taken[lane] == action ? 1 : 0;
                    double by_entropy = likely * (shifted - logarithm[lane] + entropy[lane]);
                    by_output[lane] = (float)((likely - chosen) * weight[lane] + by_entropy * entropy_weight[lane]);
                }
                for (int lane = 0; lane < lanes; lane++) gradient[(first + lane) * width + action] = by_output[lane];
            }
        }
        outputs += size, gradient += size;
    }
}
