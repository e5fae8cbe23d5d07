"""The picture of a graph: a line is behind no box that it does not end at."""

from __future__ import annotations

import re

import pytest

from smalldata_stream.drawing import GAP_X, GAP_Y, HEIGHT, MARGIN, WIDTH, edge


def corner(column: int, row: int) -> tuple[int, int]:
    return MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y)


@pytest.mark.parametrize("end", [(1, 2), (2, 2), (3, 0), (3, 4), (3, 2)])
@pytest.mark.parametrize("full", [(), (0,), (2,), (4,), (0, 2), (2, 4), (0, 1, 2, 3, 4)])
def test_a_line_is_behind_no_box(end: tuple[int, int], full: tuple[int, ...]) -> None:
    start = (0, 2)
    boxes = {corner(column, row) for column in range(1, end[0]) for row in full}
    path = edge(corner(*start), corner(*end), boxes)
    x, y = corner(*end)
    assert f" {x} {y + HEIGHT // 2}" in path
    level = re.findall(r"(\d+) (\d+) H(\d+)", path)
    assert len(level) == end[0] - 1  # one straight piece for each column that is passed
    for left, height, right in ((int(a), int(b), int(c)) for a, b, c in level):
        assert right - left == WIDTH
        assert not [b for b in boxes if b[0] == left and b[1] <= height <= b[1] + HEIGHT]
