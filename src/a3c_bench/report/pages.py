"""Pages and Markdown from this package's templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from a3c_bench.params import read_plain
from a3c_bench.results.files import unreadable


def picture(path: Path) -> bytes:
    """A picture that is a file; raises `BadInputError` that tells how to bring it back."""
    try:
        return read_plain(path)
    except OSError as error:
        raise unreadable(path, error) from None


def render_template(template: str, context: Mapping[str, Any]) -> bytes:
    """A template of this package, filled in; a name that the context does not have is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("a3c_bench.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context).encode()
