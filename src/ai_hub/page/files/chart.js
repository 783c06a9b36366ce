// The chart of an asset: drawn of the numbers in the page, which asks for parts of itself anew.
"use strict";

const holder = document.getElementById("chart-part");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");
const shades = ["--series", "--text", "--filled"];
let plots = [];
let drawn = null;

function table() {
  const { readings, gaps, feature } = drawn;
  const time = [], value = [];
  let gap = 0;
  // A line ends at a gap: a point without a value stands in it.
  readings.time.forEach((at, i) => {
    while (gap < gaps.length && gaps[gap][1] <= at) {
      time.push((gaps[gap][0] + gaps[gap][1]) / 2);
      value.push(null);
      gap += 1;
    }
    time.push(at);
    value.push(readings.value[i]);
  });
  const known = feature.value.map((one, i) => (feature.missing[i] ? null : one));
  const filled = feature.value.map((one, i) => (feature.missing[i] ? one : null));
  const tables = [[time, value], [feature.time, known, filled]];
  return uPlot.join(tables.filter((one) => one[0].length));
}

function bands(u) {
  u.ctx.save();
  u.ctx.fillStyle = color("--warn-tint");
  for (const [from, to] of drawn.gaps) {
    const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
    if (right > left) u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  }
  u.ctx.restore();
}

// Where the feature is missing: a strip along the axis of time.
function strips(u) {
  u.ctx.save();
  u.ctx.fillStyle = color("--filled");
  const high = 5 * devicePixelRatio;
  for (const [from, to] of drawn.missing) {
    const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
    if (right >= left) u.ctx.fillRect(left, u.bbox.top + u.bbox.height - high, Math.max(right - left, 2), high);
  }
  u.ctx.restore();
}

function mark(u) {
  if (drawn.at < drawn.start || drawn.at > drawn.end) return;
  const x = Math.round(u.valToPos(drawn.at, "x", true));
  u.ctx.save();
  u.ctx.strokeStyle = color("--text");
  u.ctx.setLineDash([4, 4]);
  u.ctx.beginPath();
  u.ctx.moveTo(x, u.bbox.top);
  u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
  u.ctx.stroke();
  u.ctx.restore();
}

// Times are written as everywhere else, whatever the place of the browser.
function times(u, splits, axis, space, step) {
  let day = "";
  return splits.map((at) => {
    const text = new Date(at * 1000).toISOString();
    const told = day === text.slice(0, 10);
    day = text.slice(0, 10);
    if (step >= 28 * 86400) return text.slice(0, 7);
    if (step >= 86400) return text.slice(5, 10);
    return told ? text.slice(11, 16) : `${text.slice(11, 16)}\n${text.slice(5, 10)}`;
  });
}

const minutes = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
const axis = () => ({ stroke: color("--soft"), grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--grid"), width: 1 }, font: "12px system-ui, sans-serif" });
const clock = { label: "Time", value: (u, v) => (v == null ? "–" : minutes(v)) };

// A chart over the range: to drag zooms, to click takes the time, and all have one cursor.
function over(place, more, joined) {
  const plot = new uPlot({
    width: place.clientWidth, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "UTC"),
    cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "time", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } } },
    legend: { live: true },
    ...more,
    scales: { x: { min: drawn.start, max: drawn.end }, ...more.scales },
    hooks: {
      ...more.hooks,
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        zoom(from, to);
      }],
    },
  }, joined, place);
  let pressed = 0;
  plot.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
  plot.over.addEventListener("mouseup", (event) => {
    if (Math.abs(event.clientX - pressed) < 4) explain(plot.posToVal(plot.cursor.left, "x"));
  });
  plots.push(plot);
}

function readings(place) {
  if (!drawn.readings.time.length && !drawn.feature.time.length) {
    place.hidden = true;
    return;
  }
  const [series, text, filled] = shades.map(color);
  const own = drawn.feature.axis === "own";
  const of = (label, more) => ({ label, spanGaps: false, scale: "y", ...more });
  const named = drawn.feature.name, scale = own ? "own" : "y";
  const lines = [
    clock,
    of(drawn.series, { stroke: series, width: 1.25, points: { show: drawn.readings.time.length < 60 } }),
    of(named, { stroke: text, width: 1.25, scale, dash: [6, 3], points: { show: false } }),
    of(`${named}, filled`, { stroke: filled, scale, paths: () => null, points: { show: true, size: 5, fill: filled } }),
  ];
  const joined = table();
  const missing = !drawn.readings.time.length;
  if (missing) lines.splice(1, 1);
  if (!drawn.feature.time.length) lines.splice(-2, 2);
  over(place, {
    height: innerWidth < 800 ? 260 : 340,
    series: lines,
    scales: { y: {}, own: {} },
    axes: [{ ...axis(), space: 70, values: times }, { ...axis(), scale: "y", size: 60 }, ...(own ? [{ ...axis(), scale: "own", side: 1, grid: { show: false }, size: 50 }] : [])],
    hooks: { drawClear: [bands], draw: [strips, mark] },
  }, joined);
}

function weather(place) {
  const { time, value, issued, column } = drawn.weather;
  const known = (u, v, s, i) => (i == null || v == null ? "–" : `${v}, issued ${minutes(issued[i])}`);
  over(place, {
    height: innerWidth < 800 ? 150 : 180,
    series: [clock, { label: column.replaceAll("_", " "), stroke: color("--ok"), width: 1.25, spanGaps: false, value: known, points: { show: false } }],
    // As wide as those of the chart above, so that times stand under each other.
    axes: [{ ...axis(), space: 70, values: times }, { ...axis(), size: 60 }, ...(drawn.feature.axis === "own" ? [{ side: 1, size: 50, values: () => [], grid: { show: false }, ticks: { show: false } }] : [])],
    hooks: { draw: [mark] },
  }, [time, value]);
}

function draw() {
  drawn = JSON.parse(document.getElementById("drawn").textContent);
  for (const plot of plots) plot.destroy();
  plots = [];
  readings(document.getElementById("chart"));
  const place = document.getElementById("weather-chart");
  if (place) weather(place);
}

const iso = (seconds) => new Date(Math.round(seconds) * 1000).toISOString().slice(0, 19) + "Z";

async function part(url, name, into) {
  const asked = new URL(url, location.href);
  asked.searchParams.set("part", name);
  into.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(asked, { headers: { accept: "text/html" } });
    // Whatever is wrong, the whole page says it.
    if (!answer.ok) { location.assign(url); return false; }
    into.innerHTML = await answer.text();
  } finally {
    into.removeAttribute("aria-busy");
  }
  history.replaceState(null, "", url);
  return true;
}

async function go(url) {
  const focused = document.activeElement;
  const again = focused?.dataset?.move ? `[data-move="${focused.dataset.move}"]` : focused?.id === "chart" ? "#chart" : null;
  const at = new URL(location.href).searchParams.get("at");
  const asked = new URL(url, location.href);
  if (at) asked.searchParams.set("at", at);
  if (await part(asked, "chart", holder)) {
    draw();
    if (again) holder.querySelector(again)?.focus();
  }
}

function zoom(from, to) {
  const asked = new URL(document.querySelector(".moves a").href);
  asked.searchParams.set("from", iso(from));
  asked.searchParams.set("to", iso(to));
  return go(asked);
}

async function explain(at) {
  const asked = new URL(document.querySelector(".moves a").href);
  asked.searchParams.set("from", iso(drawn.start));
  asked.searchParams.set("to", iso(drawn.end));
  asked.searchParams.set("at", iso(at));
  if (await part(asked, "vector", document.getElementById("vector-part"))) {
    drawn.at = Math.round(at);
    for (const plot of plots) plot.redraw();
    copyButtons();
  }
}

holder.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-move]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.href);
});
holder.addEventListener("keydown", (event) => {
  if (event.target.id !== "chart") return;
  const move = { ArrowLeft: "earlier", ArrowRight: "later", "+": "closer", "-": "wider" }[event.key];
  if (event.key === "Enter") explain((drawn.start + drawn.end) / 2);
  else if (move) holder.querySelector(`[data-move="${move}"]`)?.click();
  else return;
  event.preventDefault();
});
dark.addEventListener("change", draw);
addEventListener("resize", () => {
  for (const plot of plots) plot.setSize({ width: plot.root.parentElement.clientWidth, height: plot.height });
});
draw();
