// A console with more incidents than anybody reads: the newest page at once, the others one after the other.

import { check, run } from "./browser.mjs";

const [, , own, newest, within_ms] = process.argv;
const PAGE = 100;

await run(async (opener) => {
  const begun = performance.now();
  const page = await opener.open(own, { own });
  const items = page.locator("nav a.item");
  await items.nth(PAGE - 1).waitFor();
  const took = performance.now() - begun;
  console.log(`the newest ${PAGE} of 10,000 incidents after ${Math.round(took)} ms`);
  check(took < Number(within_ms), `the list was there after ${took} ms, not ${within_ms}`);
  check((await items.first().getAttribute("href")) === `#${newest}`, "the newest comes first");
  for (const pages of [2, 3]) {
    await page.locator("button.more").click();
    await items.nth(pages * PAGE - 1).waitFor();
    check((await items.count()) === pages * PAGE, "one page more");
  }
  const ids = await items.evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  check(new Set(ids).size === ids.length, "no incident stands there twice");
  await page.locator("select[name=level]").selectOption("critical");
  await page.locator("nav .said", { hasText: "newest first" }).waitFor();
});
