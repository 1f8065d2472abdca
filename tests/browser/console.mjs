// The console of a running daemon: a theft appears by itself, and so does what is decided about it.

import { SCHEMES, WIDTHS, check, run, say } from "./browser.mjs";

const [, , own, secret] = process.argv;

await run(async (opener) => {
  const page = await opener.open(own, { own });
  if (secret) {
    await page.locator("dialog input").fill(secret);
    await page.locator("dialog button.primary").click();
  }
  await page.locator("#state .live").waitFor();
  await page.locator("main h2", { hasText: "No open incident" }).waitFor();
  let loads = 0;
  page.on("framenavigated", () => (loads += 1));

  const rules = await page.locator("#tabs a", { hasText: "Rules" }).elementHandle();
  say("open");
  await page.locator("nav a.item").first().waitFor();
  say("appeared");
  await page.locator("nav a.item").first().click();
  await page.locator("main .steps > li").nth(3).waitFor();
  check((await page.locator("main .map .spot").count()) >= 2, "both sides are on the map");
  check((await page.locator("main .lanes > li").count()) >= 2, "both sides have a lane");

  await page.locator("main .decisions", { hasText: "tokentrip incidents approve i-" }).waitFor();
  say("shown");
  await page.locator("main .state.contained").waitFor();
  say("contained");
  await page.locator("main .state.acknowledged").waitFor();
  say("undone");
  check(await rules.evaluate((tab) => tab.isConnected), "a tab that somebody is about to click stays while all else changes");

  for (const [tab, words] of [["Sources", "access.log"], ["Rules", "Impossible travel"], ["Denylist", "Nothing is denied"], ["Outbox", "delivered"]]) {
    await page.locator("#tabs a", { hasText: tab }).click();
    await page.locator("main h2", { hasText: tab }).waitFor();
    await page.locator("main", { hasText: words }).waitFor();
  }
  check(loads <= 12, "the page was never loaded again: only what follows # changed");

  for (const width of WIDTHS) for (const scheme of SCHEMES) {
    const looked = await opener.open(own, { own, width, scheme, bypassCSP: true });
    if (secret) {
      await looked.locator("dialog input").fill(secret);
      await looked.locator("dialog button.primary").click();
    }
    await looked.locator("#state .live").waitFor();
    await looked.locator("main .tiles").first().waitFor();
    await opener.look(looked, `the console at ${width} px, ${scheme}`);
    await looked.locator("nav a.item").first().click();
    await looked.locator("main .steps").waitFor();
    await opener.look(looked, `an incident at ${width} px, ${scheme}`);
    await looked.locator("#tabs a", { hasText: "Rules" }).click();
    await looked.locator("main h2", { hasText: "Rules" }).waitFor();
    await opener.look(looked, `the rules at ${width} px, ${scheme}`);
    await looked.context().close();
  }
});
