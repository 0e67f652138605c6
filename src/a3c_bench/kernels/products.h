// Products of matrices. Every element of a result is one sum, whose order is written here:
//
//   in order       product() with 16 columns or more, and gradient_of_weights(): one fused multiply-add after another,
//                  the inner index ascending, starting from the bias or from 0.
//   in sixteenths  product() with fewer columns: inner index k is added to partial sum k mod 16 (from 0, ascending);
//                  the sixteen are added as sum_of_lanes() does, and to the bias last.
//
// Matrices lie row by row without gaps.

#pragma once
#include "arithmetic.h"

// How many rows, and groups of sixteen columns, are computed at a time: as many as the CPU's registers hold.
#if defined __AVX512F__
enum { TILE_ROWS = 6, TILE_GROUPS = 4 };
#elif defined __AVX__ || defined __aarch64__
enum { TILE_ROWS = 4, TILE_GROUPS = 1 };
#else
enum { TILE_ROWS = 2, TILE_GROUPS = 1 };
#endif

// A matrix on the left of a product, read by its rows or, as its transpose, by its columns: element (row, k) is
// numbers[row · by_row + k · by_k].
struct left {
    const float *numbers;
    int64_t by_row, by_k;
};

// One tile: `rows` rows of `left` from `row` on times `groups` · 16 columns of `right`.
static inline __attribute__((always_inline)) void tile(
    int rows, int groups, int64_t row, int64_t inner, int64_t columns, struct left left, const float *right,
    const float *bias, float *out
) {
    floats sums[TILE_ROWS][TILE_GROUPS];
    const float *numbers = left.numbers + row * left.by_row;
    for (int i = 0; i < rows; i++)
        for (int group = 0; group < groups; group++) sums[i][group] = bias ? load(bias + group * LANES) : (floats){};
    for (int64_t k = 0; k < inner; k++) {
        floats factors[TILE_GROUPS];
        for (int group = 0; group < groups; group++) factors[group] = load(right + k * columns + group * LANES);
        for (int i = 0; i < rows; i++) {
            floats number = spread(numbers[i * left.by_row + k * left.by_k]);
            for (int group = 0; group < groups; group++)
                sums[i][group] = fused_lanes(number, factors[group], sums[i][group]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int group = 0; group < groups; group++) store(out + (row + i) * columns + group * LANES, sums[i][group]);
}

static inline __attribute__((always_inline)) void tiles_of_rows(
    int groups, int64_t rows, int64_t inner, int64_t columns, struct left left, const float *right, const float *bias,
    float *out
) {
    int64_t row = 0;
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS)
        tile(TILE_ROWS, groups, row, inner, columns, left, right, bias, out);
    for (; row < rows; row++) tile(1, groups, row, inner, columns, left, right, bias, out);
}

// In order. The last sixteen columns overlap those before them if need be, which gives the same numbers again.
static inline __attribute__((always_inline)) void wide_product(
    int64_t rows, int64_t inner, int64_t columns, struct left left, const float *right, const float *bias, float *out
) {
    int64_t column = 0;
    for (; column + TILE_GROUPS * LANES <= columns; column += TILE_GROUPS * LANES)
        tiles_of_rows(
            TILE_GROUPS, rows, inner, columns, left, right + column, bias ? bias + column : 0, out + column
        );
    for (; column < columns; column += LANES) {
        int64_t first = column + LANES <= columns ? column : columns - LANES;
        tiles_of_rows(1, rows, inner, columns, left, right + first, bias ? bias + first : 0, out + first);
    }
}

static float sum_in_sixteenths(int64_t count, const float *left, const float *right) {
    floats sums = {};
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) sums = fused_lanes(load(left + k), load(right + k), sums);
    for (int lane = 0; k + lane < count; lane++) sums[lane] = fused(left[k + lane], right[k + lane], sums[lane]);
    return sum_of_lanes(sums);
}

static void transpose(int64_t rows, int64_t columns, const float *from, float *to) {
    for (int64_t column = 0; column < columns; column++)
        for (int64_t row = 0; row < rows; row++) to[column * rows + row] = from[row * columns + column];
}

// out (rows, columns) = left (rows, inner) · right (inner, columns) + bias (columns,), which may be absent.
// `room` has space for a copy of `right` that has fewer than sixteen columns.
static void product(
    int64_t rows, int64_t inner, int64_t columns, const float *left, const float *right, const float *bias, float *out,
    float *room
) {
    if (columns >= LANES) {
        wide_product(rows, inner, columns, (struct left){left, inner, 1}, right, bias, out);
        return;
    }
    transpose(inner, columns, right, room);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            float sum = sum_in_sixteenths(inner, left + row * inner, room + column * inner);
            out[row * columns + column] = bias ? bias[column] + sum : sum;
        }
}

// out (inputs, outputs) = leftᵀ · right, for left (rows, inputs) and right (rows, outputs): in order of the rows.
// `room` has space for the result.
static void gradient_of_weights(
    int64_t rows, int64_t inputs, int64_t outputs, const float *left, const float *right, float *out, float *room
) {
    if (outputs >= LANES) {
        wide_product(inputs, rows, outputs, (struct left){left, 1, inputs}, right, 0, out);
    } else if (inputs >= LANES) {
        gradient_of_weights(rows, outputs, inputs, right, left, room, 0);
        transpose(outputs, inputs, room, out);
    } else
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t o = 0; o < outputs; o++) {
                float sum = 0;
                for (int64_t row = 0; row < rows; row++)
                    sum = fused(left[row * inputs + i], right[row * outputs + o], sum);
                out[i * outputs + o] = sum;
            }
}

// out (columns,): the sums of the columns of `from` (rows, columns), in order of the rows.
static void sum_of_rows(int64_t rows, int64_t columns, const float *from, float *out) {
    int64_t column = 0;
    for (; column + LANES <= columns; column += LANES) {
        floats sum = {};
        for (int64_t row = 0; row < rows; row++) sum += load(from + row * columns + column);
        store(out + column, sum);
    }
    for (; column < columns; column++) {
        float sum = 0;
        for (int64_t row = 0; row < rows; row++) sum += from[row * columns + column];
        out[column] = sum;
    }
}
