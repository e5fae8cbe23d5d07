from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalldata_stream.cli import main
from smalldata_stream.h5 import write_tree


@pytest.fixture
def result(tmp_path: Path) -> Path:
    row, column = np.indices((120, 150))
    ring = 50 * np.exp(-((np.hypot(row - 66.5, column - 70.2) - 40) ** 2) / 8)
    image = np.random.default_rng(0).poisson(ring + 2).astype(float)
    image[20:30, 20:60] = 0
    file = tmp_path / "run.h5"
    write_tree(
        file, {"Sums/cam_calib": image, "Sums/tiled_calib": np.stack([image, image])}
    )
    return file


@pytest.mark.parametrize("method", ["hough", "ransac", "threshold"])
def test_the_centre_is_printed(
    result: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["center", str(result), "cam_calib", "--method", method]) == 0
    x, y = capsys.readouterr().out.split()[1:4:2]
    assert abs(float(x) - 70.2) < 0.5
    assert abs(float(y) - 66.5) < 0.5
    assert main(["center", str(result), "tiled_calib", "--tile", "1"]) == 0


def test_what_is_wrong_is_told(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["center", str(result), "cam_calb"]) == 1
    assert "did you mean 'cam_calib'" in capsys.readouterr().err
    assert main(["center", str(result), "tiled_calib", "--tile", "2"]) == 1
    assert "has 2" in capsys.readouterr().err
    assert main(["center", str(result), "cam_calib", "--rings", "9"]) == 1
    assert "no 9 rings found" in capsys.readouterr().err
