"""The units of energy and weather, as a row under a header names them."""

from __future__ import annotations

import re

_SCALED = "wh|w|vah|varh|var|va|v|a|hz|pa|bar|j|btu|ohm|m|l|g"
_ALONE = (
    "%|°|°?[cfk]|deg|degc|degf|celsius|fahrenheit|kelvin|percent|pct|kt|kn|knots|mph|kmh|kph|ppm|lux|lx|"
    "s|sec|min|h|hr|hour|d|day|eur|€|ct|cent|cents|usd|[$]|gbp|£|p|pence|chf|"
    "octas?|oktas?|tenths|pulses?|imp|counts?|units?|index|number|p[.]?u[.]?"
)
_PART = re.compile(rf"(?:[kmgtµμuhdc]?(?:{_SCALED})|{_ALONE})(?:\^?[23²³]|[-^]+[123])?")
_BETWEEN = re.compile(r"[/·⋅* ]+|\bper\b")


def is_unit(text: str) -> bool:
    """Whether a text is a unit, such as `kWh`, `[°C]` or `W/m²`. A word that may say what is wrong
    with a reading, such as `error`, is none."""
    bare = text.strip()
    if bare[:1] in ("[", "(") and bare[-1:] in ("]", ")"):
        return True
    parts = [part for part in _BETWEEN.split(bare.lower()) if part]
    return bool(parts) and all(_PART.fullmatch(part) for part in parts)
