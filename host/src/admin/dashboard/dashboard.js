// How a gateway is, told again each second, and what an operator can do about its versions. What is shown over time is what this page has
// seen since it was opened.

const SAMPLES = 300; // seconds that the areas reach back
const RECENT = 60; // and those that exchanges are told of by
const EVENTS = 200; // that are shown

const $ = (selector) => document.querySelector(selector);

// --- asking ------------------------------------------------------------------------------------------------------------------------

async function ask(path, body) {
  const headers = { Accept: "application/json" };
  const word = sessionStorage.getItem("word");
  if (word) headers.Authorization = `Bearer ${word}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  if (response.status === 401) {
    sessionStorage.removeItem("word");
    $("#token").hidden = false;
    $("main").hidden = true;
    throw new Unshown(word ? "That is not the word." : "");
  }
  if (!response.ok) throw new Error((await response.json().catch(() => ({ detail: response.statusText }))).detail);
  return response;
}

class Unshown extends Error {}

function tell(trouble) {
  $("#trouble").hidden = !trouble;
  if ($("#trouble").textContent !== trouble) $("#trouble").textContent = trouble;
}

// --- making ------------------------------------------------------------------------------------------------------------------------

function make(name, given = {}, ...children) {
  const svg = ["svg", "path", "line", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

// Replaces what is shown where it has changed, so that nothing is read out again and no focus is lost for what is as it was.
function show(place, rows, none) {
  const text = JSON.stringify(rows.map((row) => row.outerHTML));
  if (place.shown === text) return;
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.shown = text;
  place.replaceChildren(...(rows.length ? rows : [none]));
  if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

const count = (number) => number.toLocaleString("en");
const bytes = (number) => {
  if (number === null || number === undefined) return "–";
  const at = Math.min(4, Math.floor(Math.log2(Math.max(1, number)) / 10));
  return `${(number / 1024 ** at).toFixed(at ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
};
// The end of a span, which is no more exact than two digits and a half.
const micros = (us) => {
  if (us === undefined) return "–";
  if (us === Infinity) return "> 10,000 s";
  const [of, unit] = us < 1000 ? [us, "µs"] : us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return `${of.toLocaleString("en", { maximumFractionDigits: 2 })} ${unit}`;
};
const when = (nanos) => new Date(nanos / 1e6);
const cell = (of, value) => make("td", { class: "number", "data-of": of }, value);
const empty = (columns, text) => make("tr", {}, make("td", { colspan: columns, class: "empty" }, text));

// A colour that a version keeps: neighbours differ in hue, and areas are also told apart by their order and their names.
const hues = new Map();
function colour(version) {
  if (!hues.has(version)) hues.set(version, (hues.size * 137.5 + 210) % 360);
  return `hsl(${hues.get(version)} 60% 55%)`;
}

// --- traffic -----------------------------------------------------------------------------------------------------------------------

const samples = []; // { at, versions: Map(version → { component, sessions, taken, exchanges }) }
let counted = ""; // By which process: another one counts anew.

function remember(status) {
  const by = `${status.pid} ${status.since}`;
  if (counted !== by) samples.length = 0;
  counted = by;
  const versions = new Map(status.versions.map((one) => [one.version, one]));
  samples.push({ at: Date.now(), versions });
  if (samples.length > SAMPLES + 1) samples.shift();
}

// For each sample and version, the value that its area has.
function values(component, what) {
  const names = [];
  for (const { versions } of samples) {
    for (const one of versions.values()) {
      if (one.component === component && (one.taken || one.sessions || one.exchanges) && !names.includes(one.version)) names.push(one.version);
    }
  }
  const rows = samples.map((sample, index) =>
    names.map((name) => {
      const now = sample.versions.get(name);
      if (what === "sessions") return now?.sessions ?? 0;
      const before = samples[index - 1];
      const then = before?.versions.get(name);
      const number = (one) => (what === "exchanges" ? one?.exchanges?.ended : one?.taken) ?? 0;
      return now && before ? Math.max(0, ((number(now) - number(then)) * 1000) / (sample.at - before.at)) : 0;
    }),
  );
  return { names: names.filter((_, at) => rows.some((row) => row[at] > 0)), rows: rows.map((row) => row.filter((_, at) => rows.some((other) => other[at] > 0))) };
}

function chart(component, what) {
  const { names, rows } = values(component, what);
  const sums = rows.map((row) => row.reduce((sum, value) => sum + value, 0));
  const top = Math.max(1, ...sums);
  const [width, height] = [600, 140];
  const x = (index) => width - ((rows.length - 1 - index) * width) / SAMPLES;
  const y = (value) => height - (value / top) * (height - 14);
  const below = rows.map(() => 0);
  const areas = names.map((name, at) => {
    const lower = below.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).reverse();
    rows.forEach((row, index) => (below[index] += row[at]));
    const upper = below.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
    return make("path", { d: `M${upper.join("L")}L${lower.join("L")}Z`, fill: colour(name) }, make("title", {}, name));
  });
  const last = rows.at(-1) ?? [];
  const unit = what === "sessions" ? "sessions" : "a second";
  const said = names.map((name, at) => `${name}: ${count(Math.round(last[at]))} ${unit}`);
  const legend = names.map((name, at) => {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour(name);
    return make("li", {}, swatch, make("span", { class: "version" }, name), ` ${count(Math.round(last[at]))}`);
  });
  const label = `${component}, the last ${Math.round(SAMPLES / 60)} minutes: ${said.join("; ") || "nothing"}`;
  const svg = make(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    ...areas,
    make("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
  );
  const most = make("span", { class: "empty" }, ` – at most ${count(Math.round(top))} ${unit}`);
  const axis = make("p", { "aria-hidden": "true" }, make("span", {}, `${Math.round(SAMPLES / 60)} minutes ago`), make("span", {}, "now"));
  return make("figure", { "data-component": component }, make("h3", {}, component, most), svg, axis, make("ul", {}, ...legend));
}

function charts(status) {
  const what = $("input[name=what]:checked").value;
  const components = [...new Set(status.versions.map((one) => one.component))].sort();
  $("#charts").replaceChildren(...components.map((component) => chart(component, what)));
}

// Of the exchanges that a version has ended of late: how many failed, and how long one in two, nine in ten and 99 in a hundred took at most.
function recent(version) {
  const now = samples.at(-1)?.versions.get(version)?.exchanges;
  const before = samples.find((one) => one.at >= samples.at(-1).at - RECENT * 1000 - 500);
  const then = before?.versions.get(version)?.exchanges;
  if (!now) return undefined;
  const known = new Map(then?.spans.map((span) => [span.up_to_us, span.count]));
  const spans = now.spans.map((span) => ({ up_to: span.up_to_us ?? Infinity, count: span.count - (known.get(span.up_to_us) ?? 0) }));
  const all = spans.reduce((sum, span) => sum + span.count, 0);
  const within = (share) => {
    let sum = 0;
    return all ? spans.find((span) => (sum += span.count) >= all * share).up_to : undefined;
  };
  return { all, failed: now.failed - (then?.failed ?? 0), times: [0.5, 0.9, 0.99].map(within) };
}

// --- versions ----------------------------------------------------------------------------------------------------------------------

function acts(status, version) {
  const { component, stage, version: name } = version;
  const number = `${version.number}#${version.digest}`;
  const button = (text, asked, detail, path, body) =>
    make("button", { type: "button", "data-key": `${text} ${name}`, "aria-label": `${text} ${name}`, onclick: () => confirm(asked, detail, path, body) }, text);
  const promote = (detail) => button("Promote", `Have ${name} serve?`, detail, "v1/promote", { component, version: stage === "canary" ? undefined : number });
  const canary = status.versions.some((one) => one.component === component && one.stage === "canary");
  switch (stage) {
    case "active":
      if (canary) return [];
      return [button("Roll back", `Go back from ${name}?`, "The version that served before serves again, with all sessions that can be carried, and is held.", "v1/rollback", { component })];
    case "canary":
      return [
        promote("It takes all new sessions, and those that can be carried."),
        button("Withdraw", `Withdraw ${name}?`, "It takes no new sessions; what serves beside it is held until the files change.", "v1/rollback", { component }),
      ];
    case "draining":
      return [
        promote("It serves again, and is held until the files change."),
        button("Drain", `Have all sessions leave ${name}?`, "Those that can move do; the others are told goodbye, and are ended when their time is up.", "v1/drain", { component, version: number }),
      ];
    case "staged":
    case "withdrawn":
    case "quarantined":
      return [promote(stage === "quarantined" ? "It has failed at work, and will be tried again." : "It serves, and is held until the files change.")];
    default:
      return [];
  }
}

function versions(status) {
  const rows = status.versions.map((one) => {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour(one.version);
    const exchanges = recent(one.version);
    const failed = exchanges?.all ? `${count(exchanges.failed)} of ${count(exchanges.all)}` : "–";
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, swatch, make("span", { class: "version" }, one.version)),
      make("td", { "data-of": "stage" }, make("span", { class: `stage ${one.stage}` }, one.stage), one.reason && make("span", { class: "why" }, one.reason)),
      cell("sessions", count(one.sessions)),
      cell("taken", count(one.taken)),
      cell("failed", count(one.failures)),
      cell("overrun", count(one.overruns)),
      cell("exchanges failed", failed),
      ...["1 in 2", "9 in 10", "99 in 100"].map((of, at) => cell(of, micros(exchanges?.times[at]))),
      cell("memory", bytes(one.memory)),
      make("td", {}, make("div", { class: "acts" }, ...acts(status, one))),
    );
  });
  show($("#versions tbody"), rows, empty(12, "There is none."));
}

// --- the rest ----------------------------------------------------------------------------------------------------------------------

function services(status) {
  const rows = status.services.map((one) => {
    const kept = one.connect.map((it) => `${it.address} ${it.stage}${it.reason && it.stage !== "up" ? `: ${it.reason}` : ""}`);
    const served = one.version ? make("span", { class: "version" }, one.version) : make("span", { class: "stage refused" }, "nothing");
    const where = [...one.listen, ...kept].flatMap((line) => [line, make("br")]);
    return make("tr", {}, make("th", { scope: "row" }, one.name), make("td", { "data-of": "served by" }, served), make("td", { "data-of": "where" }, ...where));
  });
  show($("#services tbody"), rows, empty(3, "There is none."));
}

function refusals(status) {
  const lines = status.refused.map((one) => `${one.file}: ${one.reason}`);
  if (status.reload_error) lines.unshift(`The last reload changed nothing: ${status.reload_error}`);
  const refusing = ["refused", "quarantined"];
  for (const one of status.versions) if (refusing.includes(one.stage)) lines.push(`${one.version} is ${one.stage}: ${one.reason}`);
  show($("#refusals ul"), [...new Set(lines)].map((line) => make("li", {}, line)), make("li", { class: "empty" }, "Nothing was refused."));
}

function agreements(status) {
  const rows = status.agreements.map((one) => {
    const parts = one.quotas.map((quota) => [quota.period, quota.used, quota.of]);
    if (one.rate) parts.unshift(["rate", one.rate.burst - one.rate.left, one.rate.burst]);
    for (const of of ["concurrent", "sessions"]) if (one[of][1] !== null) parts.push([of, ...one[of]]);
    const full = parts.flatMap(([of, used, limit]) => {
      const text = `${of} ${count(used)} of ${count(limit)}`;
      return [make("meter", { min: 0, max: limit, high: limit * 0.8, optimum: 0, value: used, "aria-label": text }), ` ${text}`, make("br")];
    });
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, one.agreement),
      make("td", { "data-of": "account" }, one.account || "–"),
      make("td", { "data-of": "service" }, one.service || "–"),
      make("td", { "data-of": "how full" }, ...full),
      cell("refused", count(one.refused)),
    );
  });
  show($("#agreements tbody"), rows, empty(5, "There is none, or nothing was used of any."));
}

async function ledger() {
  const ledgers = await (await ask("v1/ledger")).json();
  const rows = [];
  let columns = [];
  for (const { balances } of ledgers) {
    for (const { version, whole, parts } of balances) {
      for (const [of, sums] of [["in whole", whole], ["in parts", parts]]) {
        columns = Object.keys(sums);
        const named = make("th", { scope: "row" }, make("span", { class: "version" }, version), " ", make("span", {}, of));
        rows.push(make("tr", {}, named, ...Object.entries(sums).map(([key, value]) => cell(key, count(value)))));
      }
    }
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "Accepted by"), ...columns.map((key) => make("th", { scope: "col", class: "number" }, key.replaceAll("_", " "))));
  show($("#ledger thead"), rows.length ? [head] : [], make("tr"));
  show($("#ledger tbody"), rows, empty(1, "No component keeps one."));
}

// --- events ------------------------------------------------------------------------------------------------------------------------

// By hand, since an EventSource shows no word.
async function listen() {
  const list = $("#events ol");
  let last = 0;
  for (;;) {
    try {
      const reader = (await ask("v1/notices")).body.pipeThrough(new TextDecoderStream()).getReader();
      let unread = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        unread += value;
        const events = unread.split("\n\n");
        unread = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data:"));
          if (!data) continue;
          const said = JSON.parse(data.slice(5));
          if (said.number <= last) continue;
          last = said.number;
          const at = when(said.at);
          const time = make("time", { datetime: at.toISOString() }, at.toLocaleTimeString());
          list.prepend(make("li", {}, time, make("b", {}, said.notice), said.reason));
          while (list.childElementCount > EVENTS) list.lastElementChild.remove();
        }
      }
      last = 0; // Another process counts anew.
    } catch (error) {
      if (error instanceof Unshown) return;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

// --- doing -------------------------------------------------------------------------------------------------------------------------

function confirm(asked, detail, path, body) {
  const dialog = $("dialog");
  $("#asked").textContent = asked;
  dialog.querySelector(".detail").textContent = detail;
  dialog.returnValue = "no";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    try {
      const answer = await (await ask(path, body)).json();
      tell((answer.findings ?? []).join("; "));
    } catch (error) {
      tell(error.message);
    }
    look();
  };
  dialog.showModal();
}

// --- each second -------------------------------------------------------------------------------------------------------------------

let looks = 0;

async function look() {
  const status = await (await ask("v1/status")).json();
  $("main").hidden = false;
  $("#token").hidden = true;
  remember(status);
  const serving = status.services.filter((one) => one.version).length;
  const summary = `process ${status.pid}, since ${when(status.since).toLocaleString()}; ${serving} of ${status.services.length} services are served; publication ${status.publication}`;
  if ($("#summary").textContent !== summary) $("#summary").textContent = summary;
  charts(status);
  versions(status);
  services(status);
  refusals(status);
  agreements(status);
  if (looks++ % 5 === 0) await ledger();
}

let running = false;

async function run() {
  if (running) return;
  running = true;
  listen();
  let lost = false;
  for (;;) {
    try {
      await look();
      if (lost) tell("");
      lost = false;
    } catch (error) {
      if (error instanceof Unshown) {
        tell(error.message);
        break;
      }
      lost = true;
      tell(`The gateway does not answer: ${error.message}`);
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
  running = false;
}

$("#token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("word", $("#word").value);
  $("#word").value = "";
  tell("");
  run();
});
$("#reload").addEventListener("click", () =>
  confirm("Reload?", "What lies in the components directory and in the configuration is looked at, as SIGHUP does.", "v1/reload", {}),
);
for (const radio of document.querySelectorAll("input[name=what]")) radio.addEventListener("change", () => look().catch(() => {}));
run();
