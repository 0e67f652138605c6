// A choice between `size` actions, whose unnormalised log-probabilities are `outputs` (rows, size).
//
// Computed in float64 and rounded to float32 once, sixteen rows at a time.

#pragma once
#include "arithmetic.h"

// The softmax of sixteen rows: the greatest output of each, and the sum of e^(output − greatest) in order of the
// actions.
struct softmax {
    const float *rows[LANES];
    double greatest[LANES], sum[LANES];
};

// The sixteen rows from `first` on; the last row stands in for those that are not there.
static inline void soften(struct softmax *softmax, int64_t first, int64_t rows, int64_t size, const float *outputs) {
    for (int lane = 0; lane < LANES; lane++) {
        int64_t row = first + lane < rows ? first + lane : rows - 1;
        softmax->rows[lane] = outputs + row * size;
        softmax->greatest[lane] = outputs[row * size];
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

// probabilities (rows, size).
void categorical_probabilities(int64_t rows, int64_t size, const float *outputs, float *probabilities) {
    for (int64_t first = 0; first < rows; first += LANES) {
        struct softmax softmax;
        soften(&softmax, first, rows, size, outputs);
        for (int lane = 0; lane < lanes_from(first, rows); lane++)
            for (int64_t action = 0; action < size; action++) {
                double likely = exp_of(softmax.rows[lane][action] - softmax.greatest[lane]);
                probabilities[(first + lane) * size + action] = (float)(likely / softmax.sum[lane]);
            }
    }
}

// actions (rows,), from row `start` to `stop`: the first whose cumulative probability exceeds uniform (rows,), which
// lies in [0, 1).
void categorical_sample(
    int64_t size, const float *outputs, const double *uniform, int64_t *actions, int64_t start, int64_t stop
) {
    int64_t rows = stop - start;
    outputs += start * size, uniform += start, actions += start;
    for (int64_t first = 0; first < rows; first += LANES) {
        struct softmax softmax;
        soften(&softmax, first, rows, size, outputs);
        double reached[LANES] = {}, aim[LANES];
        int64_t chosen[LANES] = {};
        int64_t lanes = lanes_from(first, rows);
        for (int lane = 0; lane < LANES; lane++)
            aim[lane] = uniform[first + (lane < lanes ? lane : lanes - 1)] * softmax.sum[lane];
        // The last action is what remains.
        for (int64_t action = 0; action < size - 1; action++)
            for (int lane = 0; lane < LANES; lane++) {
                reached[lane] += exp_of(softmax.rows[lane][action] - softmax.greatest[lane]);
                chosen[lane] += reached[lane] <= aim[lane];
            }
        for (int lane = 0; lane < lanes; lane++) actions[first + lane] = chosen[lane];
    }
}

// log_probabilities (rows,) of `actions` (rows,), and entropies (rows,) in nats.
void categorical_taken(
    int64_t size, const float *outputs, const int64_t *actions, float *log_probabilities, float *entropies, int64_t rows
) {
    for (int64_t first = 0; first < rows; first += LANES) {
        struct softmax softmax;
        soften(&softmax, first, rows, size, outputs);
        double logarithm[LANES], entropy[LANES] = {};
        for (int lane = 0; lane < LANES; lane++) logarithm[lane] = log_of(softmax.sum[lane]);
        for (int64_t action = 0; action < size; action++)
            for (int lane = 0; lane < LANES; lane++) {
                double shifted = softmax.rows[lane][action] - softmax.greatest[lane];
                entropy[lane] -= exp_of(shifted) / softmax.sum[lane] * (shifted - logarithm[lane]);
            }
        for (int lane = 0; lane < lanes_from(first, rows); lane++) {
            int64_t row = first + lane;
            double shifted = softmax.rows[lane][actions[row]] - softmax.greatest[lane];
            log_probabilities[row] = (float)(shifted - logarithm[lane]);
            entropies[row] = (float)entropy[lane];
        }
    }
}

// gradient (rows, size) of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs; weights (rows,):
// (π − one-hot(action)) · weight + π · (log π + H) · entropy weight. The entropies are those of `categorical_taken`.
void categorical_gradient(
    int64_t size, const float *outputs, const int64_t *actions, const float *entropies, float *gradient, int64_t rows,
    const float *weights, const float *entropy_weights
) {
    for (int64_t first = 0; first < rows; first += LANES) {
        struct softmax softmax;
        soften(&softmax, first, rows, size, outputs);
        double logarithm[LANES], weight[LANES], entropy_weight[LANES], entropy[LANES];
        int64_t taken[LANES], lanes = lanes_from(first, rows);
        for (int lane = 0; lane < LANES; lane++) {
            int64_t row = first + (lane < lanes ? lane : lanes - 1);
            logarithm[lane] = log_of(softmax.sum[lane]);
            weight[lane] = weights[row], entropy_weight[lane] = entropy_weights[row];
            entropy[lane] = entropies[row], taken[lane] = actions[row];
        }
        for (int64_t action = 0; action < size; action++) {
            float by_output[LANES];
            for (int lane = 0; lane < LANES; lane++) {
                double shifted = softmax.rows[lane][action] - softmax.greatest[lane];
                double likely = exp_of(shifted) / softmax.sum[lane], chosen = taken[lane] == action ? 1 : 0;
                double by_entropy = likely * (shifted - logarithm[lane] + entropy[lane]);
                by_output[lane] = (float)((likely - chosen) * weight[lane] + by_entropy * entropy_weight[lane]);
            }
            for (int lane = 0; lane < lanes; lane++) gradient[(first + lane) * size + action] = by_output[lane];
        }
    }
}
