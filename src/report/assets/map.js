// The world, with where tokens were used: points, how far they may be off, and the great circles between them.

const WORLD = { width: 2000, height: 890 };
const EARTH_KM = 6371.0088;

/** Longitude and latitude to units of the map: the Natural Earth projection, as in land.mjs. */
function project(lon, lat) {
  const phi = (lat * Math.PI) / 180, p2 = phi * phi, p4 = p2 * p2;
  const x = ((lon * Math.PI) / 180) * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)));
  const y = phi * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)));
  const scale = WORLD.width / 2 / (0.8707 * Math.PI);
  return [WORLD.width / 2 + x * scale, 520 - y * scale];
}

const radians = (degrees) => (degrees * Math.PI) / 180;
const degrees = (radians) => (radians * 180) / Math.PI;
const unit = ({ latitude, longitude }) => {
  const [phi, lambda] = [radians(latitude), radians(longitude)];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
};
const onEarth = ([x, y, z]) => [degrees(Math.atan2(y, x)), degrees(Math.atan2(z, Math.hypot(x, y)))];

function distanceKm(a, b) {
  const [u, v] = [unit(a), unit(b)];
  const dot = u.reduce((sum, each, i) => sum + each * v[i], 0);
  return EARTH_KM * Math.acos(Math.min(1, Math.max(-1, dot)));
}

/** Points of the great circle between two places. */
function greatCircle(a, b, steps = 64) {
  const [u, v] = [unit(a), unit(b)];
  const angle = distanceKm(a, b) / EARTH_KM;
  if (angle < 1e-4 || Math.PI - angle < 1e-4) return [[a.longitude, a.latitude], [b.longitude, b.latitude]];
  return Array.from({ length: steps + 1 }, (_, i) => {
    const [from, to] = [Math.sin((1 - i / steps) * angle) / Math.sin(angle), Math.sin((i / steps) * angle) / Math.sin(angle)];
    return onEarth(u.map((each, k) => from * each + to * v[k]));
  });
}

/** Points at one distance round a place. */
function circle({ latitude, longitude, radius_km }, steps = 48) {
  const [phi, d] = [radians(latitude), Math.min(radius_km, 9000) / EARTH_KM];
  return Array.from({ length: steps + 1 }, (_, i) => {
    const bearing = (2 * Math.PI * i) / steps;
    const lat = Math.asin(Math.sin(phi) * Math.cos(d) + Math.cos(phi) * Math.sin(d) * Math.cos(bearing));
    const lon = radians(longitude) + Math.atan2(Math.sin(bearing) * Math.sin(d) * Math.cos(phi), Math.cos(d) - Math.sin(phi) * Math.sin(lat));
    return [((degrees(lon) + 540) % 360) - 180, degrees(lat)];
  });
}

/** A path over the map, lifted where it crosses the date line. */
function pathOf(points) {
  let path = "";
  points.forEach(([lon, lat], i) => {
    const [x, y] = project(lon, lat);
    const lifted = i && Math.abs(lon - points[i - 1][0]) > 180;
    path += `${i && !lifted ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return path;
}

/** The part of the map that holds these points, as wide as it is high times `ratio`. */
function window_of(points, ratio) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  let [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const margin = Math.max(90, 0.22 * Math.max(right - left, bottom - top));
  [left, right, top, bottom] = [left - margin, right + margin, top - margin, bottom + margin];
  const height = Math.min(WORLD.height, Math.max(bottom - top, (right - left) / ratio, 220));
  const width = height * ratio;
  const [x, y] = [(left + right - width) / 2, (top + bottom - height) / 2];
  const kept = (low, size, most) => (size >= most ? (most - size) / 2 : Math.min(Math.max(low, 0), most - size));
  return { x: kept(x, width, WORLD.width), y: kept(y, height, WORLD.height), width, height };
}

/** Places of a journey, each once, with what it was used for. */
function places(stops) {
  const byPlace = new Map();
  for (const stop of stops.filter((stop) => stop.place)) {
    const { latitude, longitude } = stop.place;
    const key = `${stop.side} ${latitude} ${longitude}`;
    const known = byPlace.get(key) ?? { side: stop.side, place: stop.place, first: stop.first, last: stop.last, uses: 0, ips: new Set() };
    known.uses += stop.uses;
    known.ips.add(stop.ip);
    if (stop.first < known.first) known.first = stop.first;
    if (stop.last > known.last) known.last = stop.last;
    byPlace.set(key, known);
  }
  return [...byPlace.values()].sort((a, b) => (a.first < b.first ? -1 : 1));
}

/** The moves from a holder to who else used the same session, each pair of places once. */
function moves(stops) {
  const known = new Map();
  for (const to of stops.filter((stop) => stop.place && stop.side !== "holder")) {
    const holders = stops.filter((stop) => stop.place && stop.side === "holder" && stop.session === to.session);
    if (!holders.length) continue;
    const before = holders.filter((from) => from.first <= to.first);
    const from = before.length ? before.reduce((a, b) => (a.last > b.last ? a : b)) : holders[0];
    const key = [from, to].map(({ place }) => `${place.latitude} ${place.longitude}`).join();
    if (!known.has(key)) known.set(key, { from, to, km: distanceKm(from.place, to.place) });
  }
  return [...known.values()].filter((move) => move.km > 1).slice(0, 40);
}

const SIDES = { holder: "holder", suspect: "suspect", other: "another suspect" };
const townOf = (each) => each.place.name ?? `${each.place.latitude.toFixed(1)}°, ${each.place.longitude.toFixed(1)}°`;

/** The map of one journey. */
function journeyMap(stops) {
  const all = places(stops);
  if (!all.length) return h("p", { class: "none" }, "No address of this incident has a known place.");
  const going = moves(stops);
  const ratio = 2.4;
  const drawn = [...all.flatMap((each) => circle(each.place)), ...going.flatMap(({ from, to }) => greatCircle(from.place, to.place))];
  const view = window_of(drawn.map(([lon, lat]) => project(lon, lat)), ratio);
  const said = all.map((each) => `${SIDES[each.side]}: ${townOf(each)}, give or take ${count(Math.round(each.place.radius_km))} km`);
  const picture = svg("svg", { viewBox: `${view.x} ${view.y} ${view.width} ${view.height}`, role: "img", "aria-label": `Map. ${said.join("; ")}` },
    land(),
    all.map((each) => svg("path", { class: `radius ${each.side}`, d: pathOf(circle(each.place)) })),
    going.map(({ from, to }) => svg("path", { class: `arc ${to.side}`, d: pathOf(greatCircle(from.place, to.place)) })));
  const names = namesOf(all, view);
  const spots = all.map((each, i) => spot(each, view, names[i]));
  return h("figure", { class: "map" }, h("div", { class: "sheet" }, picture, spots), h("figcaption", {}, legend(all, going)));
}

function at([lon, lat], view) {
  const [x, y] = project(lon, lat);
  return [(100 * (x - view.x)) / view.width, (100 * (y - view.y)) / view.height];
}

/** A letter and a line of a name, a mark and what is between both, in hundredths of the smallest map. */
const LETTER = 1.7, LINE = 9.5, MARK = 3, GAP = 2;
const LINE_EM = 1.3;
const DOWNS = [0, 1, -1, 2, -2, 3, -3];

const overlap = (a, b) => a.left < b.left + b.width && b.left < a.left + a.width && Math.abs(a.middle - b.middle) < (a.height + b.height) / 2;

/** Where the name of each mark stands: beside it, or higher or lower where something stands already; null where nothing is free. */
function namesOf(all, view) {
  const marks = all.map((each) => at([each.place.longitude, each.place.latitude], view));
  const taken = marks.map(([x, y]) => ({ left: x - MARK / 2, width: MARK, middle: y, height: MARK }));
  return all.map((each, i) => {
    const [x, y] = marks[i];
    const width = LETTER * townOf(each).length + GAP;
    const sides = x > 72 ? ["left", "right"] : ["right", "left"];
    for (const down of DOWNS) for (const side of sides) {
      const name = { left: side === "right" ? x + GAP : x - GAP - width, width, middle: y + down * LINE, height: LINE };
      const inside = name.left >= 0 && name.left + width <= 100 && name.middle > 2 && name.middle < 98;
      if (!inside || taken.some((box) => overlap(name, box))) continue;
      taken.push(name);
      return { side, down };
    }
    return null;
  });
}

/** A mark with its name. */
function spot(each, view, name) {
  const [x, y] = at([each.place.longitude, each.place.latitude], view);
  return h("span", { class: `spot ${each.side}`, style: { left: `${x}%`, top: `${y}%` }, "aria-hidden": "true" },
    name && h("span", { class: `town ${name.side}`, style: { "--down": `${name.down * LINE_EM}em` } }, townOf(each)));
}

function legend(all, going) {
  const kinds = [...new Set(all.map((each) => each.side))];
  const off = all.some((each) => !each.place.reference);
  return [
    kinds.map((side) => h("span", { class: `key ${side}` }, SIDES[side])),
    h("span", { class: "key radius" }, "where it may be, 95 times in 100"),
    going.slice(0, 3).map(({ from, to, km }) => h("span", {}, `${townOf(from)} → ${townOf(to)}: ${count(Math.round(km))} km, ${moved(from, to)}`)),
    off && h("span", {}, "a VPN, relay or proxy: its place is not its user's"),
  ];
}

function moved(from, to) {
  const gap = (ms(to.first) - ms(from.last)) / 1000;
  return gap > 0 ? `${duration(gap)} later` : "while the holder went on";
}

/** One map of many journeys, for the overview. */
function worldMap(incidents) {
  const view = { x: 0, y: 0, width: WORLD.width, height: WORLD.height };
  const shown = incidents.slice(0, 300).map((incident) => ({ incident, all: places(incident.journey ?? []) }));
  const arcs = shown.flatMap(({ incident }) => moves(incident.journey ?? []).slice(0, 3).map(({ from, to }) =>
    svg("path", { class: `arc level-${incident.level}`, d: pathOf(greatCircle(from.place, to.place, 40)) })));
  const dots = new Map();
  for (const { all } of shown) for (const each of all) {
    const key = `${each.side}${each.place.latitude.toFixed(1)} ${each.place.longitude.toFixed(1)}`;
    dots.set(key, { each, n: (dots.get(key)?.n ?? 0) + 1 });
  }
  if (!dots.size) return null;
  const spots = [...dots.values()].slice(0, 400).map(({ each, n }) => {
    const [x, y] = at([each.place.longitude, each.place.latitude], view);
    return h("span", { class: `spot small ${each.side}`, style: { left: `${x}%`, top: `${y}%` }, title: `${townOf(each)}: ${plural(n, "incident")}`, "aria-hidden": "true" });
  });
  const towns = [...new Set([...dots.values()].filter(({ each }) => each.side !== "holder").map(({ each }) => townOf(each)))];
  const label = `World map. Suspects were in ${towns.slice(0, 12).join(", ")}${towns.length > 12 ? ` and ${towns.length - 12} more` : ""}.`;
  return h("figure", { class: "map world" }, h("div", { class: "sheet" },
    svg("svg", { viewBox: `0 0 ${WORLD.width} ${WORLD.height}`, role: "img", "aria-label": label }, land(), arcs), spots),
  h("figcaption", {}, h("span", { class: "key holder" }, "holder"), h("span", { class: "key suspect" }, "suspect"),
    incidents.length > shown.length && h("span", {}, `the first ${shown.length} incidents`)));
}

function land() {
  return svg("path", { class: "land", d: LAND });
}
