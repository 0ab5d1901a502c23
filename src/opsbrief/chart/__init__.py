"""From series to a Chart: everything chosen, counted and placed; the drawers only draw. Pure numpy."""

from opsbrief.chart.build import build
from opsbrief.chart.columns import sparkline

__all__ = ["build", "sparkline"]
