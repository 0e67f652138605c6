"""Tables as files, for the stage that aggregates them."""

import io
from pathlib import Path

import pandas as pd

from a3c_bench.params import read_plain
from a3c_bench.results.files import csv_bytes, unreadable


def read_csv(path: Path, rows: int | None = None) -> pd.DataFrame:
    """A CSV file as a table; raises `BadInputError` that tells how to bring the file back.

    So it does for one that was cut short, in the middle of a line or (`rows`, if they are known) between two.
    """
    try:
        content = read_plain(path)
        if not content.endswith(b"\n"):
            raise ValueError("its last line is cut short")
        table = pd.read_csv(io.BytesIO(content))
        if rows is not None and len(table) != rows:
            raise ValueError(f"{len(table)} rows in place of {rows}")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return table


def frame_bytes(frame: pd.DataFrame) -> bytes:
    """A table as canonical CSV; missing values are empty."""
    rows = ([None if pd.isna(value) else value for value in row] for row in frame.itertuples(index=False))
    return csv_bytes([str(column) for column in frame.columns], rows)
