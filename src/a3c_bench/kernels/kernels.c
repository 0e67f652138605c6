// All kernels, as one piece of code for the compiler.

#include "categorical.h"
#include "dense.h"
#include "episodes.h"
#include "gaussian.h"
#include "losses.h"
#include "moments.h"
#include "optimizer.h"
#include "returns.h"

// Orders what comes before it in memory before what comes after it: between a worker's data and the mark that says
// that they are there.
void fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
