// The training episodes that end in rollouts.

#pragma once
#include "arithmetic.h"

struct __attribute__((packed)) finished {
    int32_t rollout, offset, length;
    double total;
};

// Take up a rollout, (steps, envs) each: `totals` and `lengths` (envs,) are of the episodes that go on. Those that end
// are written to `finished` from `written` on, in the order of their ends (time, environment); gives where it stopped.
int64_t log_episodes(
    int64_t steps, int64_t envs, const float *rewards, const uint8_t *counted, const uint8_t *terminated,
    const uint8_t *truncated, double *totals, int64_t *lengths, struct finished *finished, int64_t rollout,
    int64_t written
) {
    int32_t env_steps = 0;
    for (int64_t step = 0; step < steps; step++) {
        for (int64_t env = 0; env < envs; env++) env_steps += counted[step * envs + env];
        for (int64_t env = 0; env < envs; env++) {
            int64_t at = step * envs + env;
            totals[env] += counted[at] ? rewards[at] : 0, lengths[env] += counted[at];
            if (!terminated[at] && !truncated[at]) continue;
            finished[written++] = (struct finished){(int32_t)rollout, env_steps, (int32_t)lengths[env], totals[env]};
            totals[env] = 0, lengths[env] = 0;
        }
    }
    return written;
}
