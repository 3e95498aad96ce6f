"""Perceptual hashes: 64 bits that stay nearly the same when a picture is encoded, resized or greyed anew.

The DCT hash of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1):
the picture in grey at 32 x 32; of its two-dimensional cosine transform the 8 x 8 lowest frequencies, without the row
and the column of the constant one, which would only tell brightness and shading; a bit says whether a coefficient
lies above their median.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["picture_hash"]

SIDE = 32
FREQUENCIES = 8
# Coefficients are sums over 1,024 grey levels of 0 to 255. Where half of them lie no further than this from the median,
# what decides the bits is the noise of rounding and compression (about 16 for every level of it).
PLAIN = 30.0
# row k is the k-th cosine of the transform, DCT-II; row 0, the constant, is left out
COSINES = np.cos(np.pi * np.outer(np.arange(1, FREQUENCIES + 1), 2 * np.arange(SIDE) + 1) / (2 * SIDE))


def picture_hash(picture: Image.Image) -> int | None:
    """The hash of a picture, from 0 to 2^64 - 1; None if it is too plain to have one.

    Args:
        picture: upright, in any mode that Pillow can make grey.

    >>> mosaic = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8)).resize((300, 200))
    >>> one, smaller = picture_hash(mosaic), picture_hash(mosaic.resize((99, 70)))
    >>> (one ^ smaller).bit_count() <= 2, picture_hash(Image.linear_gradient("L"))
    (True, None)
    """
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    levels = np.asarray(grey, dtype=np.float64)
    coefficients: NDArray[np.float64] = COSINES @ levels @ COSINES.T
    above = coefficients - np.median(coefficients)
    if np.median(np.abs(above)) < PLAIN:
        return None
    return int.from_bytes(np.packbits(above > 0).tobytes(), "big")
