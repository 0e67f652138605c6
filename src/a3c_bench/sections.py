"""What the sections of params.yaml have in common: their strictness, and the types of their values."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from a3c_bench.errors import BadInputError

AdamStatistics = Literal["shared", "own"]
# One row of statistics is kept for every turn, in shared memory.
MOST_TURNS = 5_000_000
Actors = Annotated[int, Field(ge=1, le=1024)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Width = Annotated[int, Field(ge=1, le=4096)]
# YAML knows lists only, which a strict tuple would refuse.
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=8, strict=False)]


class Section(BaseModel):
    """A section: a key without a default is required, none is unknown, and nothing is quietly converted."""

    # strict: a string, or a number with a fraction, is not turned into an integer.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def changed(self, **values: Any) -> Self:
        """The same with other values, within the same bounds: unlike `model_copy`, which checks nothing."""
        try:
            return self.model_validate({**dict(self), **values})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"])) or " and ".join(values)
            raise BadInputError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from None
