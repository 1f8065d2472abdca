// A session in time: a lane for each network and client, with what was found, told and done.

/** The timeline of an incident with its findings. */
function timeline(incident, findings) {
  const stops = incident.journey ?? [];
  const lanes = lanesOf(stops, findings);
  if (!lanes.length) return h("p", { class: "none" }, "Nothing is known of when its sessions were used.");
  const axis = axisOf(incident, lanes);
  return h("figure", { class: "timeline" },
    h("ol", { class: "lanes" }, lanes.map((lane) => laneOf(lane, axis)), eventLanes(incident, axis)),
    ticks(axis),
    h("figcaption", {}, h("span", { class: "key bar holder" }, "used by the holder"), h("span", { class: "key bar suspect" }, "used by the suspect"),
      h("span", { class: "key found" }, "findings"), h("span", {}, "times in UTC")));
}

const laneKey = (network, client) => `${network}\n${client ?? ""}`;

function lanesOf(stops, findings) {
  const lanes = new Map();
  for (const stop of stops) {
    const key = laneKey(stop.network, stop.client);
    const lane = lanes.get(key) ?? { side: stop.side, network: stop.network, client: stop.client, kind: stop.kind, stops: [], marks: [], ips: new Set() };
    if (stop.side === "suspect") lane.side = "suspect";
    lane.stops.push(stop);
    lane.ips.add(stop.ip);
    lanes.set(key, lane);
  }
  const all = [...lanes.values()].sort((a, b) => (a.stops[0].first < b.stops[0].first ? -1 : 1));
  for (const finding of findings) {
    const here = all.filter((lane) => lane.ips.has(finding.source?.ip));
    const program = finding.client?.name;
    const lane = here.find((lane) => program && lane.client?.startsWith(program)) ?? here[0] ?? all.find((lane) => lane.side === "suspect");
    lane?.marks.push(finding);
  }
  return all.slice(0, 24);
}

/** The time to show: round what the suspect did; what began before or went on after is cut off. */
function axisOf(incident, lanes) {
  const stops = lanes.flatMap((lane) => lane.stops);
  const marks = lanes.flatMap((lane) => lane.marks).map((finding) => ms(finding.time));
  const suspects = stops.filter((stop) => stop.side === "suspect");
  const [first, last] = [Math.min(...stops.map((stop) => ms(stop.first)), ...marks), Math.max(...stops.map((stop) => ms(stop.last)), ...marks)];
  const from = Math.min(...suspects.map((stop) => ms(stop.first)), ...marks, last);
  const to = Math.max(...suspects.map((stop) => ms(stop.last)), ...marks, from);
  const round = Math.max(20 * 60_000, 0.8 * (to - from));
  const [begin, end] = [Math.max(first, from - round), Math.min(last, to + round)];
  const margin = Math.max(15_000, 0.03 * (end - begin));
  return { begin: begin - margin, end: end + margin };
}

const share = (axis, t) => Math.min(100, Math.max(0, (100 * (t - axis.begin)) / (axis.end - axis.begin)));

function laneOf(lane, axis) {
  const who = h("div", { class: "who" },
    h("span", { class: `side ${lane.side}` }, SIDES[lane.side]), " ",
    h("span", { class: "network" }, lane.network), h("span", { class: "client" }, [lane.client ?? "no user agent", lane.kind !== "unknown" && ` · ${lane.kind}`]));
  return h("li", { class: lane.side }, who, h("div", { class: "track" }, lane.stops.map((stop) => barOf(stop, axis)), marksOf(lane.marks, axis)));
}

function barOf(stop, axis) {
  const [first, last] = [ms(stop.first), ms(stop.last)];
  if (last < axis.begin || first > axis.end) return null;
  const [left, right] = [share(axis, first), share(axis, last)];
  const cut = `${first < axis.begin ? " earlier" : ""}${last > axis.end ? " later" : ""}`;
  const uses = stop.uses + stop.refused ? `${plural(stop.uses, "use")}${stop.refused ? `, ${stop.refused} refused` : ""}` : "";
  const said = [`${seconds(stop.first)} – ${seconds(stop.last)}`, stop.ip, uses].filter(Boolean).join(", ");
  return h("span", { class: `bar ${stop.side}${cut}`, style: { left: `${left}%`, width: `${right - left}%` }, title: said, role: "img", "aria-label": said },
    right - left > 9 && uses && h("span", { class: "n", "aria-hidden": "true" }, count(stop.uses + stop.refused)));
}

/** Findings that are too near to each other to be told apart are one mark with a number. */
function marksOf(findings, axis) {
  const sorted = [...findings].sort((a, b) => (a.time < b.time ? -1 : 1));
  const groups = [];
  for (const finding of sorted) {
    const x = share(axis, ms(finding.time));
    const near = groups.at(-1);
    if (near && x - near.x < 2.5) near.findings.push(finding);
    else groups.push({ x, findings: [finding] });
  }
  return groups.map(({ x, findings }) => {
    const worst = LEVELS.find((name) => findings.some((finding) => finding.level === name));
    const said = findings.map((finding) => `${finding.level}: ${finding.title}`).join("\n");
    const show = () => {
      const row = document.getElementById(findings[0].id);
      row?.scrollIntoView({ block: "center" });
      row?.focus();
    };
    return h("button", { type: "button", class: `mark ${worst}`, style: { left: `${x}%` }, title: said, "aria-label": `${plural(findings.length, "finding")} at ${seconds(findings[0].time)}: ${said}`, on: { click: show } },
      findings.length > 1 ? String(findings.length) : "");
  });
}

/** What the identity provider told, and what was done. */
function eventLanes(incident, axis) {
  const told = (incident.identity ?? []).map((event) => ({ time: event.time, said: words(event.action), more: [event.network, event.client].filter(Boolean).join(", ") }));
  const done = (incident.actions ?? []).map((action) => ({ time: action.at, said: `${action.step}: ${action.outcome}`, more: `${action.target} (${action.provider})` }));
  const rows = [["identity provider", told], ["what was done", done]];
  return rows.map(([name, events]) => {
    const inside = events.filter((event) => ms(event.time) >= axis.begin && ms(event.time) <= axis.end);
    if (!inside.length) return null;
    return h("li", { class: "events" }, h("div", { class: "who" }, h("span", { class: "network" }, name)),
      h("div", { class: "track" }, inside.map((event) => h("span", { class: "event", style: { left: `${share(axis, ms(event.time))}%` }, title: `${seconds(event.time)} ${event.said} ${event.more}`, role: "img", "aria-label": `${seconds(event.time)} ${event.said} ${event.more}` }))));
  });
}

const STEPS_S = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800, 2592000];

/** As many as fit beside each other on the smallest screen. */
const TICKS_MAX = 5;

function ticks(axis) {
  const step = 1000 * (STEPS_S.find((s) => (axis.end - axis.begin) / 1000 / s <= TICKS_MAX) ?? STEPS_S.at(-1));
  const shown = [];
  for (let t = Math.ceil(axis.begin / step) * step; t < axis.end; t += step) shown.push(t);
  const text = (t) => {
    const iso = new Date(t).toISOString();
    return step >= 86_400_000 ? iso.slice(0, 10) : step < 60_000 ? iso.slice(11, 19) : iso.slice(11, 16);
  };
  return h("div", { class: "axis", "aria-hidden": "true" }, h("div", { class: "who" }, new Date(axis.begin).toISOString().slice(0, 10)),
    h("div", { class: "track" }, shown.map((t) => h("span", { style: { left: `${share(axis, t)}%` } }, text(t)))));
}

/** The same in words and numbers. */
function stopsTable(stops) {
  const rows = stops.map((stop) => [
    SIDES[stop.side], time(stop.first), time(stop.last), stop.ip, stop.network, stop.client ?? "–",
    stop.place ? `± ${count(Math.round(stop.place.radius_km))} km` : "–", count(stop.uses), count(stop.refused), count(stop.writes), bytes(stop.bytes),
  ]);
  return h("details", {}, h("summary", {}, "As a table"),
    table(["side", "first", "last", "address", "network", "client", "place", "uses", "refused", "writes", "sent"], rows, "Where the sessions were used"));
}
