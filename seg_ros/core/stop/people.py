# SPDX-License-Identifier: Apache-2.0
"""Person detector: people in a label image, and where they stand on the ground.

Only the foot of a person is on the ground, so only foot pixels are projected. Where the feet are
occluded by something in front, the size of what is seen says how far away it must be.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.blobs import (
    SPLIT_WIDTH_M,
    Blob,
    Mask,
    PersonSize,
    blobs_of,
    joined,
    split,
    valley_between_heads,
)
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.ground_scale import GroundPoint, GroundScale
from seg_ros.core.labels import LabelMap
from seg_ros.core.types import ConfidenceImage, LabelImage

__all__ = ['EVEN_CONFIDENCE', 'PeopleFinder', 'SeenPerson']

PERSON = PersonSize()
# "Measured" is of 2556 unoccluded people in the simulator's exact labels (crowded_drive, seeds 3,
# 5, 8 and 12). Rows and widths are shares of the height and the width of a blob.

# Of its bounding box that a person covers: nine of ten measured cover 0.48 or more.
FILLED_SHARE = 0.45
# Of the height, at the bottom: the shoes. What is below them is what the person stands on.
FOOT_ROWS = 0.05
GROUND_ROWS = 0.04  # of the height, below the feet: enough to outvote a row of wrong labels
LEAST_GROUND_ROWS = 2
# Width of most rows of one person, with a bag; 0.36 m measured at most (1 %). Who is wider for its
# range, and shows no leg, is nearer and has lost its legs to the network: recorded labels, 19
# crossings, held 18 without this rule and 19 with it.
WIDEST_M = 0.65
# Height of what is seen above something in front, such as a bonnet or a parked car, which is 0.6 m
# high or higher. Where an edge hides a side as well the width alone puts somebody twice as far.
SEEN_OVER_M = 1.1
SHOULDER_ROWS = 0.8  # of what is seen: of head and shoulders, 0.55 m, the head is the upper half
TALLEST_M = 1.9  # 1.86 m measured at most: a blob is split by no smaller scale than its height has
# Two people in one blob end in a leg of the nearer one. Tuned on synthetic pairs, see
# test_two_people_in_one_blob_stand_where_a_leg_of_theirs_does.
LEG_ROWS = 0.12  # of the height, at the bottom
LEG_SHARE = 0.4  # of the width of most rows; a whole person has 0.86 there (5 %, measured)
# Height by width of a person who is seen whole: nine of ten of CamVid's true labels are slimmer
# (99 of 100 measured). Who is stouter may have lost its legs.
UPRIGHT = 3.4
# Shins, and so much ground in their place, of who is seen no more: a fifth may be wrong labels.
GONE_ROWS = 0.15
GONE_SHARE = 0.8
# What is two thirds of it or more above belongs to a cyclist: these are the cyclist's legs; see
# test_the_legs_of_a_cyclist_are_nobody_on_foot and the tests beside it.
RIDER_ROWS = 1.5
RIDER_SHARE = 0.5  # of the area of these rows
# Of a blob: more of a cyclist makes it one, which may be as wide as a bicycle is long
BICYCLE_SHARE = 0.5

# Nobody is smaller than this, upright or lying: what stands on the ground and is smaller is paint,
# a tail light, the end of a barrier. On pictures without a calibration: of the way from the
# horizon down to its feet, which is the height of the lens, so that 0.33 is 0.5 m from a
# windscreen and a child of 1 m from 3 m up. A horizon further up only keeps more.
LEAST_M = 0.3
LEAST_SHARE = 0.33
# Of the same where the lower border cuts what crouches or is a child at the bumper. Of what the
# network takes for people on foot in 303 pictures of five cameras none is so low at the border
UNCUT_SHARE = 0.6
HORIZON_SHARE = 0.5  # of the height of the picture: a camera that looks straight ahead
# What a sighting is worth as evidence, see SeenPerson.weight. Where the mean over a blob is half,
# somebody is as likely as all else together; EVEN is a little less, because the border of a blob
# is never sure, and SURE as much more. On 59 real pictures with somebody in the way, as clips,
# 0.40 to 0.50 find whom no weights find, 0.45 to 0.55 one fewer, 0.50 to 0.60 two; of 147 clips
# of pictures without anybody they stop 10.3, 8.9 and 7.9 % of the time, no weights 13.9 %.
# Recall must not pay.
EVEN_CONFIDENCE, SURE_CONFIDENCE = 0.40, 0.50
SURE_PX = 16  # along the longer side; smaller blobs are border for the most part
# Who is large is believed in the end, however unsure the network: of blobs of 40 px and more on
# five cameras' pictures, 1 of 159 people and 1 of 15 phantoms were below EVEN, so that nothing is
# gained by passing over them.
LARGE_PX = 40
LARGE_WEIGHT = 0.25
# Of the width of a blob smaller than FAR_PX, that has a vehicle right above it: its roof. Chosen
# on lanes and mapillary, where far cars of which the network takes the middle for people stop
# 1.1 % of the time of clips without anybody (evaluate --task stop --dataset), of which 0.5 % are
# left. Of 354 people in the image zone of camvid (train, val), cityscapes, bdd100k and a2d2 it
# costs none. FAR_PX is a grown person 13 m away through a lens of 120 degrees, 38 m through 62.
FAR_PX = 24
ROOF_SHARE = 0.8

# Who rides is 1.5 m high, half of which a network may lose: what the lower border cuts and is
# lower is a gleam on the own bonnet, unless it is as broad as a child. Without a calibration the
# lens is at most 3 m high, as on a bus. Of 40 such specks that three networks saw there in 348
# pictures of six data sets (on foot or riding), the broadest takes 0.06 of the picture's width
LEAST_RIDER_M = 0.75
LEAST_RIDER_SHARE = 0.5

# Feet below the picture: nobody is narrower than its two legs, so nobody is nearer than that. Nor
# taller than so many widths of its shoulders, which holds for a child as well: of 147 people in
# the true labels of camvid/train 99 of 100 are at most 6.1 times as tall
NARROWEST_M = 0.25
SLIMMEST = 6.0
# Who is cut by the side as well may be so many times as near as the last row shows, whatever its
# width, which is that of a slice
CORNER_TIMES = 4.0

# Standard deviations of where somebody stands
FOOT_SIGMA_PX = 1.0  # of the lowest row: a border of labels is about as exact
FOOT_SIGMA = 0.07  # of the height: networks lose feet (tuned on recorded labels, six crossings)
# The same where the ground is unknown: one and a half standard deviations, for the image zone. Of
# three of 18 real pictures with somebody in it the network saw nobody in it without this.
LOST_FEET = 0.1
RANGE_SIGMA = 0.01  # of the distance: the vehicle nods; measured without nodding: 0.02 at most
SWAY_SIGMA_M = 0.08  # across: arms, bags, what occludes a side; a sixth of a person's width
# Of the distance where it follows from the width alone: build, clothes and what occludes a side
# make 0.38 to 0.62 m of PERSON.width_m.
OCCLUDED_SIGMA = 0.25
TRUNCATED_SIGMA = 0.2  # of the distance, assumed: its width tells, as above, and the border

NOTHING, GROUND, PAVEMENT, RIDER, IN_FRONT = 0, 1, 2, 3, 4  # what a class is to somebody's feet


class SeenPerson(NamedTuple):
    """A person in one frame.

    Attributes:
        x_m: Ground point below it, base frame, forward; NaN where the ground is unknown.
        y_m: The same, left.
        sigma_along_m: Standard deviation along the line of sight.
        sigma_across_m: Standard deviation across it.
        foot_px: Column and row where it stands in the label image.
        bbox: ``(x0, y0, x1, y1)`` pixels, the last row and column excluded.
        pixels: How many are its own.
        confidence: Mean of its pixels, 0 to 1; 1 where nobody told.
        feet: ``seen``; ``occluded`` by something in front, or lost by the network; ``truncated``
            by the lower border of the image: it is somewhere on ``cut_way``.
        on_pavement: What it stands on is walkable and not drivable.
        nearer_m: How much nearer it would be if it stood upright on legs that are not seen.
        rides: Most of it is of a cyclist.
        under_roof: It is likelier the middle of a far vehicle; never where the ground is known.
        at_side: Less than its own width from the left or right border of the image.
        lowest_px: Row where its feet are at the lowest: networks lose feet; below the image where
            they are cut.
        cut_way: ``(x0, y0, x1, y1)`` metres, base frame: feet that are cut stand on the way from
            the nearest place of somebody so wide to what the last row sees; None where the feet
            are not cut or the ground is unknown.
    """

    x_m: float
    y_m: float
    sigma_along_m: float
    sigma_across_m: float
    foot_px: tuple[float, float]
    bbox: tuple[int, int, int, int]
    pixels: int
    confidence: float
    feet: str
    on_pavement: bool
    nearer_m: float = 0.0
    rides: bool = False
    under_roof: bool = False
    at_side: bool = False
    lowest_px: float = math.nan
    cut_way: tuple[float, float, float, float] | None = None

    @property
    def distance_m(self) -> float:
        """From the base origin; NaN where the ground is unknown."""
        return math.hypot(self.x_m, self.y_m)

    @property
    def extent_px(self) -> int:
        """Of its box, along the longer side."""
        x0, y0, x1, y1 = self.bbox
        return max(x1 - x0, y1 - y0)

    @property
    def weight(self) -> float:
        """What the sighting is worth as evidence: 1 of who is seen well, less of who is small.

        Below 0 where nobody is likelier: it takes back what other sightings were worth. Who is
        large is always worth something.
        """
        sure = (self.confidence - EVEN_CONFIDENCE) / (SURE_CONFIDENCE - EVEN_CONFIDENCE)
        least = LARGE_WEIGHT if self.extent_px >= LARGE_PX else -1.0
        return max(min(sure, 1.0), least) * min(self.extent_px / SURE_PX, 1.0)


class PeopleFinder:
    """Finds people in label images of one label map.

    Args:
        label_map: Its class with the role ``pedestrian`` is a person.
        include_cyclists: Its class with the role ``cyclist`` is one as well; who is on foot and
            who rides are then one road user where they touch.
        min_pixels: A blob of fewer pixels is no person.
        min_share: A blob smaller than this share of a whole person is none.

    Raises:
        ConfigurationError: The label map has no people.
    """

    def __init__(
        self,
        label_map: LabelMap,
        *,
        include_cyclists: bool = True,
        min_pixels: int = 8,
        min_share: float = 0.05,
    ) -> None:
        if not label_map.ids_with_role('pedestrian'):
            names = ', '.join(row.name for row in label_map.classes)
            raise ConfigurationError(
                'No class of this engine has the role pedestrian, so that it cannot see people. '
                f'Give the role in spec.yaml to one of {names}, or switch the stop off.'
            )
        ids = set(label_map.ids_with_role('pedestrian'))
        riders = set(label_map.ids_with_role('cyclist')) - ids if include_cyclists else set()
        self._ids = sorted(ids | riders)
        self._rider_ids = sorted(riders)
        self._static_lut = label_map.role_mask_lut('static')
        self._surface_lut = _surface_lut(label_map)
        self._is_vehicle_lut = np.isin(np.arange(256), label_map.ids_with_role('vehicle'))
        self._in_range: Mask | None = None
        self._min_pixels = min_pixels
        self._min_share = min_share

    def find(
        self,
        labels: LabelImage,
        confidence: ConfidenceImage | None = None,
        ground: GroundScale | None = None,
    ) -> tuple[SeenPerson, ...]:
        """The people of a frame, the largest first.

        Args:
            labels: ``(H, W)`` class ids.
            confidence: ``(H, W)``, or None.
            ground: For label images of this size, or None without a calibration.
        """
        if labels.ndim != 2 or labels.size == 0:
            return ()
        blobs = blobs_of(self._mask(labels), self._min_pixels)
        if not blobs:
            return ()
        if ground is not None and ground.shape_hw != labels.shape:
            ground = None
        scale = _Scale(ground)
        if len(blobs) > 1:
            blobs = joined(blobs, scale, labels, self._static_lut)
        found: list[SeenPerson] = []
        for whole in blobs:
            px_per_m = scale(whole)
            expected = FILLED_SHARE * PERSON.height_m * PERSON.width_m * px_per_m * px_per_m
            if whole.pixels < self._min_share * expected and whole.y1 < labels.shape[0]:
                continue
            if _is_too_small(whole, labels.shape[0], ground):
                continue
            if not self._rider_ids and self._is_of_rider(whole, labels):
                continue
            rides = self._rides(whole, labels)
            if rides and _is_bonnet(whole, labels.shape[0], ground):
                continue
            under_roof = ground is None and self._is_under_roof(whole, labels, px_per_m)
            found.extend(
                self._person(blob, labels, confidence, ground, rides, under_roof)
                for blob in ([whole] if rides else self._split(whole, labels, px_per_m, ground))
                if blob.pixels >= self._min_pixels
            )
        return tuple(found)

    def is_gone(self, person: SeenPerson, labels: LabelImage) -> bool:
        """Whether the ground is seen where the feet of somebody were, who is seen no more.

        Or a cyclist, where cyclists do not count: then that is what it was.
        """
        x0, _, x1, y1 = person.bbox
        rows = max(1, round(GONE_ROWS * (y1 - person.bbox[1])))
        strip = labels[max(y1 - rows, 0) : y1, x0:x1]
        kinds = np.bincount(self._surface_lut[strip].ravel(), minlength=IN_FRONT + 1)
        last = PAVEMENT if self._rider_ids else RIDER
        return bool(kinds[GROUND : last + 1].sum() > GONE_SHARE * strip.size)

    def _mask(self, labels: LabelImage) -> Mask:
        """Not 0 where somebody is, until the next frame; a table takes ten times as long."""
        first, last = self._ids[0], self._ids[-1]
        if last - first < len(self._ids):
            self._in_range = cv2.inRange(labels, first, last, dst=self._in_range)
            return np.asarray(self._in_range)
        mask = labels == first
        for class_id in self._ids[1:]:
            mask |= labels == class_id
        return np.asarray(mask.view(np.uint8))

    def _is_under_roof(self, blob: Blob, labels: LabelImage, px_per_m: float) -> bool:
        """Whether a small blob is like the middle of a vehicle: wide, no heads, under its roof.

        People in front of a vehicle are nearer than it is, and their heads are seen.
        """
        height, width = blob.y1 - blob.y0, blob.x1 - blob.x0
        if max(height, width) >= FAR_PX or width < SPLIT_WIDTH_M * px_per_m or blob.y0 == 0:
            return False
        tops = blob.y0 - 1 + np.argmax(blob.mask, axis=0)
        above = self._is_vehicle_lut[labels[tops, np.arange(blob.x0, blob.x1)]]
        if np.count_nonzero(above) < ROOF_SHARE * width:
            return False
        return valley_between_heads(blob, px_per_m) is None

    def _split(
        self, blob: Blob, labels: LabelImage, px_per_m: float, ground: GroundScale | None
    ) -> list[Blob]:
        """The people in a blob; what ends above its feet is nearer than its last row says."""
        height, width = blob.y1 - blob.y0, blob.x1 - blob.x0
        if width < SPLIT_WIDTH_M * px_per_m:
            return [blob]
        if height < LARGE_PX and blob.y0 > 0:
            return split(blob, px_per_m)
        is_hidden = self._below(blob, _foot_columns(blob), labels)[0] == 'occluded'
        if blob.y0 == 0 and (is_hidden or not _is_on_ground(blob, ground)):
            return [blob]  # nobody knows its height, so that it is as near as one person
        tallest_m = SEEN_OVER_M if is_hidden else TALLEST_M
        return split(blob, max(px_per_m, height / tallest_m))

    def _rides(self, blob: Blob, labels: LabelImage) -> bool:
        """Whether most of a blob is of a cyclist."""
        if not self._rider_ids:
            return False
        part = labels[blob.y0 : blob.y1, blob.x0 : blob.x1]
        in_box = [part == rider for rider in self._rider_ids]
        least = BICYCLE_SHARE * blob.pixels
        if sum(map(np.count_nonzero, in_box)) <= least:
            return False  # as nearly always, whichever of them are its own
        is_own = blob.mask.view(np.bool_)
        return bool(sum(np.count_nonzero(riders & is_own) for riders in in_box) > least)

    def _is_of_rider(self, blob: Blob, labels: LabelImage) -> bool:
        """Whether these are the legs of a cyclist, the greater part of whom is above."""
        rows = round(RIDER_ROWS * (blob.y1 - blob.y0))
        above = self._surface_lut[labels[max(blob.y0 - rows, 0) : blob.y0, blob.x0 : blob.x1]]
        riders = np.count_nonzero(above == RIDER)
        return bool(riders > RIDER_SHARE * rows * (blob.x1 - blob.x0))

    def _person(
        self,
        blob: Blob,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        ground: GroundScale | None,
        rides: bool,
        under_roof: bool,
    ) -> SeenPerson:
        height, width = blob.y1 - blob.y0, blob.x1 - blob.x0
        foot = _foot_columns(blob)
        u = _column(blob, foot, rides)
        v = blob.y1 - 0.5
        feet, on_pavement = self._below(blob, foot, labels)
        at_side = min(blob.x0, labels.shape[1] - blob.x1) < width
        point, nearer_m, lowest, cut_way = None, 0.0, v, None
        if feet == 'truncated':
            widest_px = _width_px(blob) * PERSON.width_m / NARROWEST_M
            lowest = v + CORNER_TIMES * height if at_side else blob.y0 + UPRIGHT * widest_px
        if ground is not None:
            width_px = _width_px(blob)
            point = last = ground.at(u, v)
            is_unseen = feet == 'occluded' or point is None
            if is_unseen:
                width_px = _shoulders_px(blob)
            if rides:
                # A bicycle is as wide as it is long, or as its handlebar: only the height tells
                width_px = min(width_px, height / UPRIGHT)
            px_per_m = width_px / (PERSON.width_m if is_unseen else WIDEST_M)
            if feet == 'occluded':
                px_per_m = max(px_per_m, height / SEEN_OVER_M)
            bound = _by_scale(px_per_m, u, ground)
            is_nearer = _is_nearer(bound, point)
            if feet == 'seen' and is_nearer and self._is_hidden(blob, labels):
                is_unseen, feet = True, 'occluded'
                bound = _by_scale(_shoulders_px(blob) / PERSON.width_m, u, ground)
            if is_unseen or (is_nearer and not _has_legs(blob, width_px)):
                point, feet = _nearer(point, bound), 'occluded' if feet == 'seen' else feet
            if feet == 'truncated':
                most = CORNER_TIMES / point.across_m if at_side and point else 0.0
                nearest = ground.below(u, max(width_px / NARROWEST_M, most))
                if blob.y0 > 0:
                    lowest_row = blob.y0 + SLIMMEST * _shoulders_px(blob)
                    nearest = _nearer(nearest, ground.below_row(u, lowest_row))
                point, cut_way = _cut_places(
                    point, ground.below(u, width_px / PERSON.width_m), nearest
                )
            legs_px = max(UPRIGHT * width_px - height, 0.0)
            nearer_m = _nearer_by_m(ground.at(u, v + legs_px) if legs_px else last, point)
        sure = 1.0
        if confidence is not None and confidence.shape == labels.shape:
            part = confidence[blob.y0 : blob.y1, blob.x0 : blob.x1]
            sure = cv2.mean(part, mask=blob.mask)[0] / 255.0
        along, across = _sigmas(point, feet, height)
        return SeenPerson(
            x_m=math.nan if point is None else point.x_m,
            y_m=math.nan if point is None else point.y_m,
            sigma_along_m=along,
            sigma_across_m=across,
            foot_px=(u, v),
            bbox=(blob.x0, blob.y0, blob.x0 + width, blob.y1),
            pixels=blob.pixels,
            confidence=sure,
            feet=feet,
            on_pavement=on_pavement,
            nearer_m=nearer_m,
            rides=rides,
            under_roof=under_roof,
            at_side=at_side,
            lowest_px=max(lowest, v + LOST_FEET * height),
            cut_way=cut_way,
        )

    def _below(self, blob: Blob, foot: NDArray[np.intp], labels: LabelImage) -> tuple[str, bool]:
        """Whether the feet are seen, and whether they stand on the pavement."""
        height = blob.y1 - blob.y0
        if blob.y1 >= labels.shape[0]:
            return 'truncated', False
        strip = labels[
            blob.y1 : blob.y1 + max(LEAST_GROUND_ROWS, round(GROUND_ROWS * height)), blob.x0 + foot
        ]
        kinds = np.bincount(self._surface_lut[strip].ravel(), minlength=IN_FRONT + 1).tolist()
        if 2 * kinds[IN_FRONT] > strip.size:
            return 'occluded', False
        return 'seen', kinds[PAVEMENT] > kinds[GROUND]

    def _is_hidden(self, blob: Blob, labels: LabelImage) -> bool:
        """Whether most of it ends above something in front, whatever its lowest part does."""
        if blob.y1 - blob.y0 < LARGE_PX:
            return False
        ends = blob.y1 - np.argmax(blob.mask[::-1], axis=0)
        below = labels[np.minimum(ends, labels.shape[0] - 1), np.arange(blob.x0, blob.x1)]
        return bool(2 * np.count_nonzero(self._surface_lut[below] == IN_FRONT) > len(ends))


class _Scale:
    """Pixels per metre where a blob stands; by its height where the ground is unknown."""

    def __init__(self, ground: GroundScale | None) -> None:
        self._ground = ground

    def __call__(self, blob: Blob) -> float:
        px_per_m = 0.0 if self._ground is None else _foot_scale(blob, self._ground)
        return px_per_m or (blob.y1 - blob.y0) / PERSON.height_m


def _is_on_ground(blob: Blob, ground: GroundScale | None) -> bool:
    """Whether the ground is below its last row, as far as that is known."""
    return ground is None or _foot_scale(blob, ground) > 0.0


def _foot_scale(blob: Blob, ground: GroundScale) -> float:
    """Pixels per metre where it ends, 0 above the horizon."""
    return float(ground.px_per_m.item(blob.y1 - 1, (blob.x0 + blob.x1 - 1) // 2))


def _is_too_small(blob: Blob, rows: int, ground: GroundScale | None) -> bool:
    """Whether it is smaller than anybody who stands, or lies, where it ends.

    What the lower border cuts may be the upper part of somebody, however flat where it is broad:
    small, it is a gleam on the vehicle's own bonnet.
    """
    height, width = blob.y1 - blob.y0, blob.x1 - blob.x0
    least_px = _length_px(blob, rows, ground, LEAST_M, LEAST_SHARE)
    seen_share = UNCUT_SHARE if blob.y1 >= rows else 1.0
    return height < seen_share * least_px and width < least_px


def _is_bonnet(blob: Blob, rows: int, ground: GroundScale | None) -> bool:
    """Whether what the lower border cuts is too low, and too narrow, for somebody who rides."""
    least_px = _length_px(blob, rows, ground, LEAST_RIDER_M, LEAST_RIDER_SHARE)
    if blob.y1 < rows or blob.y1 - blob.y0 >= least_px:
        return False
    return blob.x1 - blob.x0 < _length_px(blob, rows, ground, LEAST_M, LEAST_SHARE)


def _length_px(
    blob: Blob, rows: int, ground: GroundScale | None, length_m: float, share: float
) -> float:
    """Of a length where a blob ends; by a share of the way from the horizon without a ground."""
    if ground is None:
        return share * (blob.y1 - HORIZON_SHARE * rows)
    return length_m * _foot_scale(blob, ground)


def _surface_lut(label_map: LabelMap) -> NDArray[np.uint8]:
    """What each class is to feet; nobody stands on what has no class: it hides the feet."""
    lut = np.full(256, IN_FRONT, np.uint8)
    for row in label_map.classes:
        roles = set(row.roles)
        if roles & {'drivable', 'lane'}:
            lut[row.id] = GROUND
        elif 'walkable' in roles:
            lut[row.id] = PAVEMENT
        elif roles & {'pedestrian', 'sky'}:
            lut[row.id] = NOTHING
        elif 'cyclist' in roles:
            lut[row.id] = RIDER
    return lut


def _foot_columns(blob: Blob) -> NDArray[np.intp]:
    """Columns of the blob in which its shoes are."""
    rows = max(1, round(FOOT_ROWS * (blob.y1 - blob.y0)))
    return np.asarray(cv2.reduce(blob.mask[-rows:], 0, cv2.REDUCE_MAX)[0].nonzero()[0])


def _column(blob: Blob, foot: NDArray[np.intp], rides: bool) -> float:
    """Where it stands, as a column between the pixels' middles.

    The trunk is over the middle of the feet, and a network loses a leg now and then. A bicycle
    touches the ground with two wheels, or is behind the feet of somebody on foot.
    """
    if rides:
        return blob.x0 + 0.5 * float(foot[0] + foot[-1])
    on_column = cv2.reduce(blob.mask, 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F)[0]
    # The same as cv2.moments' m10 / m00, at a third of its cost
    return float(blob.x0 + on_column @ np.arange(0.0, len(on_column)) / blob.pixels)


def _width_px(blob: Blob) -> float:
    """Of most rows: neither of arms that are held out, nor of a stride."""
    widths = cv2.reduce(blob.mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel()
    widths.sort()
    return 0.5 * float(widths[(len(widths) - 1) // 2] + widths[len(widths) // 2])


def _shoulders_px(blob: Blob) -> float:
    """Of the wider rows, where little more than head and shoulders may be left."""
    if blob.y1 - blob.y0 < LARGE_PX:
        return _width_px(blob)
    widths = cv2.reduce(blob.mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel()
    return float(np.quantile(widths, SHOULDER_ROWS))


def _has_legs(blob: Blob, width_px: float) -> bool:
    """Whether it ends in something far narrower than most of it; a trunk ends as wide as it is.

    So what is too wide for one person is two who stand close, not one who has lost its legs.
    """
    rows = max(2, round(LEG_ROWS * (blob.y1 - blob.y0)))
    return cv2.countNonZero(blob.mask[-rows:]) < LEG_SHARE * width_px * rows


def _by_scale(px_per_m: float, u: float, ground: GroundScale) -> GroundPoint | None:
    """Where somebody would stand to look as large as the blob, also below the picture."""
    row = ground.row_with_scale(u, px_per_m)
    return ground.below(u, px_per_m) if row is None else ground.at(u, float(row))


def _cut_places(
    last: GroundPoint | None, by_width: GroundPoint | None, nearest: GroundPoint | None
) -> tuple[GroundPoint | None, tuple[float, float, float, float] | None]:
    """Where cut feet are by the width, and the way on which they are at all.

    Args:
        last: What the last row sees, or nearer.
        by_width: If it is as wide as most; None where the last row is nearer.
        nearest: If it is as narrow as anybody; the same.
    """
    if last is None or nearest is None:
        return last, None
    return by_width or last, (nearest.x_m, nearest.y_m, last.x_m, last.y_m)


def _is_nearer(a: GroundPoint | None, b: GroundPoint | None) -> bool:
    return _nearer_by_m(a, b) > 0.0


def _nearer_by_m(a: GroundPoint | None, b: GroundPoint | None) -> float:
    """Metres that one is nearer to the base origin than the other, at least 0."""
    if a is None or b is None:
        return 0.0
    return max(math.hypot(b.x_m, b.y_m) - math.hypot(a.x_m, a.y_m), 0.0)


def _nearer(a: GroundPoint | None, b: GroundPoint | None) -> GroundPoint | None:
    if a is None or b is None:
        return a or b
    return a if math.hypot(a.x_m, a.y_m) <= math.hypot(b.x_m, b.y_m) else b


def _sigmas(point: GroundPoint | None, feet: str, height_px: int) -> tuple[float, float]:
    if point is None:
        return math.nan, math.nan
    distance = math.hypot(point.x_m, point.y_m)
    foot_px = FOOT_SIGMA_PX + FOOT_SIGMA * height_px
    along = math.hypot(foot_px * point.along_m, RANGE_SIGMA * distance)
    if feet != 'seen':
        along += (OCCLUDED_SIGMA if feet == 'occluded' else TRUNCATED_SIGMA) * distance
    return along, math.hypot(0.5 * point.across_m, SWAY_SIGMA_M)
