"""What the site does besides markdown: generated tables, and links to files of the repository outside of docs/."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / ".docs" / "reference"
MARKER = re.compile(r"^<!-- generated: (?P<name>[a-z]+) -->$", re.MULTILINE)
OUTSIDE = re.compile(r"\]\((?P<path>\.\./[^)#]+)(?:#[^)]*)?\)")
PLAIN = {".md", ".yaml", ".yml", ".lock", ".py", ".toml"}
"""A browser shows these as text, where they end so."""


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put the tables in, and point what leads out of docs/ at a copy in the site."""
    markdown = MARKER.sub(lambda found: (GENERATED / f"{found['name']}.md").read_text(), markdown)
    return OUTSIDE.sub(lambda found: f"]({copy(found['path'], page.file.src_uri, config, files)})", markdown)


def copy(path: str, source: str, config: Any, files: Any) -> str:
    """The copy's address, as seen from the page; a folder is not copied and so leads to the build's failure."""
    inside = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), path))
    uri = f"repository/{inside}" + (".txt" if Path(inside).suffix in PLAIN else "")
    if files.get_file_from_path(uri) is None:
        files.append(File.generated(config, uri, content=(ROOT / inside).read_bytes()))
    return posixpath.relpath(uri, posixpath.dirname(source) or ".")
