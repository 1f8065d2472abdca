// A report, as somebody opens it from the disk.

import { pathToFileURL } from "node:url";
import { SCHEMES, WIDTHS, check, run } from "./browser.mjs";

const [, , file, incidents, within_ms] = process.argv;
const own = pathToFileURL(file).href;

await run(async (opener) => {
  const page = await opener.open(own, { own });
  const opened_ms = await page.evaluate(() => performance.timing.domComplete - performance.timing.navigationStart);
  console.log(`opened in ${opened_ms} ms`);
  check(!within_ms || opened_ms < Number(within_ms), `opened in ${opened_ms} ms, and not in ${within_ms}`);
  check((await page.locator("nav .said").textContent()).startsWith(Number(incidents).toLocaleString("en")), await page.locator("nav .said").textContent());

  // By keys alone: to the first, to the next, and back.
  // What is chosen stands in the address, and the page follows that a moment later.
  await page.keyboard.press("j");
  await page.locator("nav a[aria-current]").first().waitFor();
  check((await page.locator("nav a[aria-current]").count()) === 1, "one is chosen");
  check((await page.locator("main .steps > li").count()) === 4, "the four steps");
  check((await page.locator("main .findings .finding").count()) > 0, "its findings");
  if (Number(incidents) > 1) {
    await page.keyboard.press("j");
    await page.locator("nav a.item").nth(1).and(page.locator("[aria-current=true]")).waitFor();
    check((await page.evaluate(() => document.activeElement.tagName)) === "H2", "the focus is on what was chosen");
  }
  await page.keyboard.press("Escape");
  await page.locator("main .map.world").waitFor();

  // A search narrows, from wherever.
  await page.keyboard.press("/");
  await page.keyboard.type("no such incident");
  check((await page.locator("nav a.item").count()) === 0, "nothing is found");
  await page.locator("nav input").fill("");
  const typed_ms = await page.evaluate(async () => {
    const begun = performance.now();
    document.querySelector("nav input").dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
    return performance.now() - begun;
  });
  check(typed_ms < 500, `a search takes ${typed_ms} ms`);

  // On paper everything is unfolded, and the screen is as before.
  const pdf = await page.pdf();
  check(pdf.length > 10_000, "a printed report");
  check((await page.locator("main .sheet-of-paper").count()) === 0, "paper is put away");

  for (const width of WIDTHS) for (const scheme of SCHEMES) {
    const looked = await opener.open(own, { own, width, scheme, bypassCSP: true });
    await opener.look(looked, `the overview at ${width} px, ${scheme}`);
    if (width < 900) await looked.locator("nav a.item").first().click();
    else await looked.keyboard.press("j");
    await looked.locator("main .steps").waitFor();
    await opener.look(looked, `an incident at ${width} px, ${scheme}`);
    await looked.context().close();
  }
});
