// One job in a worker of its own: to open a file, or to continue a prompt. What it writes is posted as it comes; the last
// message says whether it went well. To stop it is to end the worker.
function work() {
  const patience = 30; // milliseconds between two messages

  onmessage = ({ data: { module, file, request } }) => {
    const decoder = new TextDecoder();
    let text = "", tokens = -1, start = 0, posted = 0, sampling;
    const post = (more) => {
      posted = performance.now();
      postMessage({ text, tokens, seconds: (posted - start) / 1000, ...more });
      text = "";
    };
    const host = {
      write: (at, length) => (text += decoder.decode(new Uint8Array(exports.memory.buffer, at, length))),
      // Falls once for the prompt, and then for every token.
      pin: (high) => {
        if (high) return;
        if (tokens < 0) start = performance.now();
        tokens += 1;
        if (performance.now() - posted > patience) post();
      },
      nanoseconds: () => BigInt(Math.round(performance.now() * 1e6)),
      sampling: (temperature, topP) => (sampling = { temperature, topP }),
      exit: () => {},
    };
    let exports;
    const put = (bytes) => {
      const at = exports.reserve(bytes.length);
      if (at === 0) throw new Error("this browser has not enough memory for it");
      new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
      return [at, bytes.length];
    };
    try {
      ({ exports } = new WebAssembly.Instance(module, { host }));
      const model = put(file);
      const failed = request
        ? exports.generate(...model, ...put(new TextEncoder().encode(request.prompt)),
            request.temperature, request.topP, BigInt(request.seed), request.tokens)
        : exports.open(...model);
      if (failed) throw new Error(text);
      post({ ended: true, sampling });
    } catch (error) {
      postMessage({ ended: true, error: error.message });
    }
  };
}
