"""The image that a text is shown with instead of its own: any image of another group, each as likely as the others."""

# T texts, C images to choose from

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Partners"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Partners:
    """The images of a split, group after group.

    Attributes:
        rows: (C,) rows of the images that texts of the split name, sorted by group.
        first: (T,) where in `rows` the group of each text begins.
        own: (T,) images of that group.
    """

    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    own: NDArray[np.int64]

    @classmethod
    def of(cls, image_rows: NDArray[np.int64], groups: NDArray[np.int64]) -> "Partners":
        """The partners of texts with these images, of these groups.

        Raises:
            ValueError: an image stands in two groups, or all images in one.
        """
        rows, example = np.unique(image_rows, return_index=True)
        group_of_image = groups[example]
        divided = np.flatnonzero(group_of_image[np.searchsorted(rows, image_rows)] != groups)
        if len(divided):
            raise ValueError(
                f"groups: text {divided[0]} puts the image in row {image_rows[divided[0]]} into another group than an "
                "earlier text does: give all texts of an image the same group"
            )
        order = np.argsort(group_of_image, kind="stable")
        sorted_groups = group_of_image[order]
        first = np.searchsorted(sorted_groups, groups, side="left")
        own = np.searchsorted(sorted_groups, groups, side="right") - first
        if own.max(initial=0) == len(rows):
            raise ValueError(
                f"mismatch_probability: all {len(rows)} image(s) belong to one group, there is none to mismatch with: "
                "use 0, or data with more images"
            )
        return cls(rows=rows[order], first=first, own=own)

    def choose(self, uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """(T,) the row of each text's partner, from a number in [0, 1) for each text.

        >>> Partners.of(np.array([4, 5, 6, 6]), np.array([0, 0, 1, 1])).choose(np.array([0.0, 0.9, 0.2, 0.7]))
        array([6, 6, 4, 5])
        """
        drawn = (uniforms * (len(self.rows) - self.own)).astype(np.int64)
        # what lies behind the text's own group moves up over it
        return self.rows[np.where(drawn < self.first, drawn, drawn + self.own)]
