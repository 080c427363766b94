"""Reading MNIST's IDX files; the tests write small ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError
from loptbench.tasks import TASKS, Digits, definition, get_task, use_mnist
from loptbench.tasks.idx import IMAGES, LABELS, read_mnist

pytestmark = pytest.mark.harness

N = 30


def idx(magic: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + body


def pixels(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def labels(n: int = N) -> np.ndarray:
    return (np.arange(n) % 10).astype(np.uint8)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    (tmp_path / IMAGES).write_bytes(idx(0x803, (N, 28, 28), pixels().tobytes()))
    (tmp_path / LABELS).write_bytes(idx(0x801, (N,), labels().tobytes()))
    return tmp_path


def test_plain_files(mnist: Path) -> None:
    images = read_mnist(mnist)
    assert np.array_equal(images.pixels, pixels())
    assert np.array_equal(images.labels, labels())
    assert images.white == 255


def test_gzipped_files(mnist: Path) -> None:
    for name in (IMAGES, LABELS):
        content = (mnist / name).read_bytes()
        (mnist / name).unlink()
        (mnist / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    assert np.array_equal(read_mnist(mnist).pixels, pixels())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, idx(0x801, (N,), labels().tobytes()), "magic number is 0x00000801"),
        (IMAGES, b"GIF89a" * 20, "not the IDX file it should be"),
        (IMAGES, idx(0x803, (N, 28, 28), pixels().tobytes()[:-1]), "is truncated: its header"),
        (IMAGES, idx(0x803, (N, 28, 28), pixels().tobytes() + b"0"), "is too long: its header"),
        (IMAGES, b"\0\0\x08\x03\0", "is truncated: an IDX header of 3 axes has 16 bytes"),
        (IMAGES, b"", "is truncated"),
        (IMAGES, gzip.compress(b"x" * 1000, mtime=0)[:-9], "cannot be read"),
        (IMAGES, idx(0x803, (N - 1, 28, 28), pixels(N - 1).tobytes()), "29 images but 30 labels"),
        (IMAGES, idx(0x803, (N, 28, 14), pixels().tobytes()[: N * 392]), "must be square"),
        (LABELS, idx(0x801, (N,), b"\x0b" * N), "must lie in 0 to 9, but one is 11"),
    ],
)
def test_damaged_files_are_refused(mnist: Path, name: str, content: bytes, message: str) -> None:
    (mnist / name).write_bytes(content)
    with pytest.raises(LoptbenchError, match=message):
        read_mnist(mnist)


def test_no_images_are_refused(mnist: Path) -> None:
    (mnist / IMAGES).write_bytes(idx(0x803, (0, 28, 28), b""))
    (mnist / LABELS).write_bytes(idx(0x801, (0,), b""))
    with pytest.raises(LoptbenchError, match="holds no images"):
        read_mnist(mnist)


def test_a_missing_file_is_named(mnist: Path) -> None:
    (mnist / LABELS).unlink()
    with pytest.raises(LoptbenchError, match=f"has no {LABELS}"):
        read_mnist(mnist)
    with pytest.raises(LoptbenchError, match="is not a folder"):
        read_mnist(mnist / "nowhere")


def test_the_digits_task_then_uses_mnist(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "digits", Digits())
    before = definition(get_task("digits"))
    use_mnist(mnist)
    task = get_task("digits")
    assert task.n_parameters == 80 + 584 + 10 * 7 * 7 * 8 + 10
    assert definition(task) != before
    batch = task.sample("tune", 0, range(2))
    loss, gradient = (
        oracle().problems(batch, "float64", "cpu").loss_and_gradient(batch.initial_parameters, 3)
    )
    assert np.all(np.isfinite(loss))
    assert gradient.shape == (2, task.n_parameters)
