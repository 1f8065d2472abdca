// One incident: what happened, what to do now, how it went, what was touched, why.

/**
 * The page of an incident. `context`: `findings` of it, oldest first; `line(evidence)` gives the masked line of an
 * evidence, `known(id)` says whether a related incident can be shown, `decisions(incident)` gives buttons.
 */
function incidentPage(incident, context) {
  const findings = context.findings;
  const stops = incident.journey ?? [];
  return h("article", { class: "incident" },
    head(incident),
    now(incident, context),
    h("div", { class: "two" },
      h("div", {}, section("Journey", journeyMap(stops), timeline(incident, findings), stops.length ? stopsTable(stops) : null), section("Holder and suspect", sides(incident))),
      section("The four steps", steps(incident))),
    h("div", { class: "two" },
      section("Blast radius", blast(incident)),
      h("div", {}, section("Causes", causes(incident.steps.root_cause.hypotheses)),
        incident.alternatives.length ? section("What else it could be", alternatives(incident.alternatives)) : null)),
    section("Evidence", evidence(findings, context)),
    incident.actions.length || incident.refused.length ? section("Done and not done", done(incident)) : null,
    section("For the record", record(incident, context)));
}

function head(incident) {
  const went = (ms(incident.suspect.last_seen) - ms(incident.suspect.first_seen)) / 1000;
  const facts = [
    h("span", {}, span(incident.suspect.first_seen, incident.suspect.last_seen), went >= 1 ? ` (${duration(went)})` : ""),
    incident.suspect_active ? h("span", { class: "hot" }, "suspect still active") : null,
    incident.live_until ? h("span", {}, "tokens live until ", time(incident.live_until), " UTC") : null,
    h("span", { title: PROVENANCES[incident.provenance] }, `tokens ${incident.provenance}`),
    h("span", {}, `score ${incident.score}: `, Object.entries(incident.dimensions).map(([name, points]) => `${name} ${points}`).join(", ")),
  ];
  return h("header", {},
    h("p", { class: "marks" }, level(incident.level), h("span", { class: `state ${incident.state}` }, words(incident.state)), h("code", { class: "id" }, incident.id)),
    h("h2", { tabindex: "-1" }, incident.title),
    h("p", { class: "facts" }, facts));
}

const PROVENANCES = {
  claimed: "nobody vouches for what the tokens say",
  presumed: "the gateway answered as if they were valid, and no key is configured here",
  unverifiable: "their key is not known here",
  accepted: "the gateway accepted them where only valid ones pass",
  verified: "their signatures were checked here",
};

function now(incident, context) {
  const buttons = context.decisions?.(incident);
  return h("aside", { class: "now", "aria-label": "What to do now" }, h("p", {}, prose(incident.next)), buttons ? h("div", { class: "decisions" }, buttons) : null);
}

function sides(incident) {
  const holder = incident.victim ?? { networks: [], clients: [] };
  const differs = (name) => !holder[name].some((each) => incident.suspect[name].includes(each));
  const many = (values) => (values.length ? values.map((value) => h("div", {}, value)) : "unknown");
  const other = [
    ["Networks", many(holder.networks), many(incident.suspect.networks), holder.networks.length && differs("networks")],
    ["Programs", many(holder.clients), many(incident.suspect.clients), holder.clients.length && differs("clients")],
    ["Addresses", many([...new Set((incident.journey ?? []).filter((stop) => stop.side === "holder").map((stop) => stop.ip))]), many(incident.suspect.ips), false],
    ["First seen", time(firstOf(incident)), time(incident.suspect.first_seen), false],
    ["Last seen", time(incident.impact.last_legitimate_use), time(incident.suspect.last_seen), false],
    ["Requests", count(usesOf(incident, "holder")), count(incident.suspect.requests), false],
  ];
  const who = incident.victim ? incident.subject ?? "the session's owner" : "not known who held the token first";
  return h("table", { class: "versus" }, h("caption", { class: "unseen" }, "Holder and suspect side by side"),
    h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col", class: "holder" }, h("span", { class: "key holder" }, "holder"), h("small", {}, who)),
      h("th", { scope: "col", class: "suspect" }, h("span", { class: "key suspect" }, "suspect"), h("small", {}, incident.suspect.ips[0] ?? "")))),
    h("tbody", {}, other.map(([name, left, right, differ]) =>
      h("tr", { class: differ ? "differs" : "" }, h("th", { scope: "row" }, name, differ ? h("span", { class: "differ" }, " differ") : ""), h("td", {}, left), h("td", {}, right)))));
}

const stopsOf = (incident, side) => (incident.journey ?? []).filter((stop) => stop.side === side);
const firstOf = (incident) => stopsOf(incident, "holder").map((stop) => stop.first).sort()[0];
const usesOf = (incident, side) => stopsOf(incident, side).reduce((sum, stop) => sum + stop.uses, 0);

/** Steps that a reader has ticked; a reload forgets them. */
const ticked = new Set();

function steps(incident) {
  const { password, revoke, breach, root_cause } = incident.steps;
  const cause = root_cause.hypotheses[0];
  const outcome = (step) => incident.actions.filter((action) => action.step === step && /done/.test(action.outcome)).length > 0;
  const rows = [
    ["Password", password.needed ? [h("p", {}, prose(password.advice)), calls(password.calls)] : h("p", {}, "Not needed: ", prose(password.advice)), outcome("password")],
    ["Revoke", [targets(revoke.targets), h("p", {}, prose(revoke.advice)), calls(revoke.calls), impact(incident)], outcome("revoke")],
    ["Breach", h("p", {}, `${plural(breach.requests, "request")}, ${plural(breach.writes, "write")}, ${bytes(breach.bytes)}, ${count(breach.denied)} refused`,
      breach.other_subjects_count ? `; ${plural(breach.other_subjects_count, "other subject")} from the same source` : "", `: ${coverage(breach.status)}.`), false],
    ["Root cause", cause ? [h("p", {}, cause.hint), h("p", {}, h("strong", {}, "Fix: "), cause.fix)] : h("p", {}, "Nothing points to one."), false],
  ];
  return h("ol", { class: "steps" }, rows.map(([name, body, isDone], i) => {
    const id = `${incident.id}-${i + 1}`;
    const box = h("input", { type: "checkbox", id, checked: isDone || ticked.has(id), on: { change: () => (box.checked ? ticked.add(id) : ticked.delete(id)) } });
    return h("li", {}, h("label", { for: id }, box, h("span", { class: "no" }, `${i + 1} `), name), isDone ? h("span", { class: "doneby" }, " done") : "", h("div", { class: "body" }, body));
  }));
}

const coverage = (status) => (status.coverage === "complete" ? "all of it was seen" : `partial, ${status.reason}`);

function calls(list) {
  return list.length ? list.map((call) => copyable(call, "Copy the call")) : null;
}

function targets(list) {
  if (!list.length) return h("p", {}, "Nothing can be named that could be revoked.");
  return h("dl", { class: "targets" }, list.map((target) => {
    const name = target.jti ?? target.sid ?? target.sub ?? target.token;
    const until = target.expires_s ? [" until ", time(epoch(target.expires_s))] : target.not_before_s ? [" issued before ", time(epoch(target.not_before_s))] : "";
    return h("div", {}, h("dt", {}, target.kind), h("dd", {}, h("code", {}, name), h("small", {}, until)));
  }));
}

function impact({ impact }) {
  return h("p", { class: "muted" }, `Revoking everything ends ${plural(impact.sessions, "session")}`,
    impact.last_legitimate_use ? [" of somebody last seen ", time(impact.last_legitimate_use), " UTC."] : ".");
}

function blast(incident) {
  const breach = incident.steps.breach;
  const tiles = [["requests", count(breach.requests)], ["writes", count(breach.writes)], ["sent", bytes(breach.bytes)], ["refused", count(breach.denied)], ["other subjects", count(breach.other_subjects_count)]];
  const more = breach.other_subjects_count - breach.other_subjects.length;
  return [
    h("dl", { class: "tiles" }, tiles.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    breach.paths.length ? [h("h4", {}, "Paths"), bars(breach.paths.slice(0, 25), { className: "paths", label: "Requests by path" }), breach.paths.length > 25 ? h("p", { class: "muted" }, `and ${breach.paths.length - 25} more`) : null] : null,
    breach.other_subjects.length ? [h("h4", {}, "Other subjects from the same source"), h("ul", { class: "chips" }, breach.other_subjects.map((subject) => h("li", {}, subject)), more > 0 ? h("li", { class: "muted" }, `and ${count(more)} more`) : null)] : null,
    breach.status.coverage === "complete" ? null : h("p", { class: "muted" }, `Partial: ${breach.status.reason}`),
  ];
}

function causes(hypotheses) {
  if (!hypotheses.length) return h("p", { class: "none" }, "Nothing points to a cause.");
  return h("ol", { class: "causes" }, hypotheses.map((one) =>
    h("li", {}, h("p", {}, h("strong", {}, one.hint), h("span", { class: "cause" }, words(one.cause))),
      h("p", {}, "Seen: ", one.evidence), h("p", {}, "Fix: ", one.fix))));
}

/** Findings under the line that they were found in, which several may share. */
function evidence(findings, context) {
  if (!findings.length) return h("p", { class: "none" }, "Its findings were forgotten.");
  const groups = [];
  for (const finding of findings) {
    const of = JSON.stringify(finding.evidence);
    if (groups.at(-1)?.of === of) groups.at(-1).findings.push(finding);
    else groups.push({ of, findings: [finding] });
  }
  return h("ol", { class: "findings" }, groups.map(({ findings }) =>
    h("li", {}, h("p", { class: "when" }, time(findings[0].time), findings[0].evidence.map((one) => h("small", {}, whereIs(one)))),
      findings[0].evidence.map((one) => lineOf(one, context)),
      findings.map((finding) => h("div", { class: "finding", id: finding.id, tabindex: "-1" },
        h("p", {}, level(finding.level), " ", h("strong", {}, finding.title), ": ", finding.says),
        h("details", {}, h("summary", {}, "Measurements"), measurements(finding)))))));
}

const whereIs = (one) => `${one.file}${one.line ? `:${one.line}` : ` at byte ${one.offset}`}`;

function lineOf(evidence, context) {
  const line = context.line?.(evidence);
  return line ? h("pre", { tabindex: "0", "aria-label": "Line of the log" }, h("code", {}, line)) : null;
}

function measurements(finding) {
  const rows = [
    ["rule", h("code", {}, finding.rule)],
    ["confidence, points", `${finding.confidence}, ${finding.score} for ${finding.dimension}`],
    ["ATT&CK", finding.attack.join(", ") || "–"],
    ["signature", `${words(finding.verdict)}, token ${finding.provenance}`],
    ["from", [finding.source.ip, finding.source.place && `${finding.source.place}, ${finding.source.country}`, finding.source.asn ? `AS${finding.source.asn} ${finding.source.org ?? ""}` : null, finding.source.kind].filter(Boolean).join(" · ")],
    ["request", finding.request_id ?? "–"],
    ...Object.entries(finding.facts).map(([name, value]) => [h("code", {}, name), typeof value === "number" ? count(value) : String(value)]),
  ];
  return h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function alternatives(list) {
  return h("ul", { class: "plain" }, list.map((one) => h("li", {}, h("p", {}, one.explanation), h("p", { class: "muted" }, "To find out: ", one.check))));
}

function done(incident) {
  return [
    incident.actions.length ? table(["when", "step", "target", "by way of", "outcome", "on whose word"],
      incident.actions.map((action) => [time(action.at), action.step, action.target, action.provider, words(action.outcome), action.by]), "What was done") : null,
    incident.refused.length ? [h("h4", {}, "Not done"), h("ul", { class: "plain" }, incident.refused.map((refusal) => h("li", {}, prose(refusal.reason), h("span", { class: "cause" }, refusal.gate))))] : null,
  ];
}

function record(incident, context) {
  const link = (id) => (context.known(id) ? h("a", { href: `#${id}` }, id) : h("code", {}, id));
  const list = (ids) => ids.map((id, i) => [i ? ", " : "", link(id)]);
  const rows = [
    ["Subject", incident.subject ?? "nobody: no account was entered"],
    ["Issuer", incident.issuer ?? "–"],
    ["Sessions", incident.sessions.join(", ") || "–"],
    ["Opened, updated", span(incident.opened, incident.updated)],
    incident.parent ? ["Part of", link(incident.parent)] : null,
    incident.children?.length ? ["Its incidents", list(incident.children)] : null,
    incident.prior.length ? ["Earlier incidents", list(incident.prior)] : null,
    incident.request_ids.length ? ["Request ids", h("code", {}, incident.request_ids.join(" "))] : null,
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
