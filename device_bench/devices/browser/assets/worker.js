// Runs artifacts in onnxruntime-web, off the page's thread, and keeps the clock. Statistics and
// validity are Python's: every sample goes back as it is.

import { reply } from "./net.js";
import { inTurn, warmUp } from "./protocol.js";

const WASM = {
  wasm: "ort-wasm-simd-threaded.wasm",
  webgpu: "ort-wasm-simd-threaded.asyncify.wasm",
};

let ort, plan, provider;
const sessions = [];

self.onmessage = async ({ data }) => {
  try {
    const value = await jobs[data.job](data);
    self.postMessage({ job: data.job, value });
  } catch (error) {
    self.postMessage({ job: data.job, failure: String(error?.message ?? error) });
  }
};

const jobs = { open, measure, look };

const tell = (step, share) => self.postMessage({ step, share });

const bytes = async (path, body) => (await reply(path, body)).arrayBuffer();

// Starts the runtime. A worker keeps to one provider and one number of threads.
async function open({ plan: given, provider: name, threads }) {
  plan = given;
  provider = name;
  ort = await import(`./ort/ort.${name}.bundle.min.mjs`);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  // The bundles hold the glue; a folder here would make them look for it as another module.
  ort.env.wasm.wasmPaths = { wasm: new URL(`./ort/${WASM[name]}`, self.location.href).href };
  await session(await bytes("empty.onnx"));
}

function session(model, extra = {}) {
  return ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: [provider],
    graphOptimizationLevel: "all",
    extra,
  });
}

// Whether some operators have no kernel for the GPU and run in WebAssembly; null without a GPU.
async function fallsBack(index) {
  if (provider !== "webgpu") return null;
  try {
    const strict = { session: { disable_cpu_ep_fallback: "1" } };
    await (await session(await bytes(`models/${index}`), strict)).release();
    return false;
  } catch {
    return true;
  }
}

// The session of an artifact, opened where it is not yet; returns milliseconds where it was now.
async function load(index) {
  if (sessions[index]) return null;
  const model = await bytes(`models/${index}`);
  const start = performance.now();
  sessions[index] = await session(model);
  return performance.now() - start;
}

function feeds(index, buffer) {
  const { name, shape } = plan.artifacts[index].input;
  return { [name]: new ort.Tensor("float32", new Float32Array(buffer), shape) };
}

// Outputs in the manifest's order, one after the other.
function packed(index, outputs) {
  return plan.artifacts[index].outputs.map(({ name }) => {
    const { data } = outputs[name];
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
}

async function timed(index, images) {
  const start = performance.now();
  await sessions[index].run(images);
  return performance.now() - start;
}

async function measure({ run }) {
  const figures = [], parities = [], images = [];
  for (const [index, { name }] of plan.artifacts.entries()) {
    tell(`${name}: loading`, 0);
    const load_ms = await load(index);
    images[index] = feeds(index, await bytes(`inputs/${index}/0`));
    const first_ms = await timed(index, images[index]);
    tell(`${name}: comparing outputs`, 0);
    parities.push(await parity(run, index));
    figures.push({ load_ms, first_ms, falls_back: await fallsBack(index) });
  }
  for (const [index, { name }] of plan.artifacts.entries()) {
    tell(`${name}: warming up`, 0);
    figures[index].warmup_ms = await warmUp(() => timed(index, images[index]), plan.warmup);
  }
  const infer = (index) => timed(index, images[index]);
  const series = await inTurn(infer, images.length, plan, tell);
  figures.forEach((entry, index) => { entry.samples_ms = series[index]; });
  return { figures, parities };
}

// Runs all samples and sends their outputs; they are compared where the reference is.
async function parity(run, index) {
  const parts = [];
  for (const sample of plan.samples.keys()) {
    const outputs = await sessions[index].run(feeds(index, await bytes(`inputs/${index}/${sample}`)));
    parts.push(...packed(index, outputs));
  }
  return (await reply(`runs/${run}/outputs/${index}`, new Blob(parts))).json();
}

// One picture (a file of bytes) through one artifact; what comes back is drawn by Python.
async function look({ index, picture }) {
  await load(index);
  const images = feeds(index, await bytes(`prepare/${index}`, picture));
  const start = performance.now();
  const outputs = await sessions[index].run(images);
  const milliseconds = performance.now() - start;
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, picture.size, true);
  const body = new Blob([length, picture, ...packed(index, outputs)]);
  return { milliseconds, ...await (await reply(`answer/${index}`, body)).json() };
}
