// The page: holds the file and the settings, and gives jobs to workers.
const show = (id) => document.getElementById(id);
const state = (name) => (document.body.dataset.state = name);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

// Of what the browser refuses, vectors are the only part.
const vectors = WebAssembly.validate(bytesOf(data.simd128));
const compiled = WebAssembly.compile(bytesOf(vectors ? data.simd128 : data.scalar));
const code = URL.createObjectURL(new Blob([`"use strict";(${work})()`], { type: "text/javascript" }));

let file; // the bytes of the model
let worker; // what is being done

function stop() {
  worker?.terminate();
  worker = undefined;
  state("ready");
  show("write").textContent = "Write";
}

// Does a job in place of the one before; `hear` gets its messages.
async function start(job, hear) {
  stop();
  state("busy");
  const mine = (worker = new Worker(code));
  mine.onmessage = ({ data: message }) => {
    if (message.ended) stop();
    fail(message.error);
    hear(message);
  };
  const module = await compiled;
  if (worker === mine) mine.postMessage({ module, ...job });
}

function fail(reason) {
  show("error").hidden = !reason;
  show("error").textContent = reason ?? "";
}

function open(name, bytes) {
  start({ file: bytes }, ({ error, sampling }) => {
    if (error) return fail(`${name} cannot be opened: ${error}.`);
    file = bytes;
    show("name").textContent = name;
    show("about").textContent = `${Math.ceil(bytes.length / 1000).toLocaleString("en")} kB`;
    show("temperature").value = Number(sampling.temperature.toPrecision(6));
    show("top-p").value = Number(sampling.topP.toPrecision(6));
    show("begin").textContent = show("rest").textContent = show("status").textContent = "";
  });
}

async function openFile(chosen) {
  if (!chosen) return;
  try {
    open(chosen.name, new Uint8Array(await chosen.arrayBuffer()));
  } catch (error) {
    fail(`${chosen.name} cannot be read: ${error.message}.`);
  }
}

function write() {
  const request = { prompt: show("prompt").value, seed: show("seed").value };
  for (const [name, id] of [["temperature", "temperature"], ["topP", "top-p"], ["tokens", "tokens"]])
    request[name] = show(id).valueAsNumber;
  show("begin").textContent = request.prompt;
  show("rest").textContent = "";
  start({ file, request }, ({ text, tokens, seconds, ended, error }) => {
    if (error) return;
    show("rest").append(text);
    const speed = seconds > 0 ? Math.round(tokens / seconds).toLocaleString("en") : "–";
    const length = tokens.toLocaleString("en");
    show("status").textContent =
      `${length} tokens${ended ? "" : "…"} · ${speed} tokens/s · ${vectors ? "simd128" : "scalar"}`;
  });
  state("writing");
  show("write").textContent = "Stop";
}

show("form").onsubmit = (event) => {
  event.preventDefault();
  if (document.body.dataset.state === "writing") stop();
  else if (file) write();
};
show("choose").onclick = () => show("file").click();
show("file").onchange = (event) => {
  openFile(event.target.files[0]);
  event.target.value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("drop");
};
document.ondragleave = ({ relatedTarget }) => relatedTarget ?? document.body.classList.remove("drop");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  openFile(event.dataTransfer.files[0]);
};

open(data.name, bytesOf(data.model));
