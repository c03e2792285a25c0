"""Small line charts as inline SVG, drawn when the site is made: no script, colours by style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 96
"""The drawing's size in its own units; the style sheet scales it."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 4, 10, 8


@dataclass(frozen=True)
class Reading:
    """One image's figure."""

    label: str
    value: float


@dataclass(frozen=True)
class Dot:
    """A reading's place in the drawing."""

    x: float
    y: float
    label: str
    value: float
    here: bool
    """Whether it is of the page's own image."""


@dataclass(frozen=True)
class Chart:
    """A drawing of readings, oldest first; there are at least two."""

    title: str
    unit: str
    dots: tuple[Dot, ...]

    @property
    def line(self) -> str:
        """The points of the polyline."""
        return " ".join(f"{dot.x:g},{dot.y:g}" for dot in self.dots)

    @property
    def area(self) -> str:
        """The points of the polygon between the line and the lower edge."""
        return f"{self.dots[0].x:g},{HEIGHT} {self.line} {self.dots[-1].x:g},{HEIGHT}"

    @property
    def here(self) -> Dot | None:
        """The page's own image, if it was measured."""
        return next((dot for dot in self.dots if dot.here), None)

    @property
    def lowest(self) -> float:
        """The lowest value."""
        return min(dot.value for dot in self.dots)

    @property
    def highest(self) -> float:
        """The highest value."""
        return max(dot.value for dot in self.dots)

    @property
    def words(self) -> str:
        """The same in words."""
        values = [dot.value for dot in self.dots]
        return (
            f"{self.title} of {len(values)} images, oldest first: from {values[0]:.0f} to {values[-1]:.0f} "
            f"{self.unit}, lowest {self.lowest:.0f}, highest {self.highest:.0f}"
        )


def draw(title: str, unit: str, readings: Sequence[Reading], here: str) -> Chart | None:
    """The chart of `readings`, that of the label `here` marked; None where one reading alone would be a line."""
    if len(readings) < 2:
        return None
    values = [reading.value for reading in readings]
    low, high = min(values), max(values)
    # a change of a few per cent shall not look like a cliff
    middle, reach = (low + high) / 2, max(high - low, 0.2 * high, 1) / 2
    step = (WIDTH - _LEFT - _RIGHT) / (len(values) - 1)
    rise = HEIGHT - _TOP - _BOTTOM
    dots = tuple(
        Dot(
            x=round(_LEFT + step * index, 1),
            y=round(_TOP + rise * (0.5 - (reading.value - middle) / (2 * reach)), 1),
            label=reading.label,
            value=reading.value,
            here=reading.label == here,
        )
        for index, reading in enumerate(readings)
    )
    return Chart(title, unit, dots)
