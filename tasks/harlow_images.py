"""Pictures of objects: generated, or read from a folder of one's own."""

from functools import lru_cache
from math import pi
from pathlib import Path

import torch
from torch import Tensor

from pfc_metarl.errors import InputError

N_FEATURES = 13
"""Numbers from which an object is generated."""

SUFFIXES = (".jpeg", ".jpg", ".png")


def generated_images(features: Tensor, size: int) -> Tensor:
    """Draw objects: lobed shapes with stripes of two colours on black.

    Parameters
    ----------
    features
        (..., 13), uniform from 0 to 1: lobes, their depth and angle, radius; frequency,
        angle and phase of the stripes; two colours.
    size
        Pixels to a side.

    Returns
    -------
    Tensor
        (..., 3, size, size) float32 from 0 to 1.
    """
    form, first, second = features[..., None, None].split([7, 3, 3], dim=-3)
    lobes, depth, turn, radius, stripes, tilt, phase = form.unbind(-3)
    axis = (torch.arange(size, device=features.device) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = (2 + (5 * lobes).floor()) * (torch.atan2(y, x) - 2 * pi * turn)
    depth = 0.4 * depth
    edge = (0.6 + 0.4 * radius) * (1 + depth * angle.cos()) / (1 + depth)
    inside = x.hypot(y) < edge
    along = x * (pi * tilt).cos() + y * (pi * tilt).sin()
    wave = (2 * pi * ((0.5 + 2.5 * stripes) * along + phase)).cos()
    share = (0.5 * (1 + wave)).unsqueeze(-3)
    colour = share * first + (1 - share) * second
    # nowhere so dark that it could be taken for the background
    image: Tensor = (0.15 + 0.85 * colour) * inside.unsqueeze(-3)
    return image


@lru_cache(maxsize=4)
def images_in(folder: str, size: int) -> Tensor:
    """Read the pictures of a folder.

    Parameters
    ----------
    folder
        Holds two or more files .png, .jpg or .jpeg; other files are passed over.
    size
        Pixels to a side, to which the pictures are scaled.

    Returns
    -------
    Tensor
        (image, 3, size, size) float32 from 0 to 1, by file name.

    Raises
    ------
    InputError
        When there are fewer than two pictures.
    """
    from PIL import Image  # only whoever has pictures waits for it

    paths = [
        path
        for path in sorted(Path(folder).glob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if len(paths) < 2:
        raise InputError(
            f"{folder} holds {len(paths)} pictures ({', '.join(SUFFIXES)}); "
            "expected two or more"
        )
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            scaled = picture.convert("RGB").resize((size, size))
        levels = torch.frombuffer(bytearray(scaled.tobytes()), dtype=torch.uint8)
        pictures.append(levels.view(size, size, 3).permute(2, 0, 1) / 255)
    return torch.stack(pictures)


def chosen_images(
    images: Tensor, rewarded: Tensor, unrewarded: Tensor
) -> tuple[Tensor, Tensor]:
    """Take two different pictures per episode.

    Parameters
    ----------
    images
        (image, 3, size, size).
    rewarded, unrewarded
        (..., feature), uniform from 0 to 1: the first feature chooses.

    Returns
    -------
    tuple
        Two of (..., 3, size, size).
    """
    n = len(images)
    one = (n * rewarded[..., 0]).long()
    other = (one + 1 + ((n - 1) * unrewarded[..., 0]).long()) % n
    return images[one], images[other]
