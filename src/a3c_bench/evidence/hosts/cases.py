"""A table that grows by a row for every case, and goes on where it was interrupted."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from a3c_bench.results.checkpoints import code_version
from a3c_bench.results.files import csv_bytes, json_bytes, sha256, write_all
from a3c_bench.results.tables import read_csv

CODE, PARAMS = "code", "params"
"""The columns that say of which version of the code a row is, as far as that decides results, and of which params."""
SHOWN = 12
YES_NO = {True: "yes", False: "no"}


class Cases:
    """The rows of a file: what this version of the code has made already, with these params, is not made again."""

    def __init__(self, path: Path, columns: Sequence[str], key: Sequence[str], params: Mapping[str, Any]) -> None:
        """key: the columns that say which case a row is of."""
        self.path, self._columns, self._key = path, [*columns, CODE, PARAMS], key
        self._made_by = {CODE: code_version()[:SHOWN], PARAMS: sha256(json_bytes(params))[:SHOWN]}
        # Empty cells are no numbers to pandas, but objects can be None.
        table = read_csv(path).astype(object) if path.exists() else pd.DataFrame()
        rows = table.where(table.notna(), None).to_dict("records")
        self.rows = [{str(name): row[name] for name in row} for row in rows if self._made_by.items() <= row.items()]

    def has(self, *key: Any) -> bool:
        """Whether a case is there."""
        return self.find(*key) is not None

    def find(self, *key: Any) -> dict[str, Any] | None:
        """The row of a case; None where it is not there."""
        return next((row for row in self.rows if [str(row[name]) for name in self._key] == [*map(str, key)]), None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a case, and write the file."""
        self.extend([row])

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add cases that are measured together, and write the file."""
        self.rows += [{**row, **self._made_by} for row in rows]
        table = [[one.get(name) for name in self._columns] for one in self.rows]
        write_all({self.path: csv_bytes(self._columns, table)})
