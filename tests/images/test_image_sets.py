"""Image sets: rows with a checksum, splits without leaks, and the known files where they are at hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError, InputError
from glassbook.images import ImageSet, open_images, split_by_class
from glassbook.images import image_set as module
from glassbook.sources.obtain import is_cached


def some_images(n: int, n_classes: int, seed: int = 0) -> ImageSet:
    """Return pictures no two of which are equal, their number in the first two pixels."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (n, 3, 4), dtype=np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = np.arange(n) // 256, np.arange(n) % 256
    return ImageSet("some", pixels, np.arange(n) % n_classes, "CC0-1.0", "a test")


@settings(max_examples=30)
@given(st.integers(20, 120), st.integers(1, 4), st.floats(0.2, 0.8), st.integers(0, 99))
def test_a_split_loses_no_picture_shares_none_and_treats_classes_alike(n, n_classes, share, seed):
    images = some_images(n, n_classes)
    split = split_by_class(images, share, seed)
    both = np.concatenate([split.train.pixels, split.test.pixels])
    assert sorted(map(bytes, both)) == sorted(map(bytes, images.pixels))
    for label in range(n_classes):
        of_class = (images.labels == label).sum()
        assert (split.test.labels == label).sum() == round(of_class * share)


def test_a_split_depends_on_its_seed_and_on_nothing_else():
    images = some_images(60, 3)
    again, other = split_by_class(images, 0.5, 1), split_by_class(images, 0.5, 2)
    assert split_by_class(images, 0.5, 1).test.sha256 == again.test.sha256 != other.test.sha256


def test_a_class_that_would_be_missing_from_one_part_is_named():
    with pytest.raises(InputError, match="class 2 of 'some' has 1 picture"):
        split_by_class(some_images(5, 3), 0.5, 0)


def test_the_checksum_covers_pixels_and_labels():
    images = some_images(10, 2)
    darker, relabeled = images.pixels.copy(), images.labels.copy()
    darker[3, 2, 1] ^= 1
    relabeled[3] = 7
    sums = {
        one.sha256
        for one in (
            images,
            images.take(slice(0, 9)),
            ImageSet("some", darker, images.labels, "", ""),
            ImageSet("some", images.pixels, relabeled, "", ""),
        )
    }
    assert len(sums) == 4 and some_images(10, 2).sha256 == images.sha256


def test_scaled_pictures_are_rows_from_black_0_to_white_1():
    pixels = np.array([[[0, 255], [51, 102]]], dtype=np.uint8)
    scaled = ImageSet("one", pixels, np.array([0]), "", "").scaled
    assert scaled.shape == (1, 4) and np.allclose(scaled, [[0, 1, 0.2, 0.4]])


def test_a_name_that_holds_no_pictures_is_refused():
    with pytest.raises(InputError, match="known: mnist, fashion_mnist_900"):
        open_images("names")


def test_a_file_that_is_no_npz_is_refused_and_a_pickle_in_one_is_never_opened(tmp_path):
    (tmp_path / "text.npz").write_text("no pictures")
    with pytest.raises(FileFormatError, match="no npz file of pictures"):
        module._read("mnist", tmp_path / "text.npz")
    np.savez(tmp_path / "pickled.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    with pytest.raises(FileFormatError, match="no npz file of pictures"):
        module._read("mnist", tmp_path / "pickled.npz")


def test_a_set_that_its_origin_split_stays_so(tmp_path):
    images = some_images(12, 3)
    np.savez(
        tmp_path / "set.npz",
        x_train=images.pixels[:9], y_train=images.labels[:9], x_test=images.pixels[9:], y_test=images.labels[9:],
    )  # fmt: skip
    split = module._read("mnist", tmp_path / "set.npz")
    assert (split.train.pixels == images.pixels[:9]).all() and (split.test.labels == images.labels[9:]).all()


@pytest.mark.parametrize(("name", "n_train", "n_test"), [("mnist", 60_000, 10_000), ("fashion_mnist_900", 600, 300)])
def test_the_known_sets_have_ten_classes_of_28_by_28_pixels(name, n_train, n_test):
    if not is_cached(name):
        pytest.skip(f"{name} is not at hand; put it into the folder that GLASSBOOK_DATA names")
    split = open_images(name)
    assert (len(split.train), len(split.test)) == (n_train, n_test)
    assert split.train.pixels.shape[1:] == (28, 28) and split.train.n_classes == split.test.n_classes == 10
    assert not set(map(bytes, split.test.pixels[:300])) & set(map(bytes, split.train.pixels[:600]))
