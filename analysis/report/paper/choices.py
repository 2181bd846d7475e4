"""The words that a person chooses by; known before anything heavy is imported."""

FIGURE_FORMS = ("pdf", "svg", "png")
FIGURE_WIDTHS = ("single", "double")
"""Of a paper's columns: one, or the page's full width."""
TABLE_MARKUPS = ("latex", "markdown", "csv")
FIGURES = (
    *("signal-curve", "losses", "health-profile", "prompts", "confusion", "lens", "causal"),
    *("ownership", "nuisance", "self-test", "overview", "pairs", "signal-curves"),
)
PRINTED_TABLES = ("leaderboard", "losses", "baselines", "pairs")
