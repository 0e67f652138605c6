"""Writes the tables of the params and of the commands, as markdown, into a folder: `reference.py FOLDER`."""

import json
import re
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic.json_schema import model_json_schema
from typer.main import get_command

import a3c_bench
from a3c_bench import commands
from a3c_bench.cli import app
from a3c_bench.config import Config, load_config

ROOT = Path(__file__).parents[2]
KEY = re.compile(r"^(?P<indent> *)(?P<key>[a-z_]+):(?P<value>[^#]*)(#\s*(?P<comment>.*))?$")
HEAD = ("| key | default | allowed | means |", "| --- | --- | --- | --- |")
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def allowed(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What a value may be, in a few words, as its pydantic field has it."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        return " or ".join(allowed(one, definitions) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of: {allowed(schema.get('items', {}), definitions)}"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    words = [names.get(schema.get("type", ""), schema.get("type", "any"))]
    bounds = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    return " ".join([*words, ", ".join(bounds)]).strip().replace("object", "keys and values")


def schema_of(config: Config, section: str) -> dict[str, Any]:
    """The JSON schema of a section of params.yaml; of the top level for an empty name."""
    if not section:
        return model_json_schema(Config)
    settings = config.sections.get(section)
    return model_json_schema(type(settings if settings is not None else getattr(config, section)))


def params() -> str:
    """A table for the top level of params.yaml and one for each section, in its order."""
    config, section, lines = load_config(), "", ["## Top level", "", *HEAD]
    schema, means = schema_of(config, section), dict[str, str]()
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if more := re.match(r"^\s+#\s*(.*)$", line):
            last = -4 if lines[-1] == HEAD[-1] else -1  # a section's own comment stands above its table
            lines[last] = f"{lines[last].removesuffix(' |')} {more[1]}" + (" |" if last == -1 else "")
        elif found := KEY.match(line):
            key, value, comment = found["key"], found["value"].strip(), found["comment"] or ""
            if not value:
                section, schema = key, schema_of(config, key)
                lines += ["", f"## {key}", "", comment, "", *HEAD]
            else:
                field = schema["properties"].get(key, {})
                # A key that is explained once, such as `kind`, means the same in the sections that follow.
                comment = means[key] = comment or means.get(key, "")
                bounds = allowed(field, schema.get("$defs", {})).replace("|", "\\|")
                lines.append(f"| `{key}` | `{value}` | {bounds} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def options(command: Any) -> list[str]:
    """The rows of a command's options."""
    rows = []
    for one in command.params:
        if not getattr(one, "hidden", False) and one.name != "help":
            names = ", ".join(f"`{name}`" for name in one.opts)
            rows.append(f"| {names} | {(getattr(one, 'help', '') or '').replace('|', chr(92) + '|')} |")
    return rows and ["", "| option or argument | means |", "| --- | --- |", *rows]


def verbs() -> str:
    """A section for each command, from its own help."""
    group = get_command(app)
    lines = ["## Options of every command", *options(group)]
    for name in sorted(module.name.replace("_", "-") for module in iter_modules(commands.__path__)):
        command = group.get_command(None, name)
        lines += ["", f"## {name}", "", (command.help or "").strip(), *options(command)]
    return "\n".join(lines) + "\n"


def api() -> str:
    """A mkdocstrings block for each public name, where it is defined."""
    blocks = []
    for name in a3c_bench.__all__:
        block = f"::: {getattr(a3c_bench, name).__module__}.{name}"
        # Its fields are the params, which have a page of their own.
        blocks.append(block + ("\n    options:\n      members: [with_]" if name == "Config" else ""))
    return "\n\n".join(blocks) + "\n"


def notebook() -> str:
    """The notebook of examples/ with the outputs that are saved in it."""
    return (
        "\n\n".join(map(cell_markdown, json.loads((ROOT / "examples" / "notebook.ipynb").read_text())["cells"])) + "\n"
    )


def cell_markdown(cell: dict[str, Any]) -> str:
    """Its text, one level deeper than in the notebook; or its code, and what came of it."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return re.sub("^#", "##", source)
    parts = [f"```python\n{source}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text", [])})
        if "image/png" in data:
            parts.append(f"![What the cell draws](data:image/png;base64,{''.join(data['image/png'].split())})")
        else:
            parts.append(f"```text\n{''.join(data['text/plain'])}\n```")
    return "\n\n".join(parts)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {"params": params, "commands": verbs, "api": api, "notebook": notebook}.items():
        (folder / f"{name}.md").write_text(make())
