"""What the package's modules import of it, found in their text: inside functions too."""

import ast
from pathlib import Path

from conftest import ROOT

SOURCE = ROOT / "src"
PACKAGE = SOURCE / "a3c_bench"


def module_file(name):
    path = SOURCE / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class RunTime(ast.NodeTransformer):
    """Leaves out what only the type checker sees."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imports(path):
    """The files of this package that `path` imports."""
    found = set()
    for node in ast.walk(RunTime().visit(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("a3c_bench"):
            for alias in node.names:
                inner = module_file(f"{node.module}.{alias.name}")
                found.add(inner if inner.exists() else module_file(node.module))
        elif isinstance(node, ast.Import):
            found |= {module_file(alias.name) for alias in node.names if alias.name.startswith("a3c_bench")}
    return found
