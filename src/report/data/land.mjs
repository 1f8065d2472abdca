// Makes land.txt: the land of the Earth as one path of an SVG, in the Natural Earth projection.
//
//   npm install world-atlas@2 topojson-client@3 && node land.mjs node_modules > land.txt
//
// Source of the data: Natural Earth 1:50m land, public domain, from npm `world-atlas`. Source of the projection: Šavrič,
// Patterson, Jenny, "The Natural Earth II and other polynomial projections", 2011; the same numbers stand in map.js.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const from = process.argv[2];
const { feature } = await import(pathToFileURL(`${from}/topojson-client/src/index.js`));
const world = JSON.parse(readFileSync(`${from}/world-atlas/land-50m.json`, "utf8"));

const WIDTH = 2000; // of the map, in units: one is about 20 km at the equator
const SOUTHMOST = -58; // nobody logs in from Antarctica
const AREA_MIN = 1.2; // smallest triangle that a point may stand for, and a quarter of the smallest island, in units²

const project = ([lon, lat]) => {
  const phi = (lat * Math.PI) / 180, p2 = phi * phi, p4 = p2 * p2;
  const x = ((lon * Math.PI) / 180) * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)));
  const y = phi * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)));
  const scale = WIDTH / 2 / (0.8707 * Math.PI);
  return [WIDTH / 2 + x * scale, 520 - y * scale];
};

const triangle = (a, b, c) => Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2;

// Visvalingam, Whyatt, "Line generalisation by repeated elimination of points", 1993.
function simplified(ring) {
  const points = ring.slice();
  for (;;) {
    let least = Infinity, at = -1;
    for (let i = 1; i < points.length - 1; i++) {
      const area = triangle(points[i - 1], points[i], points[i + 1]);
      if (area < least) [least, at] = [area, i];
    }
    if (at < 0 || least >= AREA_MIN) return points;
    points.splice(at, 1);
  }
}

// A ring that crosses the date line, as one on either side of it.
function cut(ring) {
  let turn = 0;
  const whole = ring.map(([lon, lat], i) => {
    const step = i ? lon - ring[i - 1][0] : 0;
    turn += step > 180 ? -360 : step < -180 ? 360 : 0;
    return [lon + turn, lat];
  });
  const lons = whole.map(([lon]) => lon);
  if (Math.min(...lons) >= -180 && Math.max(...lons) <= 180) return [whole];
  return [-360, 0, 360].map((shift) => {
    const side = whole.map(([lon, lat]) => [lon + shift, lat]);
    return clipped(clipped(side, 1), -1);
  }).filter((part) => part.length > 3);
}

// Sutherland, Hodgman, "Reentrant polygon clipping", 1974, at one meridian: 180 times the sign.
function clipped(ring, sign) {
  const inside = ([lon]) => sign * lon <= 180;
  const part = ring.flatMap((to, i) => {
    const from = ring[(i || ring.length) - 1];
    const share = (180 * sign - from[0]) / (to[0] - from[0]);
    const edge = [180 * sign, from[1] + share * (to[1] - from[1])];
    if (inside(from) !== inside(to)) return inside(to) ? [edge, to] : [edge];
    return inside(to) ? [to] : [];
  });
  return part.length ? [...part, part[0]] : part;
}

const area = (ring) => Math.abs(ring.reduce((sum, [x, y], i) => {
  const [nx, ny] = ring[(i + 1) % ring.length];
  return sum + x * ny - nx * y;
}, 0)) / 2;

let path = "";
const land = feature(world, world.objects.land);
const shapes = land.type === "FeatureCollection" ? land.features.map((each) => each.geometry) : [land.geometry];
for (const polygon of shapes.flatMap((shape) => (shape.type === "MultiPolygon" ? shape.coordinates : [shape.coordinates]))) {
  if (polygon[0].every(([, lat]) => lat < SOUTHMOST)) continue;
  for (const ring of polygon.flatMap(cut)) {
    const points = simplified(ring.map(project)).map((point) => point.map(Math.round));
    if (points.length < 4 || area(points) < 4 * AREA_MIN) continue;
    let [x, y] = points[0];
    path += `M${x} ${y}l`;
    const steps = [];
    for (const [nx, ny] of points.slice(1, -1)) {
      if (nx === x && ny === y) continue;
      steps.push(`${nx - x}${ny - y < 0 ? "" : " "}${ny - y}`);
      [x, y] = [nx, ny];
    }
    path += steps.join(" ").replaceAll(" -", "-") + "z";
  }
}
process.stdout.write(path + "\n");
