// The user interface. The worker runs the models, the server compares and draws.

import { request } from "./net.js";

const $ = (id) => document.getElementById(id);
const LONGEST_SIDE = 1280; // photos are resized before they are sent

let plan, worker, running = false, hidden = false;

function createElement(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const provider = () => document.querySelector("input[name=provider]:checked").value;

// The requested number of threads, limited by the cores; 1 if the page may not share memory.
const threads = () => crossOriginIsolated ? Math.min(plan.threads, navigator.hardwareConcurrency || 1) : 1;

const postJson = async (path, data) => (await request(path, JSON.stringify(data))).json();

// Runs a task in the worker, which is replaced if the provider has changed.
async function runTask(task, data, onProgress) {
  if (worker?.provider !== provider()) {
    worker?.terminate();
    worker = new Worker("worker.js", { type: "module" });
    worker.provider = provider();
    await postTask("open", { plan, provider: provider(), threads: threads() }, onProgress);
  }
  return postTask(task, data, onProgress);
}

function postTask(task, data, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data: message }) => {
      if (message.step !== undefined) onProgress(message.step, message.share);
      else if (message.failure === undefined) resolve(message.value);
      else reject(new Error(message.failure));
    };
    worker.onerror = (event) => {
      worker.terminate();
      worker = null;
      reject(new Error(event.message || "this browser cannot start a worker"));
    };
    worker.postMessage({ task, ...data });
  });
}

// Runs one action at a time: simultaneous inferences would disturb each other.
async function runExclusively(action) {
  if (running) return;
  running = true;
  for (const control of document.querySelectorAll("button, input, select")) control.disabled = true;
  try {
    await action();
  } catch (error) {
    $("failure").textContent = error.message;
    $("failure").hidden = false;
  } finally {
    running = false;
    for (const control of document.querySelectorAll("button, input, select")) control.disabled = false;
    showCapabilities();
    $("progress").hidden = true;
    $("prediction-step").textContent = "";
  }
}

async function measure() {
  $("failure").hidden = true;
  $("progress").hidden = false;
  $("results").replaceChildren();
  worker?.terminate(); // load times need a new runtime
  worker = null;
  hidden = document.hidden;
  const wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
  try {
    const { run } = await postJson("runs", await describeBrowser());
    const { timings, parities } = await runTask("measure", { run }, (step, share) => {
      $("step").textContent = step;
      $("bar").value = share;
    });
    showResults(await postJson(`runs/${run}/figures`, { artifacts: timings, hidden }), parities);
  } finally {
    await wakeLock?.release();
  }
}

async function describeBrowser() {
  const hints = await navigator.userAgentData?.getHighEntropyValues(["model"]).catch(() => null);
  const gpu = provider() === "webgpu" ? (await navigator.gpu.requestAdapter())?.info : null;
  return {
    provider: provider(),
    user_agent: navigator.userAgent,
    model: hints?.model ?? "",
    cores: navigator.hardwareConcurrency || 1,
    threads: provider() === "wasm" ? threads() : 1,
    isolated: crossOriginIsolated,
    gpu: gpu ? [gpu.vendor, gpu.architecture].filter(Boolean).join(" ") : "",
    clock_ms: clockStep(),
  };
}

// The smallest step of the clock, in milliseconds.
function clockStep() {
  let step = Infinity;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    step = Math.min(step, now - start);
  }
  return step;
}

function showResults(results, parities) {
  const cards = results.map((result, index) => {
    const card = createElement("article", undefined, "card"), facts = createElement("dl"), parity = parities[index];
    for (const [name, value] of result.facts) facts.append(createElement("dt", name), createElement("dd", value));
    const verdict = parity.passed ? `Outputs match ${parity.reference}.` : `Outputs differ from ${parity.reference}.`;
    card.append(createElement("h3", result.name), createElement("p", result.median, "median"), facts);
    card.append(createDetails(verdict, parity.lines, parity.passed ? "good" : "bad"));
    card.append(...result.reasons.map((reason) => createElement("p", `Not valid: ${reason}`, "bad")));
    return card;
  });
  $("results").replaceChildren(...cards, createElement("p", "The results are stored on the computer that serves this page.", "soft"));
}

function createDetails(title, lines, className) {
  const details = createElement("details"), list = createElement("ul", undefined, "soft");
  list.append(...lines.map((line) => createElement("li", line)));
  details.append(createElement("summary", title, className), list);
  details.open = className === "bad";
  return details;
}

async function predict(picture) {
  $("failure").hidden = true;
  $("prediction-step").textContent = "The model is running.";
  const index = Number($("chosen").value);
  const prediction = await runTask("predict", { index, picture });
  $("overlay").hidden = !prediction.picture;
  if (prediction.picture) $("overlay").src = prediction.picture;
  $("classes").replaceChildren(...prediction.rows.map((cells) => {
    const row = createElement("tr");
    row.append(...cells.map((cell) => createElement("td", cell)));
    return row;
  }));
  const isEmpty = !prediction.picture && !prediction.rows.length;
  const note = isEmpty ? "A backbone has no prediction to show. " : "";
  $("caption").textContent = `${note}One inference without warm-up: ${prediction.milliseconds.toFixed(1)} ms.`;
  $("prediction").hidden = false;
}

// Encodes a picture or a video frame as a JPEG file, upright and resized.
function encodeJpeg(source, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("this picture cannot be used")), "image/jpeg", 0.92);
  });
}

async function readPhoto(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return await encodeJpeg(image, image.naturalWidth, image.naturalHeight);
  } catch {
    throw new Error("this browser cannot read this picture");
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

async function startCamera() {
  const video = $("video");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  await video.play();
  $("finder").hidden = false;
}

function stopCamera() {
  for (const track of $("video").srcObject?.getTracks() ?? []) track.stop();
  $("video").srcObject = null;
  $("finder").hidden = true;
}

async function takePicture() {
  const video = $("video");
  const picture = await encodeJpeg(video, video.videoWidth, video.videoHeight);
  stopCamera();
  await predict(picture);
}

// Disables what this browser does not support, and says why.
function showCapabilities() {
  const notes = [];
  if (!navigator.gpu) {
    document.querySelector("input[value=webgpu]").disabled = true;
    notes.push(isSecureContext ? "This browser has no WebGPU." : "WebGPU needs https.");
  }
  if (plan.threads > 1 && !crossOriginIsolated) {
    notes.push(`One thread instead of ${plan.threads}: over http a page cannot share memory between threads.`);
  } else if (provider() === "wasm") {
    notes.push(`WebAssembly runs with ${threads()} thread${threads() > 1 ? "s" : ""}.`);
  }
  $("notes").replaceChildren(...notes.map((note) => createElement("li", note)));
  if (!navigator.mediaDevices?.getUserMedia) {
    $("camera").hidden = true;
    $("camera-note").hidden = false;
    $("camera-note").textContent = "The live camera needs https. Photo can use the camera app.";
  }
}

function showPlan() {
  $("device").textContent = `onnxruntime-web ${plan.runtime}. At least ${plan.runs} runs and ${plan.seconds} s per model, all on this device.`;
  for (const [index, artifact] of plan.artifacts.entries()) {
    const size = `${(artifact.bytes / 1e6).toFixed(1)} MB`;
    $("artifacts").append(createElement("li", `${artifact.name}: ${artifact.task}, ${artifact.precision}, ${size}`));
    const option = createElement("option", artifact.name);
    option.value = index;
    $("chosen").append(option);
  }
  for (const [index, name] of plan.samples.entries()) {
    const button = createElement("button"), image = createElement("img");
    image.src = `samples/${index}`;
    image.alt = name;
    button.append(image);
    button.onclick = () => runExclusively(async () => predict(await (await request(image.src)).blob()));
    $("samples").append(button);
  }
  $("phone").hidden = !plan.qr;
  if (plan.qr) $("qr").src = "qr.svg";
}

document.addEventListener("visibilitychange", () => { hidden ||= document.hidden; });
$("start").onclick = () => runExclusively(measure);
$("providers").onchange = showCapabilities;
$("photo").onchange = ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same photo can be chosen again
  if (file) runExclusively(async () => predict(await readPhoto(file)));
};
$("camera").onclick = () => runExclusively(startCamera);
$("take").onclick = () => runExclusively(takePicture);

try {
  plan = await (await request("plan.json")).json();
  showPlan();
  showCapabilities();
  $("start").disabled = false;
} catch (error) {
  $("device").textContent = `The page could not load: ${error.message}`;
}
