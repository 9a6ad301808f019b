// The map of samples: density first, points on zoom; coloured by label, study, gene or confidence.
import { ask, baseLayout, colours, count, figure, h, plain, plural, sampleUrl, table } from "./parts.js";

export const SMALL_HEIGHT = 420;
const HIGHEST = 620, NARROW = 560;
const N_NAMED = 3;
const OTHER = new Set(["other", "no label"]);

function categoryColour(picture, k) {
  const name = picture.categories[k];
  if (!OTHER.has(name)) return colours.categories[k % colours.categories.length];
  return name === "no label" ? colours.grid : colours.muted;
}

// The page is as wide as its content; a small map stands in two thirds of it.
function plotWidth(isWhole) {
  const width = Math.min(document.documentElement.clientWidth, 1344) - 80;
  return isWhole || width < 880 ? width : width * 0.64;
}

// Not much higher than wide: groups would look squeezed.
const mapHeight = () => Math.round(Math.min(HIGHEST, Math.max(SMALL_HEIGHT, 1.2 * plotWidth(true))));

export function ratioOf(height, isWhole) {
  return Math.min(5, Math.max(0.2, plotWidth(isWhole) / height)).toPrecision(3);
}

function sizes(picture, indices, width) {
  if (picture.kind === "points") return picture.n_samples > 800 ? 6 : 8;
  const most = Math.max(...picture.n), cell = width / picture.grid[0];
  return indices.map((i) => Math.max(2.5, cell * (0.3 + 0.7 * Math.sqrt(picture.n[i] / most))));
}

function trace(picture, indices, width, marker, name, symbol = "circle") {
  const points = picture.kind === "points";
  return {
    type: "scatter", mode: "markers", name: plain(name),
    x: indices.map((i) => picture.x[i]), y: indices.map((i) => picture.y[i]),
    marker: { size: sizes(picture, indices, width), symbol, opacity: points ? 0.85 : 0.95, line: { width: 0 }, ...marker },
    customdata: points ? indices.map((i) => picture.samples[i]) : undefined,
    text: indices.map((i) => points ? `${plain(picture.samples[i])}<br>${plain(picture.texts[i])}`
      : plural(picture.n[i], "sample") + (picture.texts[i] ? `<br>most: ${plain(picture.texts[i])}` : "")),
    hovertemplate: `%{text}<extra>${plain(name)}</extra>`,
  };
}

function traces(picture, width) {
  const all = picture.x.map((_, i) => i);
  if (picture.categories.length) {
    // Grey ones first: they must not cover the others.
    const order = picture.categories.map((_, k) => k).sort((a, b) => OTHER.has(picture.categories[b]) - OTHER.has(picture.categories[a]) || a - b);
    return order.map((k) => trace(picture, all.filter((i) => picture.value[i] === k), width, { color: categoryColour(picture, k) }, picture.categories[k],
      OTHER.has(picture.categories[k]) || picture.kind === "density" ? "circle" : colours.symbols[k % colours.symbols.length])).filter((one) => one.x.length);
  }
  // What one looks for is dark and on top: high expression, low confidence.
  const sign = picture.color === "confidence" ? -1 : 1;
  // Without the palest colour, which would not show on the card.
  const shown = colours.sequential.slice(1);
  const scale = (sign < 0 ? [...shown].reverse() : shown).map((colour, k) => [k / (shown.length - 1), colour]);
  const isDensity = !picture.color;
  const value = (i) => isDensity ? Math.log10(picture.n[i]) : picture.value[i];
  const known = all.filter((i) => value(i) !== null).sort((a, b) => sign * (value(a) - value(b)));
  const missing = all.filter((i) => value(i) === null);
  const bar = isDensity && picture.kind === "points" ? { color: colours.categories[0] } : {
    color: known.map(value), colorscale: scale, line: { width: 0 },
    colorbar: {
      title: { text: isDensity ? "samples, log10" : plain(picture.color), side: width < NARROW ? "top" : "right" }, thickness: 12, len: 0.7, outlinewidth: 0,
      ...(width < NARROW ? { orientation: "h", y: -0.02, yanchor: "top" } : {}),
    },
  };
  const found = [trace(picture, known, width, bar, picture.color || "samples")];
  if (missing.length) found.unshift(trace(picture, missing, width, { color: colours.grid }, "not measured"));
  return found.map((one) => ({ ...one, showlegend: false }));
}

// Names of labels where most of their samples lie; one that would cover another is left out.
function names(picture, width, height) {
  if (picture.color !== "label" || picture.groups.length > 200) return [];
  const [x0, x1, y0, y1] = picture.box, shown = [];
  for (const group of picture.groups) {
    if (!group.place || shown.length >= width / 40) continue;
    const [x, y] = [(group.place[0] - x0) / (x1 - x0) * width, (group.place[1] - y0) / (y1 - y0) * height];
    const half = 3.5 * group.name.length + 4;
    if (shown.every((one) => Math.abs(one.y - y) > 18 || Math.abs(one.x - x) > one.half + half)) shown.push({ group, x, y, half });
  }
  return [{
    type: "scatter", mode: "text", name: "names", showlegend: false, hoverinfo: "skip", textfont: { size: 12, color: colours.text },
    // Below their samples where they would leave the picture above them.
    textposition: shown.map((one) => one.y > height - 20 ? "bottom center" : "top center"),
    x: shown.map(({ group }) => group.place[0]), y: shown.map(({ group }) => group.place[1]), text: shown.map(({ group }) => plain(group.name)),
  }];
}

export function mapPlot(picture, { marks = [], height = mapHeight(), isWhole = true } = {}) {
  const width = plotWidth(isWhole);
  const data = [...traces(picture, width), ...names(picture, width, height)];
  if (marks.length) {
    data.push({
      type: "scatter", mode: "markers+text", name: "marked", x: marks.map((one) => one.place[0]), y: marks.map((one) => one.place[1]),
      // Names of many would lie on one another: then the chosen one's alone is written.
      text: marks.map((one) => marks.length <= N_NAMED || one.isChosen ? plain(one.name) : ""), textposition: "bottom center",
      marker: { symbol: "x", size: marks.map((one) => one.isChosen ? 18 : 13), color: colours.text, opacity: 1, line: { width: 2, color: "#ffffff" } },
      hovertext: marks.map((one) => plain(one.name)), hoverinfo: "text", textfont: { size: 13 },
    });
  }
  const [x0, x1, y0, y1] = picture.box;
  const axis = { showticklabels: false, ticks: "", showgrid: false, title: { text: "" }, showline: false };
  const layout = baseLayout({
    height, dragmode: "pan", hovermode: "closest",
    xaxis: { ...axis, range: [x0, x1] }, yaxis: { ...axis, range: [y0, y1] },
    legend: { orientation: "h", y: -0.02, yanchor: "top", x: 0, itemsizing: "constant" },
  });
  layout.margin = { l: 8, r: 8, t: 8, b: 8 };
  return { data, layout };
}

export function mapTsv(picture) {
  const named = picture.categories.length ? picture.value.map((k) => picture.categories[k]) : picture.value;
  const columns = { x: picture.x, y: picture.y, samples: picture.n };
  if (picture.color) columns[picture.color] = named;
  if (picture.kind === "points") return { sample: picture.samples, ...columns, description: picture.texts };
  return picture.texts.length ? { ...columns, "most frequent": picture.texts } : columns;
}

export function mapText(picture) {
  const colour = picture.categories.length ? ", in the colour of its most frequent group" : picture.color ? ", in the colour of its mean" : "";
  const how = picture.kind === "points" ? "one mark per sample" : `one mark per square, larger with more samples${colour}; zoom in for single samples`;
  return `${plural(picture.n_samples, "sample")} in view, ${how}.`;
}

function inView(picture) {
  if (picture.kind === "points") {
    return table("in-view", "Samples in view", [
      { title: "sample", value: (i) => picture.samples[i], link: (i) => sampleUrl(picture.samples[i]) },
      { title: "description", value: (i) => picture.texts[i] },
      ...(picture.color && !picture.categories.length ? [{ title: picture.color, kind: "number", value: (i) => picture.value[i] }] : []),
    ], picture.x.map((_, i) => i));
  }
  if (!picture.groups.length) return null;
  return table("in-view", `Samples in view, by ${picture.color}`, [
    { title: picture.color, value: (group) => group.name },
    { title: "samples", kind: "integer", value: (group) => group.n_samples },
  ], picture.groups);
}

export async function showMap({ query, facts, replace }) {
  const state = { color: query.get("color") ?? (facts.n_labels ? "label" : "study"), box: ["x0", "x1", "y0", "y1"].map((name) => query.get(name)), mark: query.get("mark") };
  const address = () => {
    const values = new URLSearchParams({ color: state.color });
    if (state.mark) values.set("mark", state.mark);
    if (state.box.every((bound) => bound !== null)) ["x0", "x1", "y0", "y1"].forEach((name, k) => values.set(name, state.box[k]));
    return values;
  };
  const askMap = () => ask(`/api/map?${address()}&ratio=${ratioOf(mapHeight(), true)}`);
  let picture = await askMap();
  const marked = state.mark ? await ask(`/api/samples/${encodeURIComponent(state.mark)}`) : null;
  const marks = marked ? [{ name: marked.sample, place: marked.place }] : [];
  const drawn = figure("map", {
    title: picture.color ? `Samples by ${picture.color}` : "Where the samples lie", caption: "Near samples have similar expression; distances between far groups mean little.",
    text: mapText(picture), plot: mapPlot(picture, { marks }), tsv: mapTsv(picture), settings: { scrollZoom: true, doubleClick: false },
  });
  const tablePlace = h("div", {}, inView(picture) ?? "");
  let timer = 0, number = 0;

  async function renew() {
    const own = ++number;
    const next = await askMap();
    if (own !== number) return;
    picture = next;
    replace(`/map?${address()}`);
    drawn.show(mapPlot(picture, { marks }), mapTsv(picture), mapText(picture));
    tablePlace.replaceChildren(inView(picture) ?? "");
    document.getElementById("status").textContent = mapText(picture);
  }
  function look(box) {
    state.box = box.map((bound) => Number(bound).toPrecision(5));
    clearTimeout(timer);
    timer = setTimeout(renew, 180);
  }
  function zoom(factor) {
    const [x0, x1, y0, y1] = picture.box;
    const grow = (low, high) => [(low + high) / 2 - (high - low) / 2 * factor, (low + high) / 2 + (high - low) / 2 * factor];
    look([...grow(x0, x1), ...grow(y0, y1)]);
  }
  drawn.onClick = (point) => point.customdata && window.dispatchEvent(new CustomEvent("go", { detail: sampleUrl(point.customdata) }));
  drawn.onDrawn = () => drawn.place.on("plotly_relayout", (change) => {
    if (change["xaxis.range[0]"] === undefined && change["yaxis.range[0]"] === undefined) return;
    const { xaxis, yaxis } = drawn.place.layout;
    look([...xaxis.range, ...yaxis.range]);
  });

  const special = { label: "label", study: "study", density: "density only", ...(facts.has_model ? { confidence: "confidence of the model" } : {}) };
  const isOwn = !(state.color in special);
  const [kind, ...rest] = state.color.split(":");
  const gene = h("input", { type: "search", id: "map-gene", size: 12, autocomplete: "off", spellcheck: "false", value: kind === "gene" ? rest.join(":") : "" });
  const choose = (color) => window.dispatchEvent(new CustomEvent("go", { detail: `/map?${new URLSearchParams({ ...Object.fromEntries(address()), color })}` }));
  const select = h("select", { id: "map-color", onchange: (event) => choose(event.target.value) },
    Object.entries(special).map(([value, name]) => h("option", { value, selected: value === state.color }, name)),
    isOwn ? h("option", { value: state.color, selected: true }, kind === "gene" ? picture.color : state.color) : null,
    facts.labels.length ? h("optgroup", { label: "one label against the others" }, facts.labels.map(({ key }) => h("option", { value: `label:${key}` }, key))) : null);
  return {
    title: "Map",
    content: [
      h("h1", {}, "Map of samples"),
      h("p", { class: "lead" }, `${plural(facts.n_samples, "sample")}. Drag to move, turn the wheel or use the buttons to zoom, click a sample to open it.`),
      h("div", { class: "controls" },
        h("label", { for: "map-color" }, "Colour by", select),
        h("form", { onsubmit: (event) => { event.preventDefault(); if (gene.value.trim()) choose(`gene:${gene.value.trim()}`); } },
          h("label", { for: "map-gene" }, "or by a gene", h("span", { class: "group" }, gene, h("button", {}, "Colour")))),
        h("div", { class: "group", role: "group", "aria-label": "Zoom" },
          h("button", { type: "button", onclick: () => zoom(0.5) }, "Zoom in"),
          h("button", { type: "button", onclick: () => zoom(2) }, "Zoom out"),
          h("button", { type: "button", onclick: () => { state.box = [null, null, null, null]; renew(); } }, "Whole map"))),
      h("div", { class: "stack" }, drawn.element, tablePlace),
    ],
  };
}
