// Tests the page in headless Chromium: `node browser.mjs BROWSER PAGE.html [PICTURES]`. The golden texts of models, what it says
// of broken files, the stop button, no network. PICTURES is a folder for screenshots.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [browser, page, pictures] = process.argv.slice(2);
const models = join(fileURLToPath(new URL(".", import.meta.url)), "../../models");
const folder = mkdtempSync(join(tmpdir(), "whit-"));

// The browser, which speaks the DevTools protocol over two pipes.
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", `--user-data-dir=${folder}/profile`];
const chromium = spawn(browser, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map();
const requested = [];
const problems = [];
let rest = "", calls = 0;
chromium.on("exit", (code) => waiting.forEach(({ reject }) => reject(new Error(`${browser} has ended: ${code}`))));
chromium.stdio[4].setEncoding("utf8").on("data", (chunk) => {
  const messages = (rest + chunk).split("\0");
  rest = messages.pop();
  for (const message of messages) hear(JSON.parse(message));
});

function hear({ id, result, error, method, params }) {
  if (id) {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    error ? reject(new Error(error.message)) : resolve(result);
  }
  if (method === "Network.requestWillBeSent") requested.push(params.request.url);
  if (method === "Runtime.exceptionThrown") problems.push(params.exceptionDetails.exception?.description);
  if (method === "Log.entryAdded" && params.entry.level === "error") problems.push(params.entry.text);
}

function call(method, params = {}, sessionId = undefined) {
  const id = (calls += 1);
  chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

// A new tab with the page, offline.
async function tab(before = "") {
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const send = (method, params) => call(method, params, sessionId);
  for (const domain of ["Page", "Runtime", "Network", "Log", "DOM"]) await send(`${domain}.enable`);
  const offline = { offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 };
  await send("Network.emulateNetworkConditions", offline);
  await send("Page.addScriptToEvaluateOnNewDocument", { source: before });
  await send("Page.navigate", { url: pathToFileURL(page).href });

  const run = async (expression) => {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await send("Runtime.evaluate", options);
    assert.equal(exceptionDetails, undefined, expression);
    return result.value;
  };
  // Does something, and waits until the page is ready again, or in the state given.
  const until = (action, name = "ready") => run(`new Promise((done) => {
    const look = () => document.body?.dataset.state === "${name}" && done();
    new MutationObserver(look).observe(document, { attributes: true, childList: true, subtree: true });
    ${action};
    look();
  })`);
  return {
    send,
    run,
    until,
    set: (id, value) => run(`document.getElementById("${id}").value = ${JSON.stringify(value)}`),
    text: (id) => run(`document.getElementById("${id}").textContent`),
    async choose(file) {
      const { root } = await send("DOM.getDocument");
      const { nodeId } = await send("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
      // The page is busy until it has read the file.
      await run(`document.body.dataset.state = "busy"`);
      await send("DOM.setFileInputFiles", { nodeId, files: [resolve(file)] });
      await until("");
    },
  };
}

// What a model's card says that it writes.
function golden(model) {
  const card = readFileSync(join(models, model, "card.toml"), "utf8").split("[golden]")[1];
  const [, prompt] = card.match(/^prompt = "(.*)"$/m);
  const [, tokens] = card.match(/^tokens = (\d+)$/m);
  const [, text] = card.match(/^text = """\n([^]*)"""$/m);
  return { prompt, tokens, text };
}

async function writesItsGoldenText(page, model) {
  const { prompt, tokens, text } = golden(model);
  for (const [id, value] of Object.entries({ prompt, tokens, temperature: "0" })) await page.set(id, value);
  await page.until(`document.getElementById("write").click()`);
  assert.equal(await page.text("rest"), text);
  assert.match(await page.text("status"), new RegExp(`^${tokens} tokens · [\\d,]+ tokens/s`));
}

// The page, and a second one that believes that the browser has no vectors.
const [first, plain] = [await tab(), await tab("WebAssembly.validate = () => false")];
const pages = { simd128: first, scalar: plain };

const checks = {
  async "a text is written with the settings of the file"() {
    await first.until("");
    assert.equal(await first.run(`document.getElementById("temperature").value`), "0.7");
    await first.until(`document.getElementById("write").click()`);
    assert.ok((await first.text("rest")).length > 900);
    assert.match(await first.text("status"), /^1,000 tokens · [\d,]+ tokens\/s · simd128$/);
  },
  async "the seed decides the text"() {
    const write = async (seed) => {
      await first.set("seed", seed);
      await first.until(`document.getElementById("write").click()`);
      return first.text("rest");
    };
    const text = await write("2");
    assert.notEqual(await write("3"), text);
    assert.equal(await write("2"), text);
  },
  async "a dropped model replaces the one before"() {
    const base64 = readFileSync(join(models, "shakespeare-small/model.whit")).toString("base64");
    await first.until(`{
      document.body.dataset.state = "busy";
      const bytes = Uint8Array.from(atob("${base64}"), (character) => character.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], "dropped.whit"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }`);
    assert.equal(await first.text("name"), "dropped.whit");
    await writesItsGoldenText(first, "shakespeare-small");
  },
  async "a text can be stopped"() {
    await first.set("tokens", "1000000");
    await first.until(`document.getElementById("write").click()`, "writing");
    await first.until(`document.getElementById("write").click()`);
    assert.equal(await first.text("write"), "Write");
    await writesItsGoldenText(first, "shakespeare-small");
  },
  async "a file of another kind is refused, and the model before stays"() {
    await first.choose(join(models, "README.md"));
    assert.match(await first.text("error"), /^README\.md cannot be opened: .*not a \.whit file/);
    assert.equal(await first.text("name"), "dropped.whit");
    await writesItsGoldenText(first, "shakespeare-small");
    assert.equal(await first.text("error"), "");
  },
  async "a damaged file is refused"() {
    const bytes = readFileSync(join(models, "tinystories/model.whit"));
    writeFileSync(join(folder, "short.whit"), bytes.subarray(0, -1));
    await first.choose(join(folder, "short.whit"));
    assert.match(await first.text("error"), /^short\.whit cannot be opened: /);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(join(folder, "flipped.whit"), bytes);
    await first.choose(join(folder, "flipped.whit"));
    assert.match(await first.text("error"), /^flipped\.whit cannot be opened: .*damaged/);
  },
  async "nothing came from anywhere else, and nothing went wrong"() {
    const elsewhere = requested.filter((url) => !/^(file|blob|data):/.test(url));
    assert.deepEqual(elsewhere, []);
    assert.ok(requested.length > 0);
    assert.deepEqual(problems, []);
  },
};
for (const [vectors, page] of Object.entries(pages)) {
  for (const model of readdirSync(models).filter((name) => !name.includes("."))) {
    checks[`${model} writes its golden text, ${vectors}`] = async () => {
      await page.until("");
      await page.choose(join(models, model, "model.whit"));
      await writesItsGoldenText(page, model);
      assert.ok((await page.text("status")).endsWith(vectors));
    };
  }
}

// Light and dark, on a desk and on a phone.
async function takePictures() {
  const { until, send } = first;
  await first.choose(join(models, "shakespeare-lstm/model.whit"));
  await first.set("tokens", "400");
  await first.set("prompt", "ROMEO:");
  await until(`document.getElementById("write").click()`);
  for (const [name, width, height] of [["desk", 1000, 900], ["phone", 390, 844]]) {
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    for (const value of ["light", "dark"]) {
      await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
      const { data } = await send("Page.captureScreenshot");
      writeFileSync(join(pictures, `${name}-${value}.png`), data, "base64");
    }
  }
  await first.choose(join(models, "README.md"));
  const { data } = await send("Page.captureScreenshot");
  writeFileSync(join(pictures, "error.png"), data, "base64");
}

let held = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    await check().catch((error) => {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    });
    console.log(`ok      ${name}`);
    held += 1;
  }
  if (pictures) await takePictures();
  console.log(`${browser}: ${held} checks hold`);
} finally {
  chromium.removeAllListeners("exit");
  const ended = new Promise((done) => chromium.once("exit", done));
  call("Browser.close");
  await ended;
  chromium.stdio.forEach((stream) => stream?.destroy());
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
