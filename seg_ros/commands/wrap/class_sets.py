# SPDX-License-Identifier: Apache-2.0
"""The class sets that most published networks are trained on, with what each class is for here.

Ids and names are those of the sets: Cityscapes' 19 train ids (cityscapesScripts, labels.py), the
150 classes of ADE20K's scene parsing benchmark (its id less one, as networks count), the 21 of
PASCAL VOC with the background first. Colours are Cityscapes' own; the other two take VOC's colour
map. Roles are ours: a class without any among ``ROLES`` is an obstacle.
"""

from __future__ import annotations

from typing import Any

__all__ = ['CLASS_SETS', 'IMAGENET', 'class_set']

IMAGENET = {'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]}
"""What networks that begin with ImageNet's weights want their pixels to be."""

CITYSCAPES = (
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
    'motorcycle', 'bicycle',
)  # fmt: skip
CITYSCAPES_RGB = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
    (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
    (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
    (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
ADE20K = (
    'wall', 'building', 'sky', 'floor', 'tree', 'ceiling', 'road', 'bed', 'windowpane', 'grass',
    'cabinet', 'sidewalk', 'person', 'earth', 'door', 'table', 'mountain', 'plant', 'curtain',
    'chair', 'car', 'water', 'painting', 'sofa', 'shelf', 'house', 'sea', 'mirror', 'rug',
    'field', 'armchair', 'seat', 'fence', 'desk', 'rock', 'wardrobe', 'lamp', 'bathtub',
    'railing', 'cushion', 'base', 'box', 'column', 'signboard', 'chest of drawers', 'counter',
    'sand', 'sink', 'skyscraper', 'fireplace', 'refrigerator', 'grandstand', 'path', 'stairs',
    'runway', 'case', 'pool table', 'pillow', 'screen door', 'stairway', 'river', 'bridge',
    'bookcase', 'blind', 'coffee table', 'toilet', 'flower', 'book', 'hill', 'bench',
    'countertop', 'stove', 'palm', 'kitchen island', 'computer', 'swivel chair', 'boat', 'bar',
    'arcade machine', 'hovel', 'bus', 'towel', 'light', 'truck', 'tower', 'chandelier', 'awning',
    'streetlight', 'booth', 'television receiver', 'airplane', 'dirt track', 'apparel', 'pole',
    'land', 'bannister', 'escalator', 'ottoman', 'bottle', 'buffet', 'poster', 'stage', 'van',
    'ship', 'fountain', 'conveyer belt', 'canopy', 'washer', 'plaything', 'swimming pool',
    'stool', 'barrel', 'basket', 'waterfall', 'tent', 'bag', 'minibike', 'cradle', 'oven',
    'ball', 'food', 'step', 'tank', 'trade name', 'microwave', 'pot', 'animal', 'bicycle',
    'lake', 'dishwasher', 'screen', 'blanket', 'sculpture', 'hood', 'sconce', 'vase',
    'traffic light', 'tray', 'ashcan', 'fan', 'pier', 'crt screen', 'plate', 'monitor',
    'bulletin board', 'shower', 'radiator', 'glass', 'clock', 'flag',
)  # fmt: skip
VOC = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor',
)  # fmt: skip
CLASS_SETS = {'cityscapes': CITYSCAPES, 'ade20k': ADE20K, 'voc': VOC}

# A bicycle alone is a thing: who rides it is another class, or a person.
ROLES = {
    **dict.fromkeys(('road', 'runway', 'dirt track', 'floor', 'rug'), ('drivable',)),
    **dict.fromkeys(('sidewalk', 'path', 'pier'), ('walkable',)),
    'sky': ('sky',),
    'background': ('background',),
    'person': ('pedestrian',),
    'rider': ('cyclist', 'obstacle'),
    **dict.fromkeys(
        ('car', 'truck', 'bus', 'train', 'motorcycle', 'motorbike', 'minibike', 'van', 'bicycle'),
        ('vehicle', 'obstacle'),
    ),
    **dict.fromkeys(
        (
            'terrain', 'grass', 'earth', 'field', 'sand', 'water', 'sea', 'river', 'lake', 'land',
            'hill', 'mountain', 'ceiling',
        ),
        ('static',),
    ),
    **dict.fromkeys(
        (
            'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign', 'vegetation',
            'tree', 'house', 'skyscraper', 'tower', 'railing', 'column', 'signboard',
            'streetlight', 'rock', 'stairs', 'stairway', 'step', 'door', 'windowpane',
        ),
        ('obstacle', 'static'),
    ),
}  # fmt: skip


def class_set(name: str) -> list[dict[str, Any]]:
    """Returns the ``classes`` of a ``spec.yaml``, one row a channel.

    Args:
        name: Of ``CLASS_SETS``.
    """
    names = CLASS_SETS[name]
    # VOC begins with black for the background; ADE20K has none, and its wall is no hole
    first = 1 if name == 'ade20k' else 0
    drawn = [_voc_colour(index + first) for index in range(len(names))]
    colours = CITYSCAPES_RGB if name == 'cityscapes' else drawn
    return [
        {
            'id': index,
            'name': word,
            'colour': list(colour),
            'roles': list(ROLES.get(word, ('obstacle',))),
        }
        for index, (word, colour) in enumerate(zip(names, colours, strict=True))
    ]


def _voc_colour(index: int) -> tuple[int, int, int]:
    """The colour map of PASCAL VOC's devkit: the bits of the id, dealt to red, green and blue."""
    rgb = [0, 0, 0]
    for place in range(7, -1, -1):
        for channel in range(3):
            rgb[channel] |= (index & 1) << place
            index >>= 1
    return rgb[0], rgb[1], rgb[2]
