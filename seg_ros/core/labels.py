# SPDX-License-Identifier: Apache-2.0
"""Label map: what the numbers in a label image mean, by names, colours and roles.

Roles are all that the rest of the program asks about; no other module knows a class id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError

__all__ = ['KNOWN_ROLES', 'MAX_CLASS_ID', 'LabelClass', 'LabelMap']

KNOWN_ROLES = (
    'drivable',
    'lane',
    'pedestrian',
    'cyclist',
    'vehicle',
    'obstacle',
    'walkable',
    'static',
    'background',
    'sky',
)
T = TypeVar('T', bound=Hashable)

MAX_CLASS_ID = 254  # a label image is uint8, and 255 says "unlabelled"


@dataclass(frozen=True)
class LabelClass:
    """One class of a label image.

    Attributes:
        id: The value of its pixels, 0 to 254.
        name: Unique in its label map.
        colour_rgb: Red, green and blue, each 0 to 255.
        roles: What the class means to the consumers, out of ``KNOWN_ROLES``; may be empty.

    Raises:
        ConfigurationError: An id, name, colour or role that cannot be.
    """

    id: int
    name: str
    colour_rgb: tuple[int, int, int]
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(
                f'The name of a class is a word, this is {self.name!r}. Put it in quotes if YAML '
                'takes it for something else (no, on, 12).'
            )
        if not _is_integer(self.id) or not 0 <= self.id <= MAX_CLASS_ID:
            raise ConfigurationError(
                f"Class '{self.name}' has the id {self.id!r}; an id is a whole number from 0 to "
                f'{MAX_CLASS_ID}.'
            )
        if len(self.colour_rgb) != 3 or not all(
            _is_integer(value) and 0 <= value <= 255 for value in self.colour_rgb
        ):
            raise ConfigurationError(
                f"Class '{self.name}' has the colour {list(self.colour_rgb)}; a colour is three "
                'whole numbers from 0 to 255: red, green, blue.'
            )
        for role in self.roles:
            _check_role(role, f"Class '{self.name}' has")


@dataclass(frozen=True)
class LabelMap:
    """Every class of a label image.

    Attributes:
        classes: At least one; ids and names are unique.
        unlabelled: The value of a pixel without a class.

    Raises:
        ConfigurationError: No class at all, an id or name that is there twice, or an
            ``unlabelled`` that is the id of a class.
    """

    classes: tuple[LabelClass, ...]
    unlabelled: int = 255

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigurationError('A label map needs at least one class, this one has none.')
        if ids := _duplicates(row.id for row in self.classes):
            names = [row.name for row in self.classes if row.id == ids[0]]
            raise ConfigurationError(
                f'The id {ids[0]} belongs to {len(names)} classes ({", ".join(names)}); give each '
                'class its own.'
            )
        if names := _duplicates(row.name for row in self.classes):
            raise ConfigurationError(
                f"Two classes are called '{names[0]}'; give each class its own name."
            )
        if not _is_integer(self.unlabelled) or not 0 <= self.unlabelled <= 255:
            raise ConfigurationError(
                f'unlabelled is {self.unlabelled!r}; it is a pixel value from 0 to 255, mostly '
                '255.'
            )
        if owner := [row.name for row in self.classes if row.id == self.unlabelled]:
            raise ConfigurationError(
                f"unlabelled is {self.unlabelled}, which is the id of class '{owner[0]}'; take a "
                'value that no class has, mostly 255.'
            )

    def by_name(self, name: str) -> LabelClass:
        """Returns the class of that name.

        Raises:
            ConfigurationError: There is none; the message lists those there are.
        """
        for row in self.classes:
            if row.name == name:
                return row
        known = ', '.join(row.name for row in self.classes)
        raise ConfigurationError(f"There is no class '{name}'. The classes are: {known}.")

    def ids_with_role(self, role: str) -> tuple[int, ...]:
        """Returns the ids of the classes that play a role, rising; empty if none does.

        Raises:
            ConfigurationError: A role that nobody knows.
        """
        _check_role(role, 'Asked for')
        return tuple(sorted(row.id for row in self.classes if role in row.roles))

    def role_mask_lut(self, role: str) -> NDArray[np.uint8]:
        """Returns ``uint8 (256,)`` for ``cv2.LUT``: 255 where the class plays the role, else 0."""
        lut = np.zeros(256, np.uint8)
        lut[list(self.ids_with_role(role))] = 255
        return lut

    def colour_lut_rgb(self) -> NDArray[np.uint8]:
        """Returns ``uint8 (256, 1, 3)`` for ``cv2.applyColorMap``; black for no class."""
        lut = np.zeros((256, 1, 3), np.uint8)
        for row in self.classes:
            lut[row.id, 0] = row.colour_rgb
        return lut

    def colour_lut_bgr(self) -> NDArray[np.uint8]:
        """Returns ``colour_lut_rgb`` with blue first, as cv2 writes pictures."""
        return np.ascontiguousarray(self.colour_lut_rgb()[..., ::-1])


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _duplicates(values: Iterable[T]) -> list[T]:
    return [value for value, count in Counter(values).items() if count > 1]


def _check_role(role: object, subject: str) -> None:
    if role not in KNOWN_ROLES:
        raise ConfigurationError(
            f"{subject} the role '{role}', which nobody knows. The roles are: "
            f'{", ".join(KNOWN_ROLES)}.'
        )
