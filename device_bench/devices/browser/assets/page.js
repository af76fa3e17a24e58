// What one sees and touches. The work is the worker's and the server's.

import { reply } from "./net.js";

const $ = (id) => document.getElementById(id);
const LONGEST_SIDE = 1280; // of a photo before it is sent

let plan, worker, running = false, hidden = false;

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

const provider = () => document.querySelector("input[name=provider]:checked").value;

// As many threads as were asked for, where the page may share memory and has the cores.
const threads = () => crossOriginIsolated ? Math.min(plan.threads, navigator.hardwareConcurrency || 1) : 1;

const send = async (path, data) => (await reply(path, JSON.stringify(data))).json();

// A job for the worker; it is made anew where the provider has changed.
async function ask(job, data, progress) {
  if (worker?.provider !== provider()) {
    worker?.terminate();
    worker = new Worker("worker.js", { type: "module" });
    worker.provider = provider();
    await answered("open", { plan, provider: provider(), threads: threads() }, progress);
  }
  return answered(job, data, progress);
}

function answered(job, data, progress = () => {}) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data: said }) => {
      if (said.step !== undefined) progress(said.step, said.share);
      else if (said.failure === undefined) resolve(said.value);
      else reject(new Error(said.failure));
    };
    worker.onerror = (event) => {
      worker.terminate();
      worker = null;
      reject(new Error(event.message || "this browser cannot start a worker"));
    };
    worker.postMessage({ job, ...data });
  });
}

// One thing at a time: two inferences at once would disturb each other.
async function alone(action) {
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
    offerWhatWorks();
    $("progress").hidden = true;
    $("look-step").textContent = "";
  }
}

async function measure() {
  $("failure").hidden = true;
  $("progress").hidden = false;
  $("results").replaceChildren();
  worker?.terminate(); // load times are of a fresh runtime
  worker = null;
  hidden = document.hidden;
  const awake = await navigator.wakeLock?.request("screen").catch(() => null);
  try {
    const { run } = await send("runs", await description());
    const { figures, parities } = await ask("measure", { run }, (step, share) => {
      $("step").textContent = step;
      $("bar").value = share;
    });
    show(await send(`runs/${run}/figures`, { artifacts: figures, hidden }), parities);
  } finally {
    await awake?.release();
  }
}

async function description() {
  const told = await navigator.userAgentData?.getHighEntropyValues(["model"]).catch(() => null);
  const gpu = provider() === "webgpu" ? (await navigator.gpu.requestAdapter())?.info : null;
  return {
    provider: provider(),
    user_agent: navigator.userAgent,
    model: told?.model ?? "",
    cores: navigator.hardwareConcurrency || 1,
    threads: provider() === "wasm" ? threads() : 1,
    isolated: crossOriginIsolated,
    gpu: gpu ? [gpu.vendor, gpu.architecture].filter(Boolean).join(" ") : "",
    clock_ms: clockStep(),
  };
}

// The smallest step that the clock makes.
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

function show(results, parities) {
  const cards = results.map((result, index) => {
    const card = element("article", undefined, "card"), facts = element("dl"), parity = parities[index];
    for (const [name, value] of result.facts) facts.append(element("dt", name), element("dd", value));
    const verdict = parity.passed ? `Outputs match ${parity.reference}.` : `Outputs differ from ${parity.reference}.`;
    card.append(element("h3", result.name), element("p", result.median, "median"), facts);
    card.append(folded(verdict, parity.lines, parity.passed ? "good" : "bad"));
    card.append(...result.reasons.map((reason) => element("p", `Not valid: ${reason}`, "bad")));
    return card;
  });
  $("results").replaceChildren(...cards, element("p", "The figures are with the computer that serves this page.", "soft"));
}

function folded(title, lines, name) {
  const made = element("details"), list = element("ul", undefined, "soft");
  list.append(...lines.map((line) => element("li", line)));
  made.append(element("summary", title, name), list);
  made.open = name === "bad";
  return made;
}

async function look(picture) {
  $("failure").hidden = true;
  $("look-step").textContent = "The model is running.";
  const index = Number($("chosen").value);
  const answer = await ask("look", { index, picture });
  $("overlay").hidden = !answer.picture;
  if (answer.picture) $("overlay").src = answer.picture;
  $("classes").replaceChildren(...answer.rows.map((cells) => {
    const row = element("tr");
    row.append(...cells.map((cell) => element("td", cell)));
    return row;
  }));
  const nothing = answer.picture || answer.rows.length ? "" : "A bare backbone has no answer to show. ";
  $("caption").textContent = `${nothing}One inference, not warmed up: ${answer.milliseconds.toFixed(1)} ms.`;
  $("answer").hidden = false;
}

// A picture or a video frame as a JPEG file, upright and not too large.
function jpeg(source, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("this picture cannot be used")), "image/jpeg", 0.92);
  });
}

async function photo(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return await jpeg(image, image.naturalWidth, image.naturalHeight);
  } catch {
    throw new Error("this browser cannot read that picture");
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

async function take() {
  const video = $("video");
  const picture = await jpeg(video, video.videoWidth, video.videoHeight);
  stopCamera();
  await look(picture);
}

// Switches off what this browser cannot do, and says why.
function offerWhatWorks() {
  const notes = [];
  if (!navigator.gpu) {
    document.querySelector("input[value=webgpu]").disabled = true;
    notes.push(isSecureContext ? "This browser has no WebGPU." : "WebGPU takes https.");
  }
  if (plan.threads > 1 && !crossOriginIsolated) {
    notes.push(`One thread instead of ${plan.threads}: over http a page cannot share memory between threads.`);
  } else if (provider() === "wasm") {
    notes.push(`WebAssembly runs with ${threads()} thread${threads() > 1 ? "s" : ""}.`);
  }
  $("notes").replaceChildren(...notes.map((note) => element("li", note)));
  if (!navigator.mediaDevices?.getUserMedia) {
    $("camera").hidden = true;
    $("camera-note").hidden = false;
    $("camera-note").textContent = "Live camera takes https; Photo offers the camera app too.";
  }
}

function describePlan() {
  $("device").textContent = `onnxruntime-web ${plan.runtime}. At least ${plan.runs} runs and ${plan.seconds} s for each model; every figure is of this device.`;
  for (const [index, artifact] of plan.artifacts.entries()) {
    const size = `${(artifact.bytes / 1e6).toFixed(1)} MB`;
    $("artifacts").append(element("li", `${artifact.name}: ${artifact.task}, ${artifact.precision}, ${size}`));
    const option = element("option", artifact.name);
    option.value = index;
    $("chosen").append(option);
  }
  for (const [index, name] of plan.samples.entries()) {
    const button = element("button"), image = element("img");
    image.src = `samples/${index}`;
    image.alt = name;
    button.append(image);
    button.onclick = () => alone(async () => look(await (await reply(image.src)).blob()));
    $("samples").append(button);
  }
  $("phone").hidden = !plan.qr;
  if (plan.qr) $("qr").src = "qr.svg";
}

document.addEventListener("visibilitychange", () => { hidden ||= document.hidden; });
$("start").onclick = () => alone(measure);
$("providers").onchange = offerWhatWorks;
$("photo").onchange = ({ target }) => {
  const [file] = target.files;
  target.value = ""; // the same photo may be chosen again
  if (file) alone(async () => look(await photo(file)));
};
$("camera").onclick = () => alone(startCamera);
$("take").onclick = () => alone(take);

try {
  plan = await (await reply("plan.json")).json();
  describePlan();
  offerWhatWorks();
  $("start").disabled = false;
} catch (error) {
  $("device").textContent = `The page could not load: ${error.message}`;
}
