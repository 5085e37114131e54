"""The picture of a comparison: mean profiles with the scatter of their units, and the points that were kept."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plans.release.figure import COLOURS
from plans.release.products import Product, Products

if TYPE_CHECKING:
    from plans.release.similarity_files import Comparison


def draw(products: Products, comparisons: "Sequence[Comparison]") -> bytes:
    """Return the picture as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "nanolab", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.5, 5.0), layout="constrained")
        axes = figure.add_subplot()

        def profile(product: Product, colour: str, label: str) -> None:
            scatter = product.units.std(axis=0, ddof=1) if product.units.shape[0] > 1 else None
            axes.errorbar(
                products.times, product.units.mean(axis=0), yerr=scatter, fmt="o-", color=colour, markersize=4,
                linewidth=1.0, label=label,
            )  # fmt: skip

        profile(products.reference, "black", f"reference {products.reference.name}")
        for test, comparison, colour in zip(products.tests, comparisons, COLOURS, strict=False):
            factor = "no f2" if comparison.f2 is None else f"f2 {comparison.f2.value:.1f}"
            profile(test, colour, f"test {test.name}, {factor}")
            kept = products.times[comparison.kept.keep]
            means = test.units.mean(axis=0)[comparison.kept.keep]
            axes.plot(kept, means, "o", markersize=9, markerfacecolor="none", color=colour)
        axes.set_xlabel(f"time / {products.time_unit}" if products.time_unit else "time")
        axes.set_ylabel("released / %")
        axes.set_title("circles: points that were compared", fontsize=9, loc="left")
        axes.legend(fontsize=8, frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
