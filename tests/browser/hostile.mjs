// A page that shows hostile text: all of it is there as text, and none of it does anything.

import { check, run } from "./browser.mjs";

const [, , url, own] = process.argv;

await run(async (opener) => {
  const page = await opener.open(url, { own });
  await page.locator("nav a.item").first().waitFor();
  const links = await page.locator("nav a.item").count();
  for (let i = 0; i < links; i++) {
    await page.locator("nav a.item").nth(i).click();
    await page.locator("main .steps").waitFor();
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    const injected = await page.evaluate(() => document.querySelectorAll("main :is(img, script, iframe, object, style, svg foreignObject, [onerror], [onclick], a[href^='javascript'])").length);
    check(injected === 0, `${injected} elements of the log's own`);
    const text = await page.locator("main").innerText();
    check(text.includes("<img src=x onerror=stolen()>"), `the text is shown as it is: ${text.slice(0, 400)}`);
  }
  await page.locator("nav a.item").first().hover();
  await page.waitForTimeout(300);
});
