// Elements, and values for people. Text becomes text: nothing here or elsewhere parses markup, so nothing that stood in
// a log can become any.

/** An element: `h("a", { href, class, on: { click } }, children)`. Absent values and children are left out. */
function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
    else if (name === "style") for (const [key, said] of Object.entries(value)) element.style.setProperty(key, said);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child);
  }
  return element;
}

function replace(parent, ...children) {
  parent.replaceChildren(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
}

/** Text in which `commands` stand between backticks. */
function prose(text) {
  return String(text ?? "").split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

const LEVELS = ["critical", "high", "medium", "low", "informational"];
const STATES = ["open", "acknowledged", "contained", "resolved", "false_positive"];

const words = (name) => String(name ?? "").replaceAll("_", " ");

function level(name) {
  return h("span", { class: `level ${LEVELS.includes(name) ? name : "informational"}` }, name);
}

const grouped = new Intl.NumberFormat("en");
const count = (n) => grouped.format(n ?? 0);
const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

function bytes(n) {
  if (!(n >= 1000)) return plural(n ?? 0, "byte");
  const units = ["kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(Math.floor(Math.log10(n) / 3), units.length);
  return `${(n / 1000 ** power).toPrecision(3)} ${units[power - 1]}`;
}

function duration(seconds) {
  const s = Math.abs(Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
  return `${Math.floor(s / 86400)} d${Math.floor((s % 86400) / 3600) ? ` ${Math.floor((s % 86400) / 3600)} h` : ""}`;
}

const ms = (time) => Date.parse(time);
const seconds = (time) => new Date(ms(time)).toISOString().slice(0, 19).replace("T", " ");

/** A time in UTC, to the second; of an unknown one, a dash. */
function time(text, { date = true } = {}) {
  if (!text || Number.isNaN(ms(text))) return "–";
  const shown = seconds(text);
  return h("time", { datetime: text, title: `${text} (UTC)` }, date ? shown : shown.slice(11));
}

/** From one time to another, the second without its date when it is the same. */
function span(from, to) {
  const same = from && to && from.slice(0, 10) === to.slice(0, 10);
  return [time(from), " – ", time(to, { date: !same }), " UTC"];
}

const epoch = (numeric) => (numeric ? new Date(numeric * 1000).toISOString() : null);

/** A block of text to copy, as a command or a snippet. */
function copyable(text, label = "Copy") {
  const said = h("span", { class: "copied", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "copied";
    } catch {
      // From a file, or without permission: then by hand.
      getSelection().selectAllChildren(code);
      said.textContent = "selected";
    }
    setTimeout(() => (said.textContent = ""), 2000);
  };
  const code = h("pre", { tabindex: "0" }, h("code", {}, text));
  return h("div", { class: "copyable" }, code, h("button", { type: "button", class: "quiet", on: { click: copy }, "aria-label": `${label}: ${text.slice(0, 60)}` }, "Copy"), said);
}

function section(title, ...children) {
  const id = `s${(section.no = (section.no ?? 0) + 1)}`;
  return h("section", { "aria-labelledby": id, class: title.toLowerCase().replace(/[^a-z]+/g, "-") }, h("h3", { id }, title), ...children);
}

/** Bars of named counts; each may lead somewhere. */
function bars(rows, { className = "", href, label } = {}) {
  const most = Math.max(1, ...rows.map(([, n]) => n));
  const row = ([name, n, extra]) =>
    h("li", { class: extra ?? "" }, h("span", { class: "name" }, href ? h("a", { href: href(name) }, words(name)) : name),
      h("span", { class: "bar", "aria-hidden": "true", style: { "--share": `${(100 * n) / most}%` } }), h("span", { class: "n" }, count(n)));
  return h("ul", { class: `bars ${className}`, "aria-label": label }, rows.map(row));
}

function table(head, rows, caption) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)))))));
}
