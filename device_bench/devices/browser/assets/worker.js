// Runs artifacts in onnxruntime-web, outside the page's thread, and measures their time. Statistics
// and validity are computed in Python, which receives every sample.

import { request } from "./net.js";
import { PARTS, PartsSession, summariseStages } from "./parts.js";
import { median, timeInterleaved, warmUp } from "./timing.js";

const WASM_FILES = {
  wasm: "ort-wasm-simd-threaded.wasm",
  webgpu: "ort-wasm-simd-threaded.asyncify.wasm",
};

let ort, plan, provider;
const sessions = [];

const tasks = { open, measure, predict };

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ value: await tasks[data.task](data) });
  } catch (error) {
    self.postMessage({ failure: String(error?.message ?? error) });
  }
};

const reportProgress = (step, share) => self.postMessage({ step, share });

const fetchBytes = async (path, body) => (await request(path, body)).arrayBuffer();

// Starts the runtime. A worker has one provider and one number of threads.
async function open({ plan: newPlan, provider: name, threads }) {
  plan = newPlan;
  provider = name;
  ort = await import(`./ort/ort.${name}.bundle.min.mjs`);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  // The bundles contain the JavaScript glue. With a folder here they would look for another file.
  ort.env.wasm.wasmPaths = { wasm: new URL(`./ort/${WASM_FILES[name]}`, self.location.href).href };
  await createSession(await fetchBytes("empty.onnx"));
}

function createSession(model, extra = {}) {
  return ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: [provider],
    graphOptimizationLevel: "all",
    extra,
  });
}

// The addresses of an artifact's files: one, or one for each part.
function addresses(index) {
  const address = `models/${index}`;
  return plan.artifacts[index].host ? PARTS.map((part) => `${address}/${part}`) : [address];
}

// Whether some operators have no GPU kernel and run in WebAssembly; null without a GPU.
async function fallsBack(index) {
  if (provider !== "webgpu") return null;
  try {
    const strict = { session: { disable_cpu_ep_fallback: "1" } };
    for (const address of addresses(index)) {
      await (await createSession(await fetchBytes(address), strict)).release();
    }
    return false;
  } catch {
    return true;
  }
}

// Opens the session of an artifact and returns the milliseconds; null if it was already open.
async function load(index) {
  if (sessions[index]) return null;
  const models = [];
  for (const address of addresses(index)) models.push(await fetchBytes(address));
  const start = performance.now();
  sessions[index] = await openSession(index, models);
  return performance.now() - start;
}

// The session of a file; for files of parts an object with the same interface.
async function openSession(index, models) {
  const { host } = plan.artifacts[index];
  if (!host) return createSession(models[0]);
  const parts = {};
  for (const [i, part] of PARTS.entries()) parts[part] = await createSession(models[i]);
  return new PartsSession(parts, host, makeTensor);
}

const makeTensor = (data, shape) => new ort.Tensor("float32", data, shape);

function makeFeeds(index, buffer) {
  const { name, shape } = plan.artifacts[index].input;
  return { [name]: makeTensor(new Float32Array(buffer), shape) };
}

// The bytes of all outputs, in the manifest's order.
function outputBytes(index, outputs) {
  return plan.artifacts[index].outputs.map(({ name }) => {
    const { data } = outputs[name];
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
}

async function timeInference(index, feeds) {
  const start = performance.now();
  await sessions[index].run(feeds);
  return performance.now() - start;
}

// Loads, compares, warms up and times all artifacts.
async function measure({ run }) {
  const timings = [], parities = [], feeds = [];
  for (const [index, { name }] of plan.artifacts.entries()) {
    reportProgress(`${name}: loading`, 0);
    const load_ms = await load(index);
    feeds[index] = makeFeeds(index, await fetchBytes(`inputs/${index}/0`));
    const first_ms = await timeInference(index, feeds[index]);
    reportProgress(`${name}: comparing outputs`, 0);
    parities.push(await compareOutputs(run, index));
    timings.push({ load_ms, first_ms, falls_back: await fallsBack(index) });
  }
  for (const [index, { name }] of plan.artifacts.entries()) {
    reportProgress(`${name}: warming up`, 0);
    timings[index].warmup_ms = await warmUp(() => timeInference(index, feeds[index]), plan.warmup);
  }
  const stages = feeds.map(() => []);
  const infer = async (index) => {
    const elapsed = await timeInference(index, feeds[index]);
    if (sessions[index].stages) stages[index].push(sessions[index].stages);
    return elapsed;
  };
  const samples = await timeInterleaved(infer, feeds.length, plan, reportProgress);
  timings.forEach((timing, index) => {
    timing.samples_ms = samples[index];
    if (stages[index].length) timing.stages = summariseStages(stages[index], median);
  });
  return { timings, parities };
}

// Runs all sample pictures and sends their outputs to the server, which compares them.
async function compareOutputs(run, index) {
  const parts = [];
  for (const sample of plan.samples.keys()) {
    const feeds = makeFeeds(index, await fetchBytes(`inputs/${index}/${sample}`));
    parts.push(...outputBytes(index, await sessions[index].run(feeds)));
  }
  return (await request(`runs/${run}/outputs/${index}`, new Blob(parts))).json();
}

// Runs one picture (a file) through one artifact; the server draws the prediction.
async function predict({ index, picture }) {
  await load(index);
  const feeds = makeFeeds(index, await fetchBytes(`prepare/${index}`, picture));
  const start = performance.now();
  const outputs = await sessions[index].run(feeds);
  const milliseconds = performance.now() - start;
  const size = new DataView(new ArrayBuffer(4));
  size.setUint32(0, picture.size, true);
  const body = new Blob([size, picture, ...outputBytes(index, outputs)]);
  return { milliseconds, ...await (await request(`answer/${index}`, body)).json() };
}
