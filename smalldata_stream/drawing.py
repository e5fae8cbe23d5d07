"""A graph as a picture: SVG, one column for each step from the source."""

from __future__ import annotations

from html import escape

from smalldata_stream.flow import Chosen, Node
from smalldata_stream.plan import Plan

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 170, 34, 60, 14, 20
COLOURS = {"DetectorNode": "#dceefb", "PerEventNode": "#e8f5e0", "TotalNode": "#fdf0d5"}
STYLE = "font-family='sans-serif' font-size='12'"


def draw(plan: Plan) -> str:
    """SVG text of the nodes of a graph and of what flows between them."""
    edges = [(up, node) for node in plan.nodes for up in parents(node)]
    nodes = [node for node in plan.nodes if not isinstance(node, Chosen)]
    depth = {id(node): 0 for node in nodes}
    for node in nodes:  # a node is made after what it depends on
        depth[id(node)] = max((depth[id(up)] + 1 for up in parents(node)), default=0)
    place = positions(nodes, depth)
    boxes_at = set(place.values())
    lines = [
        edge(place[id(a)], place[id(b)], boxes_at)
        for a, b in edges
        if not isinstance(b, Chosen)
    ]
    boxes = [box(node, *place[id(node)]) for node in nodes]
    width = max(x for x, _ in place.values()) + WIDTH + MARGIN
    height = max(y for _, y in place.values()) + HEIGHT + MARGIN
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' "
        f"width='{width}' height='{height}' {STYLE}>\n"
        + "\n".join([*lines, *boxes])
        + "\n</svg>\n"
    )


def parents(node: Node) -> list[Node]:
    """The nodes that a node depends on; one chosen result stands for its node."""
    found = []
    for up in node.upstreams:
        while isinstance(up, Chosen):
            up = up.upstreams[0]
        found.append(up)
    return list(dict.fromkeys(found))


def positions(nodes: list[Node], depth: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Corner of each box: a column by depth, a row of its own for each first child."""
    place: dict[int, tuple[int, int]] = {}
    row = 0
    children: dict[int, list[Node]] = {}
    for node in nodes:
        for up in parents(node)[:1]:
            children.setdefault(id(up), []).append(node)

    def put(node: Node) -> None:
        nonlocal row
        x = MARGIN + depth[id(node)] * (WIDTH + GAP_X)
        place[id(node)] = (x, MARGIN + row * (HEIGHT + GAP_Y))
        below = children.get(id(node), [])
        for i, child in enumerate(below):
            row += i > 0
            put(child)

    for node in nodes:
        if not parents(node):
            put(node)
            row += 1
    return place


def box(node: Node, x: int, y: int) -> str:
    """One node; its name, and in a tooltip what it writes."""
    colour = COLOURS.get(type(node).__name__, "#eeeeee")
    writes = "\n".join([*node.outputs, *node.totals]) or "nothing is written"
    name = node.path if len(node.path) <= 24 else f"…{node.path[-23:]}"
    return (
        f"<g><title>{escape(writes)}</title>"
        f"<rect x='{x}' y='{y}' width='{WIDTH}' height='{HEIGHT}' rx='6' "
        f"fill='{colour}' stroke='#667'/>"
        f"<text x='{x + WIDTH // 2}' y='{y + HEIGHT // 2 + 4}' "
        f"text-anchor='middle'>{escape(name)}</text></g>"
    )


def edge(start: tuple[int, int], end: tuple[int, int], boxes: set[tuple[int, int]]) -> str:
    """A curve from the right side of one box to the left side of another, behind none.

    One that passes columns does so in the row of its end or of its start, where no box is
    in the way, else between two rows.
    """
    step = WIDTH + GAP_X
    passed = range(start[0] + step, end[0], step)
    rows = (end[1], start[1], end[1] - (HEIGHT + GAP_Y) // 2)
    free = [y for y in rows if not any((x, y) in boxes for x in passed)]
    path, (x, y) = "", (start[0] + WIDTH, start[1])
    for to in [(x, free[0]) for x in passed] + [end]:
        middle = to[0] - GAP_X // 2
        y1, y2 = y + HEIGHT // 2, to[1] + HEIGHT // 2
        path += f"M{x} {y1} C{middle} {y1} {middle} {y2} {to[0]} {y2} "
        if to != end:
            path += f"H{to[0] + WIDTH} "
        x, y = to[0] + WIDTH, to[1]
    return f"<path d='{path.strip()}' fill='none' stroke='#99a'/>"
