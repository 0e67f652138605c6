#!/bin/sh
# One host of a training, by what torchrun, srun or a Kubernetes Indexed Job says of it: number 0 is the head and runs the
# command that it is given; the others join its trainings, and leave when there is none any more.
set -eu
number=${RANK:-${SLURM_PROCID:-${JOB_COMPLETION_INDEX:?"neither torchrun, srun nor an Indexed Job has started this"}}}
A3C_BENCH_HOSTS=${WORLD_SIZE:-${SLURM_NTASKS:-${HOSTS:?"the number of hosts"}}}
A3C_BENCH_HEAD=${MASTER_ADDR:?"the address of host 0"}:${HEAD_PORT:-29400}
export A3C_BENCH_HOSTS A3C_BENCH_HEAD
[ "$number" = 0 ] && exec "$@"
exec python -m a3c_bench join "$A3C_BENCH_HEAD" --interface "${INTERFACE:-eth0}" --patience "${PATIENCE:-300}"
