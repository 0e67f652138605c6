"""Stage `preset`: what the environment's preset says, as a file that the other stages depend on."""

from a3c_bench import preset
from a3c_bench.params import flatten
from a3c_bench.results.files import PRESET, json_bytes, write_all


def run(environment: str, wanted: bool) -> None:
    """Write the values of the preset beside the defaults that they stand for; nothing where it is not `wanted`."""
    found = preset.preset_of(environment) if wanted else preset.NOTHING
    defaults = dict(flatten(preset.defaults()))
    values = {key: {"default": defaults[key], "preset": value} for key, value in flatten(found)}
    write_all({PRESET: json_bytes(values)})
