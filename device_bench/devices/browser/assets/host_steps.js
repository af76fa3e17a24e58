// The steps on the host between the entry points of a panoptic model in parts: proposals, features
// of boxes, detections. They are those of export/panoptic/parts in Python; a test compares the two.
//
// Boxes are flat Float32Arrays of x1, y1, x2, y2 in network pixels. Whatever decides is computed in
// float32 in Python's order. Numbers here are doubles, but a sum, difference, product, quotient or
// square root of float32 numbers that is rounded to float32 is the one that float32 arithmetic
// gives. So Math.fround is around every operation, unless a Float32Array rounds the result.
// Exponentials alone are computed in double, as in Python, and then rounded.
//
// `constants` are those of the manifest; `core` holds the outputs of the first entry point as
// Float32Arrays by name, with the channels of the maps last.

const { fround } = Math;

// Probabilities of logits.
export const sigmoid = (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit)));

// Indices of the `count` highest scores, best first; equal scores keep their order.
export function best(scores, count) {
  let chosen = scores.keys();
  if (count < scores.length) {
    const least = Float32Array.from(scores).sort()[scores.length - count];
    // All scores above the least one, and as many equal to it as there is room for.
    let room = count;
    for (const score of scores) if (score > least) room--;
    chosen = [];
    for (let i = 0; i < scores.length; i++) {
      if (scores[i] > least || (scores[i] === least && room-- > 0)) chosen.push(i);
    }
  }
  return Int32Array.from(chosen).sort((a, b) => scores[b] - scores[a] || a - b);
}

// Boxes from reference boxes and their deltas.
export function decode(references, deltas, stds, maxLogScale) {
  const boxes = new Float32Array(references.length);
  const factors = Float32Array.from(stds), limit = fround(maxLogScale);
  for (let box = 0; box < boxes.length; box += 4) {
    for (let low = box, axis = 0; axis < 2; low++, axis++) {
      const high = low + 2;
      const size = fround(references[high] - references[low]);
      const shift = fround(fround(deltas[low] * factors[axis]) * size);
      const centre = fround(fround(fround(references[low] + references[high]) / 2) + shift);
      const logScale = clamp(fround(deltas[high] * factors[axis + 2]), -limit, limit);
      const half = fround(fround(size * fround(Math.exp(logScale))) / 2);
      boxes[low] = centre - half;
      boxes[high] = centre + half;
    }
  }
  return boxes;
}

// Boxes clipped to an image of [height, width].
export const clip = (boxes, [height, width]) => boxes.map((side, i) => clamp(side, 0, i % 2 ? height : width));

// Greedy non-maximum suppression of boxes in order of falling score: indices of at most `count`
// boxes, each of which has an IoU above the threshold with none that was kept before it.
export function nms(boxes, iouThreshold, count) {
  const threshold = fround(iouThreshold), kept = [];
  const areas = new Float32Array(boxes.length / 4).map((_, box) => area(boxes, 4 * box));
  for (let box = 0; box < areas.length && kept.length < count; box++) {
    if (!kept.some((better) => overlap(boxes, areas, better, box) > threshold)) kept.push(box);
  }
  return Int32Array.from(kept);
}

// The IoU of two boxes; 0 for two without area, which no threshold is below.
function overlap(boxes, areas, first, second) {
  const a = 4 * first, b = 4 * second;
  const width = fround(Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]));
  const height = fround(Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]));
  if (!(width > 0 && height > 0)) return 0;
  const shared = fround(width * height);
  return fround(shared / fround(fround(areas[first] + areas[second]) - shared));
}

const area = (boxes, i) => fround(fround(boxes[i + 2] - boxes[i]) * fround(boxes[i + 3] - boxes[i + 1]));

// The pyramid level of each box, 0 for the finest.
export function roiLevels(boxes, finestScale, levels) {
  const scale = fround(finestScale), little = fround(1e-6);
  return new Int32Array(boxes.length / 4).map((_, box) => {
    const side = fround(fround(fround(Math.sqrt(area(boxes, 4 * box))) / scale) + little);
    // floor(log2(side)), clamped, by comparisons, which are exact.
    let level = 0;
    while (level < levels - 1 && side >= 2 ** (level + 1)) level++;
    return level;
  });
}

// Writes the features of one box to `features` from `start` on: bins rows of bins columns of cells.
//
// Every bin averages evenly spaced samples, as many along each axis as the bin is long in cells,
// rounded up. A sample is interpolated between four cells. Samples of a bin share cells, so their
// weights are added up first, for each axis alone.
function roiAlign(features, start, cells, level, channels, boxes, i, bins) {
  const [height, width] = level.cells, stride = level.stride;
  const [x1, y1, x2, y2] = [0, 1, 2, 3].map((side) => fround(fround(boxes[i + side] / stride) - 0.5));
  const rows = axisWeights(y1, y2, bins, height), columns = axisWeights(x1, x2, bins, width);
  let place = start;
  for (const row of rows) {
    for (const column of columns) {
      for (let y = 0; y < row.weights.length; y++) {
        const rowStart = Math.min(row.first + y, height - 1) * width;
        for (let x = 0; x < column.weights.length; x++) {
          const weight = fround(row.weights[y] * column.weights[x]);
          if (weight === 0) continue;
          const cell = (rowStart + Math.min(column.first + x, width - 1)) * channels;
          addCell(features, place, cells, cell, channels, weight);
        }
      }
      place += channels;
    }
  }
}

// Adds the weighted channels of one cell. Most of the host's time goes here.
function addCell(features, place, cells, cell, channels, weight) {
  for (let channel = 0; channel < channels; channel++) {
    features[place + channel] += fround(weight * cells[cell + channel]);
  }
}

// For each bin of one axis, the first cell that it reads, and the weights of this cell and the
// following ones. The box goes from `low` to `high` in cells; the centre of cell i is at i.
function axisWeights(low, high, bins, length) {
  const width = fround(fround(high - low) / bins); // of each bin
  const samples = Math.ceil(width), divisor = Math.max(samples, 1);
  return Array.from({ length: bins }, (_, bin) => {
    const start = fround(low + fround(bin * width));
    const weights = new Float32Array(samples + 2);
    let first = 0;
    for (let sample = 0; sample < samples; sample++) {
      const unclamped = fround(start + fround(fround((sample + 0.5) * width) / divisor));
      const position = clamp(unclamped, 0, length - 1), cell = Math.floor(position);
      if (sample === 0) first = cell;
      if (unclamped < -1 || unclamped > length) continue;
      // Positions rise by at most one cell from sample to sample, so a bin's cells are consecutive.
      weights[cell - first] += fround(fround(cell + 1 - position) / divisor);
      weights[cell - first + 1] += fround(fround(position - cell) / divisor);
    }
    return { first, weights };
  });
}

// Features of boxes from the pyramid level of each one's size, bins*bins cells each; `places` may be
// more than there are boxes, and the features of missing ones are zero.
export function boxFeatures(core, boxes, bins, constants, places = boxes.length / 4) {
  const { channels, levels } = constants, size = bins * bins * channels;
  const features = new Float32Array(places * size);
  roiLevels(boxes, constants.finest_scale, constants.feature_levels).forEach((index, box) => {
    const level = levels[index];
    roiAlign(features, box * size, core[level.name], level, channels, boxes, 4 * box, bins);
  });
  return features;
}

// The anchors of a level, in the order of the maps: rows, columns, ratios.
export function gridAnchors({ cells: [rows, columns], stride, anchors }) {
  const base = Float32Array.from(anchors.flat()), boxes = new Float32Array(rows * columns * base.length);
  return boxes.map((_, i) => {
    const cell = Math.floor(i / base.length), coordinate = i % 2 ? Math.floor(cell / columns) : cell % columns;
    return coordinate * stride + base[i % base.length];
  });
}

// Boxes that may hold a thing, best first: the best anchors of each level after NMS. `anchors` are
// `gridAnchors` of each level.
export function proposals(core, anchors, constants) {
  const boxes = [], scores = [];
  constants.levels.forEach(({ name }, index) => {
    const levelScores = sigmoid(core[`objectness_${name}`]);
    const order = best(levelScores, constants.per_level);
    const references = rows(anchors[index], order, 4), deltas = rows(core[`deltas_${name}`], order, 4);
    const decoded = clip(decode(references, deltas, constants.rpn_stds, constants.max_log_scale), constants.image);
    const existing = [...order.keys()].filter((box) => {
      const [x1, y1, x2, y2] = decoded.subarray(4 * box, 4 * box + 4);
      return x2 > x1 && y2 > y1;
    });
    const candidates = rows(decoded, existing, 4), candidateScores = rows(rows(levelScores, order, 1), existing, 1);
    const kept = nms(candidates, constants.proposal_iou, constants.proposals);
    boxes.push(rows(candidates, kept, 4));
    scores.push(rows(candidateScores, kept, 1));
  });
  return rows(concatenate(boxes), best(concatenate(scores), constants.proposals), 4);
}

// The (box, class) pairs above the score threshold, after one NMS over all classes: `boxes`,
// `scores` and `labels`, best first. `scores` holds the background last, `deltas` four per class.
export function detections(proposals, scores, deltas, constants) {
  const { things } = constants, threshold = fround(constants.score_threshold);
  const pairs = []; // indices of box * things + class
  for (let pair = 0; pair < deltas.length / 4; pair++) {
    if (scores[pairScore(pair, things)] > threshold) pairs.push(pair);
  }
  const pairScores = Float32Array.from(pairs, (pair) => scores[pairScore(pair, things)]);
  const order = best(pairScores, pairs.length), sorted = order.map((i) => pairs[i]);
  const references = rows(proposals, sorted.map((pair) => Math.floor(pair / things)), 4);
  const decoded = decode(references, rows(deltas, sorted, 4), constants.roi_stds, constants.max_log_scale);
  const boxes = clip(decoded, constants.image);
  const kept = nms(boxes, constants.detection_iou, constants.detections);
  return {
    boxes: rows(boxes, kept, 4),
    scores: rows(rows(pairScores, order, 1), kept, 1),
    labels: kept.map((i) => sorted[i] % things),
  };
}

// Where the score of a pair is: each box has one score more than there are things.
const pairScore = (pair, things) => pair + Math.floor(pair / things);

// The rows of `width` numbers at these indices.
function rows(values, indices, width) {
  const chosen = new Float32Array(indices.length * width);
  indices.forEach((index, i) => {
    for (let k = 0; k < width; k++) chosen[i * width + k] = values[index * width + k];
  });
  return chosen;
}

function concatenate(arrays) {
  const all = new Float32Array(arrays.reduce((length, { length: more }) => length + more, 0));
  let place = 0;
  for (const array of arrays) {
    all.set(array, place);
    place += array.length;
  }
  return all;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
