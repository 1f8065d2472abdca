// The report of a scan: everything is in the page; what is not looked at is not drawn.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = new Map(data.incidents.map((incident) => [incident.id, incident]));
const byTime = [...data.incidents].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || b.score - a.score || (a.opened < b.opened ? -1 : 1));
const filter = { text: "", level: "", shown: LIST_PAGE };

const main = document.querySelector("main");
const aside = document.querySelector("nav");
const list = h("ol", { class: "list", "aria-label": "Incidents" });
const more = h("button", { type: "button", class: "more quiet", on: { click: () => showList((filter.shown += LIST_PAGE)) } });
const said = h("p", { class: "muted said", role: "status" });
const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search incidents", on: { input: (event) => narrow({ text: event.target.value.toLowerCase() }) } });
const levels = select("level", "level", LEVELS, (level) => narrow({ level }));

const context = (incident) => ({
  findings: incident.findings.map((id) => data.findings[id]).filter(Boolean),
  line: (evidence) => data.lines[`${evidence.file}:${evidence.offset}`],
  known: (id) => byId.has(id),
});

function narrow(change) {
  Object.assign(filter, change, { shown: LIST_PAGE });
  levels.querySelector("select").value = filter.level;
  showList();
}

const haystacks = new Map();

function matches(incident) {
  if (filter.level && incident.level !== filter.level) return false;
  if (!filter.text) return true;
  if (!haystacks.has(incident.id)) {
    const { id, title, subject, suspect, rules } = incident;
    haystacks.set(incident.id, JSON.stringify([id, title, subject, suspect, rules]).toLowerCase());
  }
  return haystacks.get(incident.id).includes(filter.text);
}

function showList() {
  const current = decodeURIComponent(location.hash.slice(1));
  const found = byTime.filter(matches);
  replace(list, found.slice(0, filter.shown).map((incident) => listItem(incident, current)));
  said.textContent = found.length === byTime.length ? `${plural(found.length, "incident")}, worst first` : `${count(found.length)} of ${plural(byTime.length, "incident")}`;
  more.hidden = found.length <= filter.shown;
  more.textContent = `Show ${count(Math.min(LIST_PAGE, found.length - filter.shown))} more`;
}

function overview() {
  const { summary } = data;
  const tiles = [["lines", summary.lines], ["uses of tokens", summary.uses], ["tokens", summary.tokens], ["sessions", summary.sessions], ["subjects", summary.subjects], ["incidents", summary.incidents]];
  const skipped = Object.entries(summary.skipped);
  return [
    h("h2", { tabindex: "-1" }, headline()),
    h("dl", { class: "tiles" }, tiles.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, count(value))))),
    h("div", { class: "two even" },
      section("Incidents by level", levelBars(LEVELS.map((name) => [name, data.incidents.filter((one) => one.level === name).length]), (level) => { narrow({ level }); list.querySelector("a")?.focus(); })),
      section("What spoke", rulesOf(summary))),
    section("Where", worldMap(byTime) ?? h("p", { class: "none" }, "No address of an incident has a known place.")),
    data.blind_spots.length ? section("What this log could not show", data.blind_spots.map(blindSpot)) : null,
    data.warnings.length ? section("Warnings", h("ul", { class: "plain" }, data.warnings.map((warning) => h("li", {}, prose(warning))))) : null,
    section("What was read", table(["source", "format", "sure", "requests with a token", "busiest address"], summary.sources.map((source) =>
      [source.file, [source.format, ...(source.wrappers ?? [])].join(" in "), percent(source.confidence), percent(source.identified_ratio), percent(source.top_peer_share)]), "Sources"),
    skipped.length ? h("p", {}, "Skipped: ", skipped.map(([reason, n]) => `${words(reason)} ${count(n)}`).join(", ")) : null,
    summary.gaps_bytes ? h("p", {}, `Lost in damaged archives: ${bytes(summary.gaps_bytes)}`) : null),
  ];
}

const percent = (share) => `${Math.round(100 * share)} %`;

function headline() {
  const bad = data.incidents.filter((incident) => incident.level === "critical" || incident.level === "high").length;
  if (!data.incidents.length) return "No token was misused, as far as these logs tell";
  if (!bad) return `${plural(data.incidents.length, "incident")}, none of them pressing`;
  return `${plural(bad, "incident")} to look at now${data.incidents.length > bad ? `, ${count(data.incidents.length - bad)} below that` : ""}`;
}

function rulesOf(summary) {
  const rows = Object.entries(summary.findings).sort((a, b) => b[1] - a[1]);
  if (!rows.length) return h("p", { class: "none" }, "No rule did.");
  const most = bars(rows.slice(0, 6).map(([name, n]) => [words(name), n]), { label: "Findings by rule" });
  if (rows.length <= 6) return most;
  return [most, h("details", {}, h("summary", {}, `and ${rows.length - 6} more`), bars(rows.slice(6).map(([name, n]) => [words(name), n]), { label: "More findings by rule" }))];
}

function blindSpot(spot) {
  return h("article", { class: "spot-blind" }, h("h4", {}, spot.what), h("p", {}, prose(spot.why)),
    spot.snippet ? h("details", {}, h("summary", {}, spot.where), copyable(spot.snippet, "Copy the snippet")) : null);
}

function show({ focus = true } = {}) {
  const incident = byId.get(decodeURIComponent(location.hash.slice(1)));
  document.body.classList.toggle("one", Boolean(incident));
  const back = h("a", { href: "#", class: "back" }, "← Overview");
  replace(main, incident ? [back, incidentPage(incident, context(incident))] : overview());
  for (const link of list.querySelectorAll("a.item")) {
    if (incident && link.getAttribute("href") === `#${incident.id}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  document.title = incident ? `${incident.title} · Tokentrip` : `${headline()} · Tokentrip`;
  if (!focus) return;
  scrollTo(0, 0);
  main.querySelector("h2")?.focus({ preventScroll: true });
}

/** On paper there is nothing to click: the overview and then the worst incidents, each on a page of its own. */
const PRINTED = 50;
let before = null;
addEventListener("beforeprint", () => {
  before = [...main.childNodes];
  const chosen = byId.get(decodeURIComponent(location.hash.slice(1)));
  const printed = chosen ? [chosen] : byTime.filter(matches).slice(0, PRINTED);
  replace(main, chosen ? null : overview(), printed.map((incident) => h("article", { class: "sheet-of-paper" }, incidentPage(incident, context(incident)))));
  for (const details of main.querySelectorAll("details")) details.open = true;
});
addEventListener("afterprint", () => {
  if (before) main.replaceChildren(...before);
  before = null;
});

replace(aside, h("div", { class: "filters" }, search, levels), said, list, more);
narrow({});
listenToKeys({ list: () => list, search: () => search, back: () => (location.hash = "") });
addEventListener("hashchange", () => show());
show({ focus: false });
