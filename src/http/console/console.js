// The console: the same views as the report, live. It keeps nothing: a secret that somebody types is forgotten with the page.

const main = document.querySelector("main");
const side = document.querySelector("nav.side");
const state = document.getElementById("state");
const tabs = document.getElementById("tabs");

const secrets = { viewer: null, approver: null };
let incidents = [];
let next = null;
let current = null;
let status = null;
let live = "connecting";
const filter = { level: "", state: "", since: "", subject: "" };

const TABS = [["", "Incidents"], ["/sources", "Sources"], ["/rules", "Rules"], ["/denylist", "Denylist"], ["/outbox", "Outbox"]];
const where = () => decodeURIComponent(location.hash.slice(1));
const isIncident = (name) => /^i-[0-9a-f]+$/.test(name);

/** Asks an endpoint. Where it wants a secret, so does a dialog, until it is the right one or nobody gives any. */
async function ask(path, { method = "GET", body } = {}) {
  for (;;) {
    const who = method === "GET" ? "viewer" : "approver";
    const headers = { accept: "application/json" };
    if (secrets[who]) headers.authorization = `Bearer ${secrets[who]}`;
    if (body) headers["content-type"] = "application/json";
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store" });
    if (answer.status === 401 && (await askForSecret(who))) continue;
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error([said.error ?? `the daemon answered ${answer.status}`, said.hint].filter(Boolean).join(": "));
    return said;
  }
}

const asking = {};

function askForSecret(who) {
  asking[who] ??= new Promise((done) => {
    const input = h("input", { type: "password", autocomplete: "off", required: true, id: `secret-${who}` });
    const whose = who === "viewer" ? "viewers, as `viewer_secret` of [server] names it" : "an approver, as one of [[approver]] names it";
    dialog("Who are you?", [h("p", {}, h("label", { for: input.id }, "The secret of ", prose(whose))), input], [["Go on", () => {
      secrets[who] = input.value;
      return Boolean(input.value);
    }]], (went) => {
      delete asking[who];
      done(went);
    });
  });
  return asking[who];
}

/** A question with its answers. An answer closes it unless it gives false or fails, which is said. */
function dialog(title, body, answers, ended = () => {}) {
  const problem = h("p", { class: "hot", role: "alert" });
  const buttons = answers.map(([name, act], i) => h("button", { type: i ? "button" : "submit", class: i ? "" : "primary", on: { click: async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      if ((await act()) !== false) box.close("went");
    } catch (error) {
      problem.textContent = error.message;
    }
  } } }, name));
  const box = h("dialog", { "aria-labelledby": "asked" }, h("form", { method: "dialog" }, h("h2", { id: "asked" }, title), body, problem,
    h("p", { class: "answers" }, buttons, h("button", { type: "button", on: { click: () => box.close() } }, "Cancel"))));
  box.addEventListener("close", () => {
    ended(box.returnValue === "went");
    box.remove();
  });
  document.body.append(box);
  box.showModal();
}

// What comes by itself.

/** Reads server-sent events for as long as there are any; then again, a little later each time. */
async function listen() {
  for (let wait_ms = 500; ; wait_ms = Math.min(2 * wait_ms, 15_000)) {
    try {
      const headers = secrets.viewer ? { authorization: `Bearer ${secrets.viewer}` } : {};
      const answer = await fetch("/v1/events", { headers, credentials: "omit", cache: "no-store" });
      if (answer.status === 401) await askForSecret("viewer");
      else if (answer.ok) {
        wait_ms = 500;
        await hear(answer.body);
      }
    } catch {
      // The daemon is gone; it will be back.
    }
    tell("not connected");
    await new Promise((done) => setTimeout(done, wait_ms));
  }
}

async function hear(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const messages = rest.split("\n\n");
    rest = messages.pop();
    for (const message of messages) {
      const field = (name) => message.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
      happened(field("event"), field("data"));
    }
  }
}

function happened(event, text) {
  if (event === "ready") {
    tell("live");
    load();
  } else if (event === "incident") {
    const incident = JSON.parse(text);
    const at = incidents.findIndex((known) => known.id === incident.id);
    if (at >= 0) incidents[at] = incident;
    else if (matches(incident)) {
      incidents.push(incident);
      incidents.sort((a, b) => (a.opened < b.opened ? 1 : -1));
    }
    showList();
    if (current === incident.id) showIncident(incident.id, { again: true });
  } else if (event === "changed") refresh();
}

const matches = (incident) =>
  (!filter.level || LEVELS.indexOf(incident.level) <= LEVELS.indexOf(filter.level)) && (!filter.state || incident.state === filter.state) &&
  (!filter.subject || incident.subject === filter.subject) && (!filter.since || ms(incident.updated) >= since());

let refreshing = null;

/** What is shown, again: once for many changes. */
function refresh() {
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    await loadStatus();
    if (where().startsWith("/")) show({ focus: false });
    else if (current) showIncident(current, { again: true });
    else show({ focus: false });
  }, 200);
}

function tell(text = live) {
  live = text;
  const mode = status && (status.paused ? "actions paused" : `mode ${status.mode}`);
  const trouble = status && Object.values(status.parts).filter((said) => said !== "ready").length;
  replace(state, h("span", { class: live === "live" ? "live" : "hot" }, live), mode && h("span", {}, mode), trouble ? h("a", { href: "#/sources", class: "hot" }, plural(trouble, "problem")) : null);
}

async function loadStatus() {
  try {
    status = await ask("/v1/status");
  } catch {
    status = null;
  }
  const open = status ? (status.open.critical ?? 0) + (status.open.high ?? 0) : 0;
  document.title = `${open ? `(${count(open)}) ` : ""}Tokentrip`;
  tell();
  showTabs();
}

// The list.

const since = () => Date.now() - Number(filter.since) * 3_600_000;
const list = h("ol", { class: "list", "aria-label": "Incidents" });
const said = h("p", { class: "muted said", role: "status" });
const more = h("button", { type: "button", class: "more quiet", on: { click: () => load(next) } }, "Show older ones");
const subject = h("input", { type: "search", placeholder: "Subject", "aria-label": "Of exactly this subject", on: { change: () => narrow({ subject: subject.value.trim() }) } });

function narrow(change) {
  Object.assign(filter, change);
  load();
}

async function load(cursor = null) {
  const query = new URLSearchParams();
  for (const name of ["level", "state", "subject"]) if (filter[name]) query.set(name, filter[name]);
  if (filter.since) query.set("since", new Date(since()).toISOString());
  if (cursor) query.set("cursor", cursor);
  try {
    const page = await ask(`/v1/incidents?${query}`);
    incidents = cursor ? [...incidents, ...page.incidents.filter((one) => !incidents.some((known) => known.id === one.id))] : page.incidents;
    next = page.next;
  } catch (error) {
    said.textContent = error.message;
    return;
  }
  showList();
  await loadStatus();
  if (!current) show({ focus: false });
}

function showList() {
  replace(list, incidents.map((incident) => listItem(incident, current)));
  said.textContent = `${plural(incidents.length, "incident")}${next ? " of more" : ""}, newest first`;
  more.hidden = !next;
}

function markCurrent(link, what) {
  if (what) link.setAttribute("aria-current", what);
  else link.removeAttribute("aria-current");
}

// Made once: a click on a link that is replaced before the button is let go is lost.
const tabLinks = TABS.map(([path]) => h("a", { href: `#${path}` }));

function showTabs() {
  const waits = status ? status.outbox.waiting + status.outbox.dead : 0;
  const here = where().startsWith("/") ? where() : "";
  TABS.forEach(([path, name], i) => {
    replace(tabLinks[i], name, path === "/outbox" && waits ? h("span", { class: "badge" }, count(waits)) : null);
    markCurrent(tabLinks[i], path === here && "page");
  });
}

// Pages.

async function show({ focus = true } = {}) {
  const name = where();
  if (name === "main") return main.querySelector("h2")?.focus();
  current = isIncident(name) ? name : null;
  document.body.classList.toggle("one", Boolean(current));
  document.body.classList.toggle("page", name.startsWith("/"));
  showTabs();
  for (const link of list.querySelectorAll("a.item")) {
    markCurrent(link, link.getAttribute("href") === `#${current}` && "true");
  }
  const page = { "/sources": sources, "/rules": rules, "/denylist": denylist, "/outbox": outbox }[name];
  try {
    if (current) await showIncident(current);
    else {
      const content = await (page ?? overview)();
      if (where() === name) replaceKept(content);
    }
  } catch (error) {
    replace(main, h("h2", { tabindex: "-1" }, "That did not work"), h("p", { class: "hot" }, error.message));
  }
  if (!focus) return;
  scrollTo(0, 0);
  main.querySelector("h2")?.focus({ preventScroll: true });
}

/** New content, with what was unfolded still unfolded, and the focus where it was. */
function replaceKept(content) {
  const open = [...main.querySelectorAll("details")].map((details) => details.open);
  const focused = main.contains(document.activeElement) ? [...main.querySelectorAll("*")].indexOf(document.activeElement) : -1;
  replace(main, content);
  [...main.querySelectorAll("details")].forEach((details, i) => (details.open = open[i] ?? false));
  if (focused >= 0) [...main.querySelectorAll("*")][focused]?.focus?.({ preventScroll: true });
}

let shown = "";

async function showIncident(id, { again = false } = {}) {
  const [incident, { findings }] = await Promise.all([ask(`/v1/incidents/${id}`), ask(`/v1/incidents/${id}/findings`)]);
  if (current !== id) return;
  const json = JSON.stringify([incident, findings]);
  if (again && json === shown) return;
  shown = json;
  const context = { findings, known: () => true, decisions };
  const content = [h("a", { href: "#", class: "back" }, "← Incidents"), incidentPage(incident, context)];
  if (again) replaceKept(content);
  else replace(main, content);
}

function overview() {
  if (!status) return [h("h2", { tabindex: "-1" }, "Connecting…")];
  const open = LEVELS.map((name) => [name, status.open[name] ?? 0]);
  const urgent = open[0][1] + open[1][1];
  const total = open.reduce((sum, [, n]) => sum + n, 0);
  const tiles = [["open incidents", count(total)], ["sessions followed", count(status.sessions)], ["wait for a person", count(status.outbox.waiting)], ["undeliverable", count(status.outbox.dead)]];
  const headline = urgent ? `${plural(urgent, "incident")} to look at now` : total ? `${plural(total, "open incident")}, none of them pressing` : "No open incident";
  return [
    h("h2", { tabindex: "-1" }, headline),
    h("dl", { class: "tiles" }, tiles.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    trouble(),
    h("div", { class: "two even" }, section("Open incidents by level", levelBars(open, (level) => { side.querySelector("select[name=level]").value = level; narrow({ level }); })),
      section("Tokens used, by how far they may be believed", bars(Object.entries(status.uses), { label: "Uses by provenance" }))),
    section("Where", worldMap(incidents) ?? h("p", { class: "none" }, "Nothing to show yet.")),
  ];
}

function trouble() {
  const rows = Object.entries(status.parts).filter(([, said]) => said !== "ready");
  if (status.breaker_open) rows.push(["breaker", "too many actions at once: what hurts waits for a person"]);
  if (status.paused) rows.push(["actions", "paused; `tokentrip resume` lets them go on"]);
  return rows.length ? section("Needs attention", h("ul", { class: "plain" }, rows.map(([part, said]) => h("li", {}, h("strong", {}, part), ": ", prose(said))))) : null;
}

async function sources() {
  await loadStatus();
  if (!status) return [h("h2", { tabindex: "-1" }, "Sources"), h("p", { class: "hot" }, "The daemon does not answer.")];
  const lag = (s) => (s === undefined ? "–" : s >= 1e9 ? "over a day" : `≤ ${duration(s) === "0 s" ? `${s} s` : duration(s)}`);
  const rows = status.sources.map(({ source, numbers: n }) => [
    source, count(n.lines), bytes(n.bytes ?? 0), n.watermark_s ? time(epoch(n.watermark_s)) : "–", lag(n.lag_s_p95), bytes(n.backlog_bytes ?? 0),
    n.gap_bytes ? h("span", { class: "hot" }, bytes(n.gap_bytes)) : "none", n.identified_ratio === undefined ? "–" : `${Math.round(100 * n.identified_ratio)} %`,
  ]);
  return [
    h("h2", { tabindex: "-1" }, "Sources"),
    trouble(),
    section("What is read", rows.length ? table(["source", "lines", "bytes", "read up to", "95 of 100 lines judged within", "not yet read", "lost", "requests with a token"], rows, "Sources") : h("p", { class: "none" }, "Nothing yet.")),
    h("div", { class: "two even" }, section("Skipped lines by reason", countsOf(status.skipped), samples(status.skipped_samples)), section("Requests by format", countsOf(status.formats))),
  ];
}

function countsOf(counts) {
  const rows = Object.entries(counts).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return rows.length ? bars(rows.map(([name, n]) => [words(name), n])) : h("p", { class: "none" }, "None.");
}

/** How the newest skipped lines begin. */
function samples(byReason) {
  const each = Object.entries(byReason ?? {}).map(([reason, lines]) => [h("h4", {}, words(reason)), h("pre", { tabindex: "0" }, lines.join("\n"))]);
  return each.length ? h("details", {}, h("summary", {}, "How the newest of them begin, without tokens"), each) : null;
}

async function rules() {
  const { rules } = await ask("/v1/rules");
  const sorted = [...rules].sort((a, b) => b.findings - a.findings || LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || (a.name < b.name ? -1 : 1));
  return [
    h("h2", { tabindex: "-1" }, "Rules"),
    h("p", { class: "muted" }, `${plural(rules.length, "rule")} in force. Findings since the daemon started.`),
    h("ul", { class: "plain rules" }, sorted.map((rule) => h("li", {},
      h("p", {}, level(rule.level), " ", h("strong", {}, rule.title), h("span", { class: "n" }, plural(rule.findings, "finding"))),
      h("details", {}, h("summary", {}, h("code", {}, rule.name), ` ${rule.score} points for ${rule.dimension}`), h("p", {}, rule.description), rule.runbook ? h("pre", { tabindex: "0" }, rule.runbook) : null)))),
  ];
}

const incidentLink = (id) => h("a", { href: `#${id}` }, id);

async function denylist() {
  const { denied, count: n } = await ask("/v1/denylist");
  const rows = denied.map(({ target, incident, until }) => [target.kind, h("code", {}, target.jti ?? target.sid ?? target.sub ?? target.token), target.iss ?? "–", time(until), incidentLink(incident)]);
  return [
    h("h2", { tabindex: "-1" }, "Denylist"),
    h("p", { class: "muted" }, `${plural(n, "entry", "entries")}${n > rows.length ? `, of which ${count(rows.length)} are shown` : ""}. The gateway refuses these tokens; undoing an incident takes its entries off.`),
    rows.length ? table(["kind", "name", "issuer", "until", "incident"], rows, "What is denied") : h("p", { class: "none" }, "Nothing is denied."),
  ];
}

async function outbox() {
  const { rows } = await ask("/v1/outbox");
  const shown = rows.map((row) => [
    h("span", { class: row.state === "dead" ? "hot" : "" }, { dead: "given up", leased: "under way", waiting: "waits for a person", pending: "pending" }[row.state] ?? row.state),
    row.kind === "alert" ? "message" : `${row.step}: ${row.target}`, row.receiver, count(row.attempts), row.why ?? "–", time(row.at), incidentLink(row.incident),
  ]);
  return [
    h("h2", { tabindex: "-1" }, "Outbox"),
    h("p", { class: "muted" }, "Calls and messages that are not delivered: given up first, then what waits for a person."),
    shown.length ? table(["state", "what", "to", "tries", "why not", "last change", "incident"], shown, "Undelivered") : h("p", { class: "none" }, "Everything is delivered."),
  ];
}

// Decisions.

const CLOSED = ["resolved", "false_positive"];

/** Buttons where somebody is named who may decide, else the commands that do the same. */
function decisions(incident) {
  if (!status?.approvers) return commands(incident);
  const waits = incident.actions.filter((action) => action.outcome === "waiting");
  const denied = incident.actions.some((action) => action.provider === "gateway" && /done|pending/.test(action.outcome));
  const closed = CLOSED.includes(incident.state);
  const button = (name, act, { primary = false, disabled = false, why = "" } = {}) => h("button", { type: "button", class: primary ? "primary" : "", disabled, title: why, on: { click: act } }, name);
  const post = (path, body = {}) => ask(`/v1/incidents/${incident.id}/${path}`, { method: "POST", body });
  const agreed = (path, body) => async () => {
    await post(path, body);
    await load();
    await showIncident(incident.id, { again: true });
  };
  const what = (actions) => h("ul", { class: "plain" }, actions.map((action) => h("li", {}, `${action.step}: ${action.target} (${action.provider})`)));
  return [
    button("Approve", () => dialog("Go ahead with this?", what(waits), [["Approve", agreed("approve")]]), { primary: waits.length > 0, disabled: !waits.length, why: waits.length ? "" : "nothing waits for approval" }),
    button("Undo", () => dialog("Take it back?", h("p", {}, "Its tokens are no longer denied, and calls that were not made yet are not made. A logout or a mail cannot be taken back."), [["Undo", agreed("undo")]]), { disabled: !denied && !waits.length, why: denied || waits.length ? "" : "nothing was done" }),
    button("Resolve", () => dialog("Close it as done?", h("p", {}, "Everybody who was told that it opened is told that it is closed."), [["Resolve", agreed("resolve")]]), { disabled: closed }),
    button("False positive", () => dialog("Mark it as a false positive?", [h("p", {}, "Everybody who was told that it opened is told that it is closed. If the same will come again, one of these keeps it quiet:"), suppressions(incident)], [["Mark as false positive", agreed("resolve", { false_positive: true })]]), { disabled: closed }),
  ];
}

function commands(incident) {
  const waits = incident.actions.some((action) => action.outcome === "waiting");
  const names = [waits && "approve", incident.state === "contained" && "undo", !CLOSED.includes(incident.state) && "resolve"].filter(Boolean);
  return names.map((name) => copyable(`tokentrip incidents ${name} ${incident.id}`, "Copy the command"));
}

/** What would have kept an incident from being one, narrowest first. */
function suppressions(incident) {
  const ip = incident.suspect.ips[0];
  const names = Object.keys(incident.rules);
  const quoted = (text) => `'${String(text).replaceAll("'", "''")}'`;
  const prefix = ip && prefixOf(ip);
  const filterRule = `title: ${quoted(`Known: ${incident.suspect.networks[0] ?? "this source"}`)}
logsource: {product: tokentrip, service: token_use}
filter:
    rules: [${names.join(", ")}]
    known:
${[incident.subject ? `        jwt.sub: ${quoted(incident.subject)}\n` : "", prefix ? `        source.ip|cidr: ${quoted(prefix)}\n` : ""].join("")}    condition: not known
`;
  return [
    prefix && !incident.steps.breach.other_subjects_count ? [h("h3", {}, "A filter for this subject and network, beside the rules"), copyable(filterRule, "Copy the filter")] : null,
    prefix ? [h("h3", {}, "The network is your own: never acted against"), copyable(`[places]\nhome = ["${prefix}"]\n`, "Copy the setting")] : null,
    names.length ? [h("h3", {}, "One of its rules says too much here"), copyable(`[rules.override.${names[0]}]\nscore = 20\n`, "Copy the setting")] : null,
  ];
}

/** The part of an address that one holder keeps: /24 of IPv4, /64 of IPv6. */
function prefixOf(ip) {
  if (!ip.includes(":")) return `${ip.split(".").slice(0, 3).join(".")}.0/24`;
  const [head, tail] = ip.split("::").map((part) => (part ? part.split(":") : []));
  const zeros = tail ? Array(Math.max(0, 8 - head.length - tail.length)).fill("0") : [];
  return `${[...head, ...zeros, ...(tail ?? [])].slice(0, 4).join(":")}::/64`;
}

replace(side, h("div", { class: "filters" },
  select("level", "level", LEVELS, (level) => narrow({ level })), select("state", "state", STATES, (state) => narrow({ state })),
  h("label", {}, h("span", { class: "unseen" }, "since"), h("select", { name: "since", on: { change: (event) => narrow({ since: event.target.value }) } },
    [["", "any time"], ["1", "last hour"], ["24", "last day"], ["168", "last week"]].map(([value, text]) => h("option", { value }, text)))),
  subject), said, list, more);
listenToKeys({ list: () => list, search: () => subject, back: () => (location.hash = "") });
addEventListener("hashchange", () => show());
setInterval(() => document.visibilityState === "visible" && (where() === "/sources" ? show({ focus: false }) : loadStatus()), 5000);
replace(tabs, tabLinks);
showTabs();
tell();
show({ focus: false });
listen();
