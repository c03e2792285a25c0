"""Small line charts as inline SVG, drawn when the site is made: no script, colours by style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 96
"""The drawing's size in its own units; the style sheet scales it."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 4, 10, 8


@dataclass(frozen=True)
class Dot:
    """An image's figure, at its place in the drawing."""

    x: float
    y: float
    value: float
    here: bool
    """Whether it is of the page's own image."""


@dataclass(frozen=True)
class Chart:
    """A drawing of figures, oldest first; there are at least two."""

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
        first, last = self.dots[0].value, self.dots[-1].value
        return (
            f"{self.title} of {len(self.dots)} images, oldest first: from {first:.0f} to {last:.0f} {self.unit}, "
            f"lowest {self.lowest:.0f}, highest {self.highest:.0f}"
        )


def draw(title: str, unit: str, figures: Sequence[tuple[float, bool]]) -> Chart | None:
    """The chart of these figures, each with whether it is of the page's own image; None for a single one."""
    if len(figures) < 2:
        return None
    low, high = min(figures)[0], max(figures)[0]
    # a change of a few per cent shall not look like a cliff
    middle, reach = (low + high) / 2, max(high - low, 0.2 * high, 1)
    step, rise = (WIDTH - _LEFT - _RIGHT) / (len(figures) - 1), HEIGHT - _TOP - _BOTTOM
    dots = (
        Dot(round(_LEFT + step * index, 1), round(_TOP + rise * (0.5 - (value - middle) / reach), 1), value, here)
        for index, (value, here) in enumerate(figures)
    )
    return Chart(title, unit, tuple(dots))
