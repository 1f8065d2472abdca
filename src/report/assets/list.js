// A list of incidents with its filters, and going from one to the next by keys.

const LIST_PAGE = 100;

function listItem(incident, current) {
  return h("li", {}, h("a", { href: `#${incident.id}`, class: `item ${incident.level}`, "aria-current": incident.id === current ? "true" : null },
    h("span", { class: "top" }, level(incident.level), incident.state === "open" ? null : h("span", { class: `state ${incident.state}` }, words(incident.state)), h("time", { datetime: incident.opened, title: `${incident.opened} (UTC)` }, seconds(incident.opened).slice(5, 16))),
    h("span", { class: "title" }, incident.title),
    h("span", { class: "sub" }, `${plural(incident.suspect.requests, "request")} from ${incident.suspect.networks[0] ?? "an unknown network"}`)));
}

/** Keys that work wherever nothing is being typed: j and k go through the list, / searches, Escape goes back. */
function listenToKeys({ list, search, back }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target instanceof HTMLElement && event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape") return typing ? event.target.blur() : back();
    if (typing) return;
    if (event.key === "/") {
      event.preventDefault();
      search()?.focus();
    }
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const links = [...list().querySelectorAll("a.item")];
    const at = links.findIndex((link) => link.getAttribute("aria-current") === "true");
    const next = links[at < 0 ? 0 : at + step];
    if (next) {
      location.hash = next.getAttribute("href");
      next.scrollIntoView({ block: "nearest" });
    }
  });
}

function select(name, label, values, onChange, chosen = "") {
  const options = [["", `any ${label}`], ...values.map((value) => [value, words(value)])];
  return h("label", {}, h("span", { class: "unseen" }, label), h("select", { name, on: { change: (event) => onChange(event.target.value) } },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

/** Counts of incidents by level, each a way to filter. */
function levelBars(rows, choose) {
  const most = Math.max(1, ...rows.map(([, n]) => n));
  return h("ul", { class: "bars levels", "aria-label": "Incidents by level" }, rows.map(([name, n]) =>
    h("li", {}, h("button", { type: "button", class: "name link", disabled: n === 0, on: { click: () => choose(name) } }, name),
      h("span", { class: `bar level-${name}`, style: { "--share": `${(100 * n) / most}%` }, "aria-hidden": "true" }), h("span", { class: "n" }, count(n)))));
}
