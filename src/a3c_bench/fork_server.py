"""What the fork server does first: it alone preloads this, and nothing else imports it.

The kernel ends it with the main process, and with it all that it has forked, in whatever state they are: one that is
stopped could not even notice that it is alone.
"""

import os

from a3c_bench.processes import end_with_parent

_server = [os.getpid()]


def _forked() -> None:
    # Empty in a worker: what that forks is the environment's own business.
    for server in _server:
        end_with_parent()
        if os.getppid() != server:  # it was gone before the kernel was told
            os._exit(1)
    _server.clear()


end_with_parent()
os.register_at_fork(after_in_child=_forked)
