// A panoptic model in parts behind the interface of a session of onnxruntime-web, with the outputs
// of the whole form. As export/panoptic/parts/session.py in Python.

import { boxFeatures, detections, gridAnchors, proposals } from "./host_steps.js";

export const PARTS = ["core", "boxes", "masks"];

// Stages in order: `proposals` and `detections` are host steps, with the features that they read.
const STAGES = ["core", "proposals", "boxes", "detections", "masks"];

export class PartsSession {
  // `sessions` are those of the parts by name; `makeTensor(data, shape)` makes a float32 tensor.
  constructor(sessions, constants, makeTensor) {
    this.sessions = sessions;
    this.constants = constants;
    this.makeTensor = makeTensor;
    this.anchors = constants.levels.map(gridAnchors);
    this.stages = null; // of the last run: milliseconds of each stage, numbers of boxes
  }

  async run(feeds) {
    const clock = new Clock(), slots = this.constants.detections;
    const outputs = await clock.time("core", () => this.sessions.core.run(feeds));
    const core = arrays(outputs);
    const boxes = await clock.time("proposals", () => proposals(core, this.anchors, this.constants));
    const found = await this.detect(core, boxes, clock);
    const masks = await this.masks(core, found, clock);
    const count = found.scores.length;
    this.stages = { milliseconds: clock.milliseconds, proposals: boxes.length / 4, detections: count };
    return {
      boxes: { data: fill(found.boxes, 4 * slots) },
      scores: { data: fill(found.scores, slots) },
      labels: { data: fill(found.labels, slots) },
      masks: { data: masks },
      semantic: outputs.semantic,
    };
  }

  // Classifies the proposals batch by batch, and selects the detections.
  async detect(core, boxes, clock) {
    const { box_batch, box_size, channels, things } = this.constants, count = boxes.length / 4;
    const scores = new Float32Array(count * (things + 1)), deltas = new Float32Array(count * 4 * things);
    for (let first = 0; first < count; first += box_batch) {
      const batch = boxes.subarray(4 * first, 4 * (first + box_batch));
      const features = await clock.time("proposals", () => boxFeatures(core, batch, box_size, this.constants, box_batch));
      const shape = [box_batch, box_size ** 2 * channels];
      const outputs = await clock.time("boxes", () => this.call("boxes", { features: [features, shape] }));
      copyRows(outputs.scores, scores, first, things + 1);
      copyRows(outputs.deltas, deltas, first, 4 * things);
    }
    return clock.time("detections", () => detections(boxes, scores, deltas, this.constants));
  }

  // The mask of each detection for its class, batch by batch; those of empty slots are zero.
  async masks(core, { boxes, labels }, clock) {
    const { mask_batch, mask_size, channels, things } = this.constants, size = (2 * mask_size) ** 2;
    const masks = new Float32Array(this.constants.detections * size);
    for (let first = 0; first < labels.length; first += mask_batch) {
      const batch = boxes.subarray(4 * first, 4 * (first + mask_batch)), end = first + batch.length / 4;
      const features = await clock.time("detections", () => boxFeatures(core, batch, mask_size, this.constants, mask_batch));
      const classes = new Float32Array(mask_batch * things);
      labels.subarray(first, end).forEach((label, i) => { classes[i * things + label] = 1; });
      const outputs = await clock.time("masks", () => this.call("masks", {
        features: [features, [mask_batch, mask_size, mask_size, channels]],
        classes: [classes, [mask_batch, things]],
      }));
      masks.set(outputs.masks.subarray(0, (end - first) * size), first * size);
    }
    return masks;
  }

  async call(part, inputs) {
    const feeds = {};
    for (const [name, [data, shape]] of Object.entries(inputs)) feeds[name] = this.makeTensor(data, shape);
    return arrays(await this.sessions[part].run(feeds));
  }
}

// Adds up the milliseconds of each stage.
class Clock {
  milliseconds = Object.fromEntries(STAGES.map((stage) => [stage, 0]));

  async time(stage, work) {
    const start = performance.now(), value = await work();
    this.milliseconds[stage] += performance.now() - start;
    return value;
  }
}

// The medians of the stages over several runs, with the numbers of boxes of the last one.
export function summariseStages(runs, median) {
  const milliseconds = {};
  for (const stage of STAGES) milliseconds[stage] = median(runs.map((run) => run.milliseconds[stage]));
  return { ...runs.at(-1), milliseconds };
}

// The data of outputs by name.
function arrays(outputs) {
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
}

// An array of `length` numbers that starts with `values`; the others are zero.
function fill(values, length) {
  const filled = new values.constructor(length);
  filled.set(values);
  return filled;
}

// Copies the rows of a batch to where they belong, without those of the last batch's empty places.
function copyRows(batch, all, first, width) {
  all.set(batch.subarray(0, all.length - first * width), first * width);
}
