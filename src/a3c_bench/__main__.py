"""`python -m a3c_bench`."""

import signal

# Until the command can say it in a line, Ctrl-C ends it as it ends any program: not with a traceback of its imports.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from a3c_bench.cli import main

if __name__ == "__main__":
    main()
