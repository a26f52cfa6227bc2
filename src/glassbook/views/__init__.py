"""Views: the data of one picture each, and its form as semantic HTML and inline SVG, made without any script."""

from glassbook.views.attention_grid import AttentionGrid
from glassbook.views.claim_table import ClaimRow, ClaimTable, Estimate
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.cost_table import Cost, Costs
from glassbook.views.feature_card import FeatureCard, Passage, Passages
from glassbook.views.frontier import Frontier, Point
from glassbook.views.heat_map import HeatMap
from glassbook.views.image_grid import ImageGrid, to_digits
from glassbook.views.line_chart import LineChart, Series, Threshold
from glassbook.views.page import Making, Section, Verdict, open_in_browser, render_page
from glassbook.views.steer_compare import Completion, SteerCompare
from glassbook.views.sweep_map import SweepMap
from glassbook.views.table import Table
from glassbook.views.token_strip import TokenStrip
from glassbook.views.view import VIEWS, View, json_schema, read_view

__all__ = [
    "VIEWS",
    "AttentionGrid",
    "ClaimRow",
    "ClaimTable",
    "Completion",
    "ControlDistribution",
    "Cost",
    "Costs",
    "Estimate",
    "FeatureCard",
    "Frontier",
    "HeatMap",
    "ImageGrid",
    "LineChart",
    "Making",
    "Passage",
    "Passages",
    "Point",
    "Section",
    "Series",
    "SteerCompare",
    "SweepMap",
    "Table",
    "Threshold",
    "TokenStrip",
    "Verdict",
    "View",
    "json_schema",
    "open_in_browser",
    "read_view",
    "render_page",
    "to_digits",
]
