"""`a3c-bench check`."""

from a3c_bench.cli import checked


def run() -> None:
    """Check params.yaml and this machine, and change nothing."""
    config = checked()
    from a3c_bench import outlook, preset
    from a3c_bench.params import PARAMS_FILE, read_yaml

    outlook.require_machine(config)
    lines = [*preset.remarks(read_yaml(PARAMS_FILE)), *outlook.remarks(config), outlook.estimate(config)]
    print(
        f"params.yaml: valid; {config.env}, {', '.join(config.algorithms)}, {len(config.seeds)} seed(s), "
        f"{config.schedule}, workers {config.workers}, threads {config.threads}"
    )
    print("\n".join(lines))
