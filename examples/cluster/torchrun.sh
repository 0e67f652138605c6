#!/bin/sh
# On each of three machines, in a checkout with `make setup` done:
#   A3C_BENCH_SECRET=… MASTER=10.0.0.1 HOSTS=3 examples/cluster/torchrun.sh NUMBER make repro     (NUMBER: 0, 1, 2)
# What torchrun starts anew it starts as a new host; no restart is needed for a lost one, the others go on by themselves.
set -eu
number=$1
shift
exec torchrun --nnodes "${HOSTS:?}" --nproc-per-node 1 --node-rank "$number" --master-addr "${MASTER:?}" \
	--master-port "${MASTER_PORT:-29500}" --no-python "$(dirname "$0")/host.sh" "$@"
