"""The directive ``drawing``: a function of `drawings` draws, its docstring says what is seen."""

from __future__ import annotations

import drawings
import inline_svg
import matplotlib
import matplotlib.pyplot as plt
from docutils import nodes
from docutils.parsers.rst import Directive


class Drawing(Directive):
    """Put a drawing in its place."""

    required_arguments = 1

    def run(self):
        draw = getattr(drawings, self.arguments[0])
        with matplotlib.rc_context(inline_svg.STYLE):
            figure = draw()
            element = inline_svg.of_figure(figure, alt=" ".join(draw.__doc__.split()))
            plt.close(figure)
        return [nodes.raw("", element, format="html")]


def setup(app):
    app.add_directive("drawing", Drawing)
    return {"version": "1", "parallel_read_safe": True}
