"""Images: sets of pictures with their labels and licence, split without leaks, and one drawn by ourselves from known factors."""

from glassbook.images.image_set import ImageSet, Split, open_images, split_by_class
from glassbook.images.smiley import ATTRIBUTES, AttributeSet, draw_smileys

__all__ = ["ATTRIBUTES", "AttributeSet", "ImageSet", "Split", "draw_smileys", "open_images", "split_by_class"]
