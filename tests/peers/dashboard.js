// An operator at the dashboard, in headless Chromium: dashboard.js URL WORD DIRECTORY. It says a line for each thing that it has seen, and
// does what it is told by a line on its standard input. Pictures go to the directory. It ends with 1 where something is not as it should be.
"use strict";
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const readline = require("node:readline");

const [url, word, directory] = process.argv.slice(2);
const wrong = [];
const STAGES = "found examined staged canary active draining retired refused withdrawn quarantined lingering".split(" ");

// In the page: whether everything can be read, also a version in each of the stages.
async function inEachStage(stages) {
  const row = document.querySelector("#versions tbody tr");
  const rows = stages.map((stage) => {
    const another = row.cloneNode(true);
    Object.assign(another.querySelector(".stage"), { className: `stage ${stage}`, textContent: stage });
    return another;
  });
  row.parentElement.append(...rows);
  const found = await axe.run(document, { runOnly: ["color-contrast"] });
  rows.forEach((row) => row.remove());
  return found;
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => wrong.push(`a script has failed: ${error}`));
  page.on("console", (message) => {
    // A request that is refused for want of the word is one of the things that are tried.
    if (message.type() === "error" && !message.text().includes("401")) wrong.push(`the console says: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(`it asks elsewhere: ${request.url()}`);
  });

  const row = (version) => page.locator("#versions tbody tr", { hasText: version });
  const verbs = {
    // Shows a word that is none, and then the right one, by keys alone.
    async enter() {
      await page.goto(url);
      await page.getByLabel("The word in the file").fill("0000000000000000");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").filter({ hasText: "That is not the word." }).waitFor();
      await page.getByLabel("The word in the file").fill(word);
      await page.keyboard.press("Enter");
      await page.locator("main").waitFor({ state: "visible" });
    },
    // Waits until a version is in a stage.
    async stage(version, stage) {
      await row(version).locator(".stage", { hasText: stage }).waitFor();
    },
    // Presses a button by keys alone, and says yes.
    async press(what, version) {
      const button = row(version).getByRole("button", { name: new RegExp(`^${what}`) });
      await button.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
    },
    async reload() {
      await page.getByRole("button", { name: "Reload" }).click();
      await page.getByRole("button", { name: "Do it" }).click();
    },
    // … and thinks better of it, by Escape.
    async forsake(what, version) {
      await row(version).getByRole("button", { name: new RegExp(`^${what}`) }).click();
      await page.getByRole("dialog").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    },
    // Waits until the areas of a component show so many versions.
    async areas(component, count) {
      await page.waitForFunction(
        ([component, count]) => document.querySelectorAll(`figure[data-component="${component}"] path`).length >= Number(count),
        [component, count],
      );
    },
    // Waits until a version has this in the cell that is named so.
    async cell(version, ...words) {
      const [of, value] = words.join(" ").split(" = ");
      await row(version).locator(`td[data-of="${of}"]`, { hasText: new RegExp(`^${value}$`) }).waitFor();
    },
    // … and the ledger, in whole or in parts.
    async balance(...words) {
      const [, of, sum, value] = words.join(" ").match(/^(in \w+) (\w+) = (.*)$/);
      const line = page.locator("#ledger tbody tr", { has: page.getByText(of, { exact: true }) });
      await line.locator(`td[data-of="${sum}"]`, { hasText: new RegExp(`^${value}$`) }).waitFor();
    },
    async choose(what) {
      await page.locator(`input[name=what][value=${what}]`).check();
    },
    async event(notice) {
      await page.locator("#events li b", { hasText: notice }).first().waitFor();
    },
    async text(selector, ...words) {
      await page.locator(selector, { hasText: words.join(" ") }).first().waitFor();
    },
    // Who cannot see or has a narrow screen.
    async everybody() {
      const rules = await page.evaluate(`${axe.source}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] })`);
      for (const { id, nodes } of rules.violations) wrong.push(`accessibility, ${id}: ${nodes.map((node) => node.html).join(" ").slice(0, 500)}`);
      for (const [name, width, colorScheme] of [["light", 1280, "light"], ["dark", 1280, "dark"], ["phone", 375, "light"]]) {
        await page.emulateMedia({ colorScheme });
        // Text whose colour changes bit by bit cannot be read on the way from one scheme to the other.
        const changing = await page.evaluate("document.getAnimations().map((one) => one.effect.target.outerHTML)");
        if (changing.length) wrong.push(`${name}: it is not in its colours at once: ${changing.join(" ").slice(0, 500)}`);
        await page.setViewportSize({ width, height: 900 });
        await page.screenshot({ path: `${directory}/${name}.png`, fullPage: true });
        const over = await page.evaluate("document.scrollingElement.scrollWidth - innerWidth");
        if (over > 0) wrong.push(`${name}: it is ${over} pixels too wide`);
        const rules = await page.evaluate(inEachStage, STAGES);
        for (const { id, nodes } of rules.violations) wrong.push(`${name}, ${id}: ${nodes.map((node) => node.html).join(" ").slice(0, 500)}`);
      }
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 1280, height: 900 });
    },
  };

  console.log("there");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [verb, ...words] = line.split(" ");
    await verbs[verb](...words);
    console.log(wrong.length ? `wrong: ${wrong.join("; ")}` : `done ${line}`);
    if (wrong.length) break;
  }
  await browser.close();
}

main().then(
  () => process.exit(wrong.length ? 1 : 0),
  (error) => {
    console.log(`wrong: ${String(error).replaceAll("\n", " ")}; ${wrong.join("; ")}`);
    process.exit(1);
  },
);
