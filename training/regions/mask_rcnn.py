# SPDX-License-Identifier: Apache-2.0
"""A head in the style of Mask R-CNN (He et al., arXiv 1703.06870): boxes first, then their masks.

Features of one pyramid (stride 4) feed three things: logits of every pixel (Panoptic FPN,
Kirillov et al., arXiv 1901.02446), of which only the classes that cannot be counted are believed;
boxes of things, one from each cell at stride 8 (Tian et al., arXiv 1904.01355); and for each box a
class and a mask of 28x28 from features that are sampled between cells, not rounded to them
(RoIAlign). The masks are laid over the labels, the surest last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.classes import ClassTable
from training.labelled_set import Image
from training.models.blocks import conv_bn_relu, double_and_crop
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights
from training.normalise import normalise
from training.regions.labelling import Blob, blobs_of, things_of
from training.regions.learning import averaged, is_finished, learn
from training.train import LabelRules, Mixture, class_weights, segmentation_loss

__all__ = ['MaskRcnn', 'MaskRcnnLabels', 'fitted', 'roi_align', 'trained']

FEATURE_STRIDE, BOX_STRIDE = 4, 8
ROI_CELLS = 14
MASK_CELLS = 28
CENTRE_SHARE = 0.25  # of a box's sides either way of its centre: there its cells lie
REFERENCE_PX = 32.0  # a side is the exponential of what the network says, times this
PRIOR = 0.02  # share of the cells that are things, at first
ROIS_A_PICTURE, JITTER = 8, 0.1  # JITTER of the sides
MIN_SCORE, MAX_BOXES, SAME_BOX = 0.2, 40, 0.5
MASK_THRESHOLD = 0.5


class Dense(NamedTuple):
    """What the network says of every place.

    Attributes:
        features: [N, width, h, w] at stride 4.
        logits: [N, classes, h, w] at stride 4.
        objects: [N, things, h, w] at stride 8, logits that a thing's centre is there.
        sides: [N, 4, h, w] at stride 8, logarithms of the distances to left, top, right, bottom.
    """

    features: Tensor
    logits: Tensor
    objects: Tensor
    sides: Tensor


class MaskRcnn(nn.Module):
    """See above.

    Args:
        classes: Number of classes.
        things: How many of them can be counted.
        encoder: EfficientNet-Lite variant.
        width: Channels of the pyramid and the heads.
        pretrained: Start from ImageNet weights.
    """

    def __init__(
        self, classes: int, things: int, encoder: int = 0, width: int = 64, pretrained: bool = True
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in self.encoder.channels)
        self.smooth = conv_bn_relu(width, width, 3)
        self.semantic = nn.Conv2d(width, classes, 1)
        self.look = conv_bn_relu(width, width, 3)
        self.objects = nn.Conv2d(width, things, 1)
        self.sides = nn.Conv2d(width, 4, 1)
        self.of_roi = nn.Sequential(*conv_bn_relu(width, width, 3), *conv_bn_relu(width, width, 3))
        self.classify = nn.Linear(width, things + 1)
        self.mask = nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, 2), nn.ReLU(), nn.Conv2d(width, things, 1)
        )
        nn.init.constant_(self.objects.bias, math.log(PRIOR / (1 - PRIOR)))

    def forward(self, x: Tensor) -> Dense:
        fine, *coarse = (
            lateral(part) for lateral, part in zip(self.lateral, self.encoder(x), strict=True)
        )
        y = coarse[-1]
        for part in reversed(coarse[:-1]):
            y = part + double_and_crop(y, part)
        of_boxes = self.look(y)  # stride 8
        features = self.smooth(fine + double_and_crop(y, fine))
        return Dense(
            features, self.semantic(features), self.objects(of_boxes), self.sides(of_boxes)
        )

    def heads(self, features: Tensor, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of `things + 1` classes (the last is nothing), and of masks of 28x28.

        Args:
            features: Of all pictures.
            boxes: Of each picture [n, 4], left, top, right, bottom in pixels.
        """
        rois = torch.cat(
            [
                roi_align(one[None], of_one, FEATURE_STRIDE, ROI_CELLS)
                for one, of_one in zip(features, boxes, strict=True)
            ]
        )
        y = self.of_roi(rois)
        return self.classify(y.mean((2, 3))), self.mask(y)


def roi_align(features: Tensor, boxes: Tensor, stride: int, cells: int) -> Tensor:
    """[n, channels, cells, cells]: features [1,C,h,w] at the middle of each cell of each box."""
    height, width = features.shape[-2:]
    middles = (torch.arange(cells, device=boxes.device) + 0.5) / cells
    xs = boxes[:, 0:1] + middles * (boxes[:, 2:3] - boxes[:, 0:1])
    ys = boxes[:, 1:2] + middles * (boxes[:, 3:4] - boxes[:, 1:2])
    # grid_sample: -1 is the left edge of the first cell, 1 the right edge of the last
    x = (xs / (stride * width) * 2 - 1)[:, None, :].expand(-1, cells, -1)
    y = (ys / (stride * height) * 2 - 1)[:, :, None].expand(-1, -1, cells)
    grid = torch.stack([x, y], -1).reshape(1, -1, cells, 2)
    sampled = functional.grid_sample(
        features.float(), grid, padding_mode='border', align_corners=False
    )
    return sampled[0].reshape(-1, len(boxes), cells, cells).transpose(0, 1)


class Targets(NamedTuple):
    """What the cells at stride 8 of one picture should say.

    Attributes:
        objects: float32 [things, h, w].
        sides: float32 [4, h, w]; where no thing is, 0.
    """

    objects: NDArray[np.float32]
    sides: NDArray[np.float32]


def targets_of(blobs: Sequence[Blob], things: Sequence[int], shape_hw: tuple[int, int]) -> Targets:
    """Cells near the middle of a box stand for it; of two boxes, for the smaller one."""
    ys, xs = (np.indices(shape_hw, np.float32) + 0.5) * BOX_STRIDE
    objects = np.zeros((len(things), *shape_hw), np.float32)
    sides = np.zeros((4, *shape_hw), np.float32)
    for blob in sorted(blobs, key=lambda b: -(b.box[2] - b.box[0]) * (b.box[3] - b.box[1])):
        left, top, right, bottom = blob.box
        reach_x = max(CENTRE_SHARE * (right - left), BOX_STRIDE / 2)
        reach_y = max(CENTRE_SHARE * (bottom - top), BOX_STRIDE / 2)
        mine = abs(xs - (left + right) / 2) <= reach_x
        mine &= abs(ys - (top + bottom) / 2) <= reach_y
        objects[:, mine] = 0
        objects[list(things).index(blob.class_id), mine] = 1
        distances = np.stack([xs - left, ys - top, right - xs, bottom - ys])
        sides[:, mine] = np.log(np.maximum(distances, 1) / REFERENCE_PX)[:, mine]
    return Targets(objects, sides)


def detection_loss(dense: Dense, targets: Sequence[Targets]) -> Tensor:
    """Focal loss of the centres, and of each centre's four sides their distance in logarithms."""
    truth = torch.from_numpy(np.stack([t.objects for t in targets]))
    sides = torch.from_numpy(np.stack([t.sides for t in targets]))
    logits = dense.objects.float()
    plain = functional.binary_cross_entropy_with_logits(logits, truth, reduction='none')
    wrong = (truth - logits.sigmoid()).abs()
    count = truth.sum().clamp(min=1)
    loss = (plain * wrong**2 * (0.25 + 0.5 * (1 - truth))).sum() / count
    where = truth.amax(1, keepdim=True).expand_as(sides) > 0
    if where.any():
        loss = loss + functional.smooth_l1_loss(dense.sides.float()[where], sides[where], beta=0.1)
    return loss


class Rois(NamedTuple):
    """Boxes of one picture that the second stage learns from.

    Attributes:
        boxes: float32 [n, 4].
        labels: int64 [n], a thing's index, or how many there are for nothing.
        masks: float32 [n, MASK_CELLS, MASK_CELLS], the thing's in its box.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]


def rois_of(
    blobs: Sequence[Blob],
    things: Sequence[int],
    shape_hw: Sequence[int],
    random: np.random.Generator,
) -> Rois:
    """True boxes, a little shifted, and as many of the same sizes where no thing lies."""
    height, width = shape_hw
    boxes, labels, masks = [], [], []
    for index in random.permutation(len(blobs))[: ROIS_A_PICTURE // 2]:
        blob = blobs[index]
        true = np.array(blob.box, np.float32)
        sides = np.tile(true[2:] - true[:2], 2)
        shifted = true + random.uniform(-JITTER, JITTER, 4).astype(np.float32) * sides
        boxes.append(shifted)
        labels.append(list(things).index(blob.class_id))
        masks.append(mask_in(blob, shifted))
        corner = random.uniform(0, 1, 2) * np.maximum([width, height] - sides[:2], 1)
        elsewhere = np.concatenate([corner, corner + sides[:2]]).astype(np.float32)
        if all(overlap(elsewhere, np.array(b.box)) < 0.3 for b in blobs):
            boxes.append(elsewhere)
            labels.append(len(things))
            masks.append(np.zeros((MASK_CELLS, MASK_CELLS), np.float32))
    if not boxes:  # of a picture without things, anything is nothing
        boxes.append(np.array([0, 0, width / 2, height / 2], np.float32))
        labels.append(len(things))
        masks.append(np.zeros((MASK_CELLS, MASK_CELLS), np.float32))
    return Rois(np.stack(boxes), np.array(labels, np.int64), np.stack(masks))


def mask_in(blob: Blob, box: NDArray[np.float32]) -> NDArray[np.float32]:
    """The blob as the cells of another box see it."""
    scale = (box[2:] - box[:2]) / MASK_CELLS
    offset = box[:2] - np.array(blob.box[:2])
    matrix = np.array(
        [
            [scale[0], 0, offset[0] + scale[0] / 2 - 0.5],
            [0, scale[1], offset[1] + scale[1] / 2 - 0.5],
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            blob.mask.astype(np.float32),
            matrix,
            (MASK_CELLS, MASK_CELLS),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
    )


def overlap(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return both / (sum(areas) - both)


def trained(config: dict[str, Any], classes: ClassTable) -> None:
    """Train the network of a run, unless it is."""
    if is_finished(config):
        return
    torch.manual_seed(config['seed'])
    mixture, things = Mixture(config, classes), things_of(classes)
    rules = LabelRules.of(classes, class_weights(mixture.sets, len(classes), 0.25))
    network: nn.Module = MaskRcnn(
        len(classes), len(things), config['encoder'], pretrained=config.get('pretrained', True)
    )
    network = network.to(memory_format=torch.channels_last)

    def batch_loss(module: nn.Module, random: np.random.Generator) -> Tensor:
        images, labels = mixture.draw(1.0, random)
        with torch.autocast('cpu', torch.bfloat16):
            dense = module(normalise(images))
        shape_hw = (int(dense.objects.shape[2]), int(dense.objects.shape[3]))
        blobs = [blobs_of(one, things) for one in labels.numpy()]
        rois = [rois_of(some, things, labels.shape[1:], random) for some in blobs]
        loss = segmentation_loss([dense.logits], labels, rules, config['hard_share'])
        loss = loss + detection_loss(dense, [targets_of(some, things, shape_hw) for some in blobs])
        return loss + second_stage_loss(module, dense.features, rois, len(things))

    learn(network, config, batch_loss)


def second_stage_loss(
    module: nn.Module, features: Tensor, rois: Sequence[Rois], things: int
) -> Tensor:
    """Of the class of each box, and of the mask of the class that it is."""
    with torch.autocast('cpu', torch.bfloat16):
        scores, masks = module.heads(features, [torch.from_numpy(r.boxes) for r in rois])
    labels = torch.from_numpy(np.concatenate([r.labels for r in rois]))
    targets = torch.from_numpy(np.concatenate([r.masks for r in rois]))
    loss = functional.cross_entropy(scores.float(), labels)
    true = (labels < things).nonzero()[:, 0]
    if len(true):
        drawn = masks.float()[true, labels[true]]
        loss = loss + functional.binary_cross_entropy_with_logits(drawn, targets[true])
    return loss


def fitted(config: dict[str, Any], classes: ClassTable) -> MaskRcnnLabels:
    """The trained network of a run as something that labels pictures."""
    things = things_of(classes)
    network = MaskRcnn(len(classes), len(things), config['encoder'], pretrained=False)
    return MaskRcnnLabels(averaged(network, config), things, tuple(config['size_wh']))


class MaskRcnnLabels:
    """Label images at a picture's size.

    Args:
        network: In eval mode.
        things: Ids of its things.
        size_wh: What pictures are brought to.
    """

    def __init__(
        self, network: nn.Module, things: Sequence[int], size_wh: tuple[int, int]
    ) -> None:
        self.network, self.things, self.size_wh = network, list(things), size_wh

    @torch.no_grad()
    def __call__(self, image: Image, masks: bool = True) -> Image:
        """Things as their masks say; without `masks` as the logits say."""
        width, height = self.size_wh
        small = cv2.resize(image, self.size_wh, interpolation=cv2.INTER_AREA)
        dense = self.network(normalise(torch.from_numpy(np.asarray(small))[None]))
        logits = functional.interpolate(
            dense.logits, (height, width), mode='bilinear', align_corners=False
        )[0]
        if masks:
            logits[self.things] = -math.inf
        labels = logits.argmax(0).to(torch.uint8).numpy()
        if masks:
            self.lay_masks(labels, dense)
        size_wh = image.shape[1::-1]
        return np.asarray(cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST_EXACT))

    def lay_masks(self, labels: Image, dense: Dense) -> None:
        boxes = boxes_of(dense)
        if not len(boxes):
            return
        scores, masks = self.network.heads(dense.features, [torch.from_numpy(boxes)])
        shares = scores.softmax(1).numpy()
        best, kind = shares.max(1), shares.argmax(1)
        for index in np.argsort(best):
            if kind[index] < len(self.things):
                mask = masks[index, kind[index]].sigmoid().numpy()
                lay(labels, mask, boxes[index], self.things[kind[index]])


def boxes_of(dense: Dense) -> NDArray[np.float32]:
    """[n, 4] of one picture, the surest first, without those that mean the same thing."""
    scores = dense.objects[0].sigmoid().amax(0).numpy()
    ys, xs = np.nonzero(scores >= MIN_SCORE)
    order = np.argsort(-scores[ys, xs])
    ys, xs = ys[order], xs[order]
    distances = np.exp(dense.sides[0].numpy()[:, ys, xs].clip(-5, 3)) * REFERENCE_PX
    centres = (np.stack([xs, ys]) + 0.5) * BOX_STRIDE
    corners = np.concatenate([centres - distances[:2], centres + distances[2:]]).T
    kept: list[NDArray[np.float32]] = []
    for box in corners.astype(np.float32):
        if len(kept) == MAX_BOXES:
            break
        if all(overlap(box, other) < SAME_BOX for other in kept):
            kept.append(box)
    return np.stack(kept) if kept else np.zeros((0, 4), np.float32)


def lay(labels: Image, mask: NDArray[np.float32], box: NDArray[np.float32], class_id: int) -> None:
    """Write the class where the mask, enlarged to its box, is more likely than not."""
    height, width = labels.shape
    left, top = np.floor(np.maximum(box[:2], 0)).astype(int)
    right, bottom = np.ceil(np.minimum(box[2:], [width, height])).astype(int)
    if left >= right or top >= bottom:
        return
    scale = MASK_CELLS / (box[2:] - box[:2])
    # from a pixel of the picture to a cell of the mask, both at their middles
    matrix = np.array(
        [
            [scale[0], 0, (left + 0.5 - box[0]) * scale[0] - 0.5],
            [0, scale[1], (top + 0.5 - box[1]) * scale[1] - 0.5],
        ]
    )
    fine = cv2.warpAffine(
        mask,
        matrix,
        (int(right - left), int(bottom - top)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    labels[top:bottom, left:right][fine > MASK_THRESHOLD] = class_id
