# SPDX-License-Identifier: Apache-2.0
"""Stop parameters: the group ``stop`` of the node's parameters, each once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.option import option

__all__ = ['ODOMETRY_RULES', 'ZONES', 'StopConfig']

ZONES = ('corridor', 'polygon', 'image')
ODOMETRY_RULES = ('optional', 'once_seen', 'required')


@dataclass(frozen=True)
class StopConfig:
    """What counts as a person, where people stop the vehicle, and what else is a stop."""

    include_cyclists: bool = option(
        True,
        'Cyclists stop the vehicle as people on foot do; a network also takes one for the other.',
        live=True,
    )
    min_person_pixels: int = option(
        8, 'A blob of fewer pixels is no person, however far away.', low=1, high=10_000, live=True
    )
    min_person_share: float = option(
        0.05,
        'A blob smaller than this share of a whole person at that distance is no person.',
        low=0.0,
        high=1.0,
        live=True,
    )
    max_distance_m: float = option(
        50.0, 'People further away are left out.', unit='m', low=1.0, high=300.0, live=True
    )
    confirm_frames: int = option(
        3,
        'Frames, 50 ms apart, in which a person must be seen before it stops the vehicle; frames '
        'that are further apart count up to twice, and a missed one costs one. And good frames '
        'that prove the way clear after a fault.',
        low=1,
        high=100,
        live=True,
    )
    coast_s: float = option(
        0.7,
        'How long a person who is out of sight is still expected where it was going.',
        unit='s',
        low=0.0,
        high=10.0,
        live=True,
    )
    # Somebody who leaves the picture 3 m beside the vehicle (5 m ahead of a lens of 62 degrees)
    # and walks slowly, 0.75 m/s, has crossed a corridor of 1.5 m to each side after 6 s.
    coast_out_of_view_s: float = option(
        6.0,
        'The same for a person who walked out of the picture at its side, if it is longer: take '
        'what a slow walk from there across the way of the vehicle needs.',
        unit='s',
        low=0.0,
        high=60.0,
        live=True,
    )
    hold_s: float = option(
        1.0, 'A stop stays this long after its last reason.', unit='s', low=0.0, high=60.0,
        live=True,
    )  # fmt: skip
    anticipate_s: float = option(
        1.0,
        'A person who will walk into the zone within this time stops the vehicle; 0 waits until '
        'it is there. Take no less than the vehicle needs to stand: who steps in later than that '
        'finds it standing in the way, or still moving.',
        unit='s',
        low=0.0,
        high=3.0,
        live=True,
    )
    zone: str = option(
        'corridor',
        'Where people stop the vehicle: corridor is along the lane as far as the stopping '
        'distance, polygon is polygon_m on the ground, image is image_polygon in the picture.',
        choices=ZONES,
        live=True,
    )
    corridor_half_width_m: float = option(
        1.5, 'Half the width of the corridor.', unit='m', low=0.1, high=20.0, live=True
    )
    margin_m: float = option(
        3.0,
        'Room between the bumper and a person once the vehicle stands.',
        unit='m',
        low=0.0,
        high=50.0,
        live=True,
    )
    reaction_s: float = option(
        0.5, 'From the stop signal to the brakes.', unit='s', low=0.0, high=10.0, live=True
    )
    deceleration_mps2: float = option(
        2.5, 'What the brakes do.', unit='m/s^2', low=0.1, high=20.0, live=True
    )
    worst_case_speed_mps: float = option(
        8.0,
        'Speed that is assumed without odometry, at most vehicle.max_speed_mps; where odometry '
        'has said a larger one before it fell silent, that one is.',
        unit='m/s',
        low=0.0,
        high=60.0,
        live=True,
    )
    odometry: str = option(
        'once_seen',
        'What missing odometry means: optional takes the worst case speed, once_seen does so '
        'until the first odometry and is a stop when it falls silent, required is a stop.',
        choices=ODOMETRY_RULES,
        live=True,
    )
    odometry_timeout_s: float = option(
        0.5, 'Age above which odometry is missing.', unit='s', low=0.01, high=60.0, live=True
    )
    polygon_m: tuple[float, ...] = option(
        (8.4, 1.5),
        'The polygon zone. Two numbers are the length and half the width of a rectangle that '
        'begins at the front bumper; more are the corners x1, y1, x2, y2, … in the base frame, '
        'x forward, y left.',
        unit='m',
    )
    image_polygon: tuple[float, ...] = option(
        (0.22, 1.0, 0.405, 0.56, 0.595, 0.56, 0.78, 1.0),
        'The image zone: u1, v1, u2, v2, … as shares of width and height. It is also used while '
        'the geometry is unknown, unless require_geometry. Put its upper edge where the feet of '
        'somebody at the stopping distance are: 0.56 is 34 m ahead of a level lens of 62° 1.4 m '
        'above the ground, and 20 m of one of 90°.',
    )
    image_zone_adapts: bool = option(
        True,
        'Where lane markings show the horizon and the lane, the image zone is built by them: as '
        'wide as the corridor, as far as a lens of 120° would see the stopping distance. Without '
        'them the borders of the road meet at the horizon, else it is where the road ends; '
        'image_polygon goes on upwards so far, and is as wide as the corridor of a lens as high '
        'as mount.z, 1.2 m where that is unknown, unless another one was drawn. Then whoever '
        'stands in the way counts, too, by the own height. False keeps image_polygon.',
        live=True,
    )
    require_geometry: bool = option(
        False, 'No camera calibration is a stop; false takes the image zone meanwhile.', live=True
    )
    # With a lens 1.2 m high and 2 m behind the bumper, 3 m leave hidden at the bumper what is
    # lower than 0.7 m. And stop.margin_m is the same: who stopped the vehicle is seen to the feet.
    max_blind_m: float = option(
        3.0,
        'How far from the near edge of the zone its ground may begin to be in the picture.',
        unit='m',
        low=0.0,
        high=50.0,
        live=True,
    )
    # A corridor along a tight bend leaves a lens of 62 degrees at about two thirds of its length
    min_zone_in_view: float = option(
        0.5,
        'Share of the ground of the zone beyond max_blind_m that must be in the picture; 0 takes '
        'any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    min_ground_share: float = option(
        0.5,
        'Share of the zone, up to a visible obstacle, that must be seen as ground (road, lane '
        'marking), and the same of its near edge; 0 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    walkable_is_ground: bool = option(
        False,
        'Pavement in the zone is ground as well: for robots that drive on it. Then everybody '
        'counts who is on it, as with pavement_counts.',
        live=True,
    )
    ego_mask: tuple[float, ...] = option(
        (0.0, 0.0),
        'Where the own vehicle (a bonnet) is in the picture: u1, v1, u2, v2, … as shares of width '
        'and height. There is neither ground nor a person; fewer than three corners: nowhere.',
    )
    # A level lens of 62 degrees sees the ground of the lowest fifth from 4 to 7 m: what hides more
    # of it than a bonnet does is no bonnet
    max_own_vehicle: float = option(
        0.2,
        'Without ego_mask the own vehicle is looked for in the lowest part of the picture, this '
        'share of the height, by what stands still there while all else moves; 0 does not look.',
        low=0.0,
        high=0.4,
        live=True,
    )
    refine_pitch_rad: float = option(
        0.0,
        'People are placed with the pitch that the vanishing point of the lane markings shows, '
        'which differs at most this much from mount.pitch; 0 trusts mount.pitch.',
        unit='rad',
        low=0.0,
        high=0.035,
        live=True,
    )
    pavement_counts: bool = option(
        False,
        'A person who stands on the pavement also stops the vehicle where the corridor is a '
        'guess, because there is no lane to follow; in the middle of it, as wide as the vehicle, '
        'everybody does.',
        live=True,
    )
    stale_timeout_s: float = option(
        0.5, 'Age by header stamp above which a frame proves nothing.', unit='s', low=0.01,
        high=60.0, live=True,
    )  # fmt: skip
    future_tolerance_s: float = option(
        0.1, 'How far in the future a stamp may lie.', unit='s', low=0.0, high=60.0, live=True
    )
    clock_jump_s: float = option(
        1.0,
        'A gap or step back of the stamps, or a step back of the clock, above which everything '
        'is forgotten and must be proven again.',
        unit='s',
        low=0.05,
        high=60.0,
        live=True,
    )
    clock_timeout_s: float = option(
        1.0,
        'How long sim time may stand still, by the watch on the wall, before the way counts as '
        'unproven: a pause, or a clock that is gone; 0 allows it for ever (a simulation in lock '
        'step).',
        unit='s',
        low=0.0,
        high=60.0,
        live=True,
    )
    min_frame_confidence: float = option(
        0.4,
        'Mean confidence of the whole frame below which nothing is believed; 0 believes all.',
        low=0.0,
        high=1.0,
        live=True,
    )
    min_contrast: float = option(
        3.0,
        'Standard deviation of the brightness below which the lens counts as covered, the '
        'picture as dark or over-exposed; 0 takes any.',
        unit='grey levels',
        low=0.0,
        high=127.0,
        live=True,
    )
    # A sensor at its highest gain has a noise of 6 grey levels, which makes neighbours differ by
    # 14 (2 x 1.13 x 6, across and down); from 20 on no outline of somebody far away is left.
    max_noise: float = option(
        20.0,
        'Mean difference of neighbouring pixels in the zone, across and down, above which it '
        'counts as noise if it is spread like noise; 0 takes any.',
        unit='grey levels',
        low=0.0,
        high=255.0,
        live=True,
    )
    # Low sun on a wet road bleaches up to a third of the zone
    max_white_share: float = option(
        0.5,
        'Share of the zone that may be white: over-exposed, or blinded by the sun; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    domain_limit: float = option(
        1.0,
        'How much like blind pictures (domain in the spec.yaml of the engine) one may be, as a '
        "multiple of the engine's own limit; 0 takes any.",
        low=0.0,
        high=100.0,
        live=True,
    )
    # The first four below were taken from 1219 clean pictures of eleven sets: the least detail in
    # them was 3.0, the most discord 0.36, the least rise 0.34, the most shear -0.025. The noise of
    # a sensor alone has a detail of 1 to 2, a discord of 1 and a shear of 0. Mud on the way alone,
    # out of focus, has 2.0 to 2.9.
    min_detail: float = option(
        2.7,
        'How much finer detail the richest tenth of the ground ahead must have, and of its middle '
        '(kerbs, lines, patches of the road; mean second difference at 160x90), asked of engines '
        'whose domain was measured; 0 takes any.',
        unit='grey levels',
        low=0.0,
        high=255.0,
        live=True,
    )
    # Most since, of 822: 0.36, and in 200 of other kinds of places 0.51. Values that run over and
    # begin again at 0 mostly have more
    max_colour_discord: float = option(
        0.55,
        'How unlike the detail of two colours may be, 0 the same, 1 unrelated, 2 opposite; asked '
        'as min_detail is; 2 takes any.',
        low=0.0,
        high=2.0,
        live=True,
    )
    # Least since, with other networks: 0.295 (a dark road in coarse blocks)
    min_rise: float = option(
        0.28,
        'How far the middle of sky and buildings must be above that of the ground, as a share of '
        'the height; asked as min_detail is, where there is some of both; -1 takes any.',
        low=-1.0,
        high=1.0,
        live=True,
    )
    max_shear: float = option(
        0.0,
        'How much better rows may go on in the next one when they are shifted by up to 3 of 320 '
        'pixels, the logarithm of the ratio: 0 as well as straight, which is smeared or has rows '
        'of another length; asked as min_detail is; 10 takes any.',
        low=-10.0,
        high=10.0,
        live=True,
    )
    # The three below were taken from 918 clean pictures (eleven data sets, the simulator, hard
    # light): the most tear in them was 0.153, the most softness 0.50, the largest shade 0.33 but
    # for a picture whose lower half a decoder had lost. Torn rows have a tear of 0.36 and more,
    # motion blur and frost mostly a softness of 0.5 to 1, mud a shade of 0.5 and more.
    max_tear: float = option(
        0.25,
        'How much better rows may go on in the one after next when they are shifted by whatever '
        'suits each, in the worst places all over the picture: 0 not at all, 1 they were torn '
        'apart; asked as min_detail is; 2 takes any.',
        low=0.0,
        high=2.0,
        live=True,
    )
    max_softness: float = option(
        0.55,
        'Share of the outlines that may be spread over more than two of 320 pixels, as out of '
        'focus, behind water or frost, or smeared by motion; asked as min_detail is; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    max_shade: float = option(
        0.42,
        'Share of the picture that may be of one smooth shade, neither black nor white; more '
        'is a lens that is covered in part; asked as min_detail is; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Most in 1044 clean pictures: 0.21 (a dark street before a bright sky), the next 0.17. What
    # has two or three levels of each colour has 0.3 and more, mostly
    max_jumps: float = option(
        0.27,
        'How much a picture may either stay the same from pixel to pixel or jump by more than 30 '
        'grey levels: 0 there are steps of all sizes, 1 none in between; asked as min_detail is; '
        '1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Most in the same: 0.17, where low sun hides the horizon. A puddle that mirrors the sky is 1 %
    # of the picture before it counts, and then only as much as it is of the sky
    max_sky_below: float = option(
        0.3,
        'Share of the sky that may have ground above it (a puddle); asked as min_detail is; 1 '
        'takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Of 822 clean pictures (the same sets), as two networks see their skies, three are below 0,
    # the least is -0.7 (a dark street before bright houses). 95 % of 80 negatives of these are
    # below -1.0, and what is over-exposed three times is as well.
    min_polarity: float = option(
        -1.0,
        'How much more like a picture than like its negative one must be, in deviations of clean '
        'pictures from 0, where it is as much like both; asked as min_detail is; -100 takes any.',
        low=-100.0,
        high=100.0,
        live=True,
    )
    # Most in 822 clean pictures (eleven data sets, the simulator, hard light): 0.29, before a
    # fence of equal parts, and 0.28 in 392 others. Tiles have 0.50 and more, fields that are
    # shifted 0.35, a copy of 30 % of the light mostly 0.34 and more
    max_echo: float = option(
        0.33,
        'How strongly all of a picture may be there a second time, more than 5 % of the width '
        'beside: 0 not at all, 1 as strongly (a pane that mirrors, two fields or frames in one, '
        'several pictures side by side); asked as min_detail is; 10 takes any.',
        low=0.0,
        high=10.0,
        live=True,
    )
    # Most in 822 clean pictures: 0.45 (a road at night in coarse blocks), but for 0.47 to 0.52 in
    # three whose decoder had lost data; in 392 others 0.51 (the front of a house). Broken blocks
    # have 0.50 and more, mostly 0.68, what begins in the middle of the buffer mostly 0.62
    max_seams: float = option(
        0.55,
        'Share of the height and of the width of the picture through which a straight step may '
        'go, as where blocks of a decoder meet that do not belong together, or the end of a '
        'picture and its beginning; asked as min_detail is; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Most in 822 clean pictures: 0.53; in 388 others 0.62 (a wall with windows, a fence), but for
    # 0.72 to 0.88 in three: the fronts of two houses, and a picture in a frame. Of pictures whose
    # columns are put together in wrong order, in 4 to 8 parts, two of three have more than 0.65
    max_joins: float = option(
        0.65,
        'Share of the height through which an upright step may go in a second place, as where '
        'parts of a picture meet that are in wrong order; asked as min_detail is; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Most in 1219 clean pictures of eleven sets: 0.29, and in 442 of other kinds of places 0.36
    # (a street between pillars), the next 0.25. A mirrored picture has more. Of pictures whose
    # columns are put together in wrong order, in 4 to 8 parts, 19 of 20 have more; the others
    # mostly begin in the middle
    max_astray: float = option(
        0.33,
        'How much better the edge of a part of the picture may go on at the edge of another than '
        'where it lies, as where its parts are in wrong order: 0 nowhere, 1 as if it had been '
        'there; asked as min_detail is; 1 takes any.',
        low=0.0,
        high=1.0,
        live=True,
    )
    # Most in 928 clean pictures of ten sets: 0.204, the next 0.158. Of 1401 that begin in the
    # middle both ways, at three heights, two have less than this
    max_wrap: float = option(
        0.22,
        'How much better the picture may go on at its other end than at its fullest seam, as '
        'where it begins in the middle of the buffer: 0 no better, 1 across or down as if it had '
        'been there, 2 both; asked as min_detail is; 2 takes any.',
        low=0.0,
        high=2.0,
        live=True,
    )
    frozen_timeout_s: float = option(
        1.0,
        'How long the same pictures may come again and again, in the whole or in a part of the '
        'zone; 0 allows it for ever (a simulation whose pictures have no noise).',
        unit='s',
        low=0.0,
        high=60.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Checks what concerns several values.

        Raises:
            ConfigurationError: With what was asked and what would be right.
        """
        if len(self.polygon_m) != 2:
            _check_polygon('stop.polygon_m', self.polygon_m)
        elif not all(math.isfinite(value) and value > 0.0 for value in self.polygon_m):
            raise ConfigurationError(
                f'stop.polygon_m is {list(self.polygon_m)}. Give a rectangle a length and half a '
                'width above 0, or give three or more corners.'
            )
        _check_shares('stop.image_polygon', self.image_polygon)
        if len(self.ego_mask) > 2:
            _check_shares('stop.ego_mask', self.ego_mask)

    def check_speed(self, max_speed_mps: float) -> None:
        """Checks that the speed that is assumed is one that the vehicle can drive.

        Raises:
            ConfigurationError: It is not, with what would be right.
        """
        if self.worst_case_speed_mps > max_speed_mps:
            raise ConfigurationError(
                f'stop.worst_case_speed_mps is {self.worst_case_speed_mps:g} m/s and '
                f'vehicle.max_speed_mps {max_speed_mps:g} m/s: odometry of that speed would be '
                'refused. Raise vehicle.max_speed_mps to what the vehicle can drive, or lower '
                'the other to it.'
            )


def _check_shares(name: str, values: tuple[float, ...]) -> None:
    _check_polygon(name, values)
    if any(not 0.0 <= value <= 1.0 for value in values):
        raise ConfigurationError(
            f'{name} is {list(values)}; its values are shares of the width and height of the '
            'image, from 0 to 1.'
        )


def _check_polygon(name: str, values: tuple[float, ...]) -> None:
    if len(values) < 6 or len(values) % 2:
        raise ConfigurationError(
            f'{name} has {len(values)} numbers. A polygon takes x and y of three or more corners.'
        )
    if not all(math.isfinite(value) for value in values):
        raise ConfigurationError(f'{name} is {list(values)}; its numbers must be finite.')
