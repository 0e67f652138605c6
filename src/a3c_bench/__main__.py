"""`python -m a3c_bench`."""

from a3c_bench.cli import main

if __name__ == "__main__":
    main()
