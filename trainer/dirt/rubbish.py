"""Records that are no valid scan, made of scans that were: a reader must put them aside and go on."""

from typing import Literal, get_args

Damage = Literal["truncated", "wrong_type", "no_values", "empty", "null", "binary"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)


def mangled(value: bytes, damage: Damage) -> bytes | None:
    """A scan's JSON as it might come from a broken sender; never again a valid scan."""
    match damage:
        case "truncated":
            return value[: len(value) // 2]
        case "wrong_type":
            return value.replace(b'"event_time_ms":', b'"event_time_ms":"", "was":', 1)
        case "no_values":
            return value.replace(b'"values":', b'"valeurs":', 1)
        case "empty":
            return b""
        case "null":
            return None
        case "binary":
            return b"\x00" + value
