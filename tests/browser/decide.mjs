// A named approver decides in the console of a running daemon: approve, undo, close as a false positive.

import { check, run, say } from "./browser.mjs";

const [, , own, secret] = process.argv;

await run(async (opener) => {
  const page = await opener.open(own, { own });
  await page.locator("#state .live").waitFor();
  say("open");
  await page.locator("nav a.item").first().click();
  const decision = (name) => page.locator("main .decisions button", { hasText: name });
  await page.locator("main .decisions button.primary", { hasText: "Approve" }).waitFor();
  check(await decision("Resolve").isEnabled(), "what is open can be closed");

  await decision("Approve").click();
  await page.locator("dialog li").first().waitFor();
  await page.locator("dialog button.primary").click();
  const who = page.locator("dialog", { hasText: "Who are you?" });
  await who.locator("input").fill("somebody else's");
  await who.locator("button.primary").click();
  await page.waitForFunction(() => document.querySelector("dialog input")?.value === "");
  await who.locator("input").fill(secret);
  await who.locator("button.primary").click();
  await page.locator("main .state.contained").waitFor();
  // The daemon may tell what it did before its answer is there.
  await page.locator("dialog").waitFor({ state: "detached" });
  say("contained");

  await decision("Undo").click();
  await page.locator("dialog button.primary").click();
  await page.locator("main .state.acknowledged").waitFor();
  say("undone");

  await decision("False positive").click();
  await page.locator("dialog", { hasText: "[rules.override." }).locator("button.primary").click();
  await page.locator("main .state.false_positive").waitFor();
  check(await decision("Resolve").isDisabled(), "what is closed stays closed");
  say("closed");
});
