"""Every module imports only from the layers below its own, and nothing imports in a circle."""

import pytest
from imports import PACKAGE, imports

LAYERS = (
    {
        "arrays",
        "errors",
        "fork_server",
        "gate",
        "math_threads",
        "params",
        "preset",
        "processes",
        "output",
        "progress",
        "repository",
        "sections",
        "seeding",
        "supervision",
        "textbook",
    },
    {"kernels"},
    {"machine"},
    {"stats", "scaling"},
    {"environments"},
    {"distributions", "networks"},
    {"learning"},
    {"algorithms"},
    {"config"},
    {"evaluation", "pictures", "suite"},
    {"training"},
    {"results"},
    {"tracking"},
    {"report"},
    {"stages"},
    {"evidence"},
    {"sweep"},
    {"outlook", "skipped", "api"},
    {"cli", "commands", "__main__", "__init__"},
)
"""From the bottom."""
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
IMPORTS = {
    str(path.relative_to(PACKAGE)): {str(found.relative_to(PACKAGE)) for found in imports(path)}
    for path in PACKAGE.rglob("*.py")
}


def part(path):
    """The top-level name below the package that a file belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def test_every_module_has_a_layer():
    assert {part(path) for path in IMPORTS} == HEIGHT.keys()


def test_modules_import_from_the_layers_below_only():
    upward = {
        (path, found)
        for path, imported in IMPORTS.items()
        for found in imported
        if part(path) != part(found) and HEIGHT[part(path)] < HEIGHT[part(found)]
    }
    assert not upward


def test_nothing_is_imported_in_a_circle():
    left = dict(IMPORTS)
    while free := [path for path, imported in left.items() if not imported & left.keys() - {path}]:
        for path in free:
            del left[path]
    assert not left


def test_the_gate_knows_nothing_of_the_rest():
    known = {found for path, imported in IMPORTS.items() if part(path) == "gate" for found in imported}
    # The package itself imports nothing until one of its names is used.
    assert {path for path in known if part(path) != "gate"} <= {"__init__.py"}


@pytest.mark.parametrize("path", ["algorithms/nstep.py", "training/pool.py", "stages/train.py"])
def test_imports_are_found(path):
    assert len(IMPORTS[path]) > 5
