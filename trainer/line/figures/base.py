"""How a figure is written down, and what holds it to its range."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Span = tuple[float, float]
Grade = Literal["ULC", "low-C", "peritectic", "medium-C"]


def parameter(default: float | Span, unit: str, low: float, high: float, source: str) -> Any:
    """A field with its unit, bounds and source as metadata (`json_schema_extra`)."""
    return Field(default=default, json_schema_extra={"unit": unit, "low": low, "high": high, "source": source})


class Section(BaseModel):
    """Base of the configuration's parts: frozen, no unknown names, every figure within its range."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        for name, field in type(self).model_fields.items():
            meta = field.json_schema_extra
            if not isinstance(meta, dict) or "low" not in meta:
                continue
            value = getattr(self, name)
            span = value if isinstance(value, tuple) else (value, value)
            low, high = meta["low"], meta["high"]
            if not low <= span[0] <= span[1] <= high:
                order = ", rising" if isinstance(value, tuple) else ""
                raise ValueError(f"expected {low} to {high} {meta['unit']}{order}, got {value} at {name}")
        return self


MOST_PER_HOUR = 20.0


def rate(per_hour: float, source: str = "assumed; far denser than on a caster, to learn from") -> Any:
    """How often something happens on one strand, in training data."""
    return parameter(per_hour, "1/strand-hour", 0.0, MOST_PER_HOUR, source)


def natural(per_hour: float, source: str = "assumed") -> Any:
    """How often something happens on one strand of a real caster."""
    return parameter(per_hour, "1/strand-hour", 0.0, MOST_PER_HOUR, source)


class Happening(Section):
    """Base of everything that can be scheduled."""

    per_hour: float = rate(0.0)
    natural_per_hour: float = natural(0.0)
