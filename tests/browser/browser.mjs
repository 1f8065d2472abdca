// A browser whose every complaint fails the test: console errors, dialogs, requests to elsewhere, violations of the
// page's policy, serious findings of axe.
//
// In: TOKENTRIP_BROWSER, a folder with playwright-core and axe-core (tests/all installs them). Out: exit code 0, or what
// was wrong on stderr.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.TOKENTRIP_BROWSER}/node_modules/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const WIDTHS = [360, 820, 1600];
export const SCHEMES = ["light", "dark"];

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** Runs a test with a browser and ends the process. */
export async function run(test) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", headless: true, args: FLAGS });
  const complaints = [];
  try {
    await test(new Opener(browser, complaints));
    check(complaints.length === 0, complaints.join("\n"));
  } catch (error) {
    console.error([error.stack ?? error, ...complaints].join("\n"));
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
  process.exit();
}

class Opener {
  constructor(browser, complaints) {
    Object.assign(this, { browser, complaints });
  }

  /** Opens an address; the page may ask for nothing outside `own`. */
  async open(url, { own, width = 1280, scheme = "light", bypassCSP = false } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, bypassCSP });
    const page = await context.newPage();
    const complain = (what) => this.complaints.push(`${url} (${width} px, ${scheme}): ${what}`);
    // A secret that is wanted or an incident that is gone is an answer; the browser calls it an error.
    page.on("console", (message) => message.type() === "error" && !/status of 401/.test(message.text()) && complain(`console: ${message.text()}`));
    page.on("pageerror", (error) => complain(`error: ${error.stack}`));
    page.on("dialog", (dialog) => {
      complain(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("request", (request) => request.url().startsWith(own) || complain(`a request to ${request.url()}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
      // What injected markup would call.
      globalThis.stolen = () => console.error("a script of the log ran");
    });
    await page.goto(url);
    return page;
  }

  /** Serious findings of axe, and whether the page is wider than its window. */
  async look(page, what) {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${what}: ${wide} px wider than the window`);
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const serious = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
    const said = serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
    check(said.length === 0, `${what}: ${said.join("\n")}`);
  }
}

// The test that started this one waits for words and says when to go on.

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export function say(word) {
  console.log(word);
}

export async function heard() {
  return (await lines.next()).value;
}
