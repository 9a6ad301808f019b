// Samples: search, and the page of one.
import { ask, chips, count, facts, figure, geneUrl, h, labelUrl, plural, sampleUrl, table } from "./parts.js";
import { mapPlot, mapText, mapTsv, ratioOf, SMALL_HEIGHT } from "./places.js";

const N_AT_ONCE = 200;
const NAMES = {
  series: "series", study: "study", source: "source", characteristics: "characteristics", platform: "platform",
  aligned_reads: "aligned reads", single_cell_probability: "single-cell probability", n_detected: "genes detected", split: "split",
};

export function sampleTable(id, caption, hits, extra = []) {
  return table(id, caption, [
    { title: "sample", value: (hit) => hit.sample, link: (hit) => hit.in_atlas ? sampleUrl(hit.sample) : null },
    { title: "title", value: (hit) => hit.title },
    { title: "labels", value: (hit) => hit.labels.join(", ") || (hit.in_atlas ? "none" : "not in the atlas") },
    { title: "source", value: (hit) => hit.source },
    { title: "study", value: (hit) => hit.study },
    ...extra,
  ], hits);
}

export const distanceColumn = { title: "distance", kind: "number", value: (hit) => hit.distance, explanation: "Euclidean distance in 50 principal components; compare within one list only." };

export async function showSamples({ query, facts: atlas }) {
  const words = query.get("q") ?? "", label = query.get("label") ?? "", offset = Number(query.get("offset") ?? 0);
  const values = new URLSearchParams({ q: words, label, offset, limit: N_AT_ONCE });
  const found = await ask(`/api/samples?${values}`);
  const page = (start, name) => {
    values.set("offset", start);
    values.delete("limit");
    return h("a", { href: `/samples?${values}` }, name);
  };
  const turn = [];
  if (offset > 0) turn.push(page(Math.max(0, offset - N_AT_ONCE), `Previous ${N_AT_ONCE}`), ". ");
  if (offset + N_AT_ONCE < found.n_found) turn.push(page(offset + N_AT_ONCE, `Next ${N_AT_ONCE}`), ". ");
  const range = found.n_found > N_AT_ONCE ? `, ${count(offset + 1)} to ${count(offset + found.hits.length)} below` : "";
  const how = atlas.has_compendium
    ? "Words, \"phrases\", OR, NOT, hepat* and title:liver are searched in all samples of the ARCHS4 file."
    : "All words must occur in id, series, title, source or characteristics.";
  return {
    title: "Samples",
    content: [
      h("h1", {}, "Samples"),
      h("form", { class: "controls", role: "search", "aria-label": "Samples", action: "/samples", "data-route": true },
        h("label", { for: "sample-words" }, "Words", h("input", { type: "search", id: "sample-words", name: "q", value: words, autocomplete: "off" })),
        h("label", { for: "sample-label" }, "Label", h("select", { id: "sample-label", name: "label" },
          h("option", { value: "" }, "any"), atlas.labels.map(({ key, n_samples }) => h("option", { value: key, selected: key === label }, `${key} (${count(n_samples)})`)))),
        h("button", {}, "Search")),
      h("p", { class: "lead" }, h("strong", {}, `${plural(found.n_found, "sample")} found${range}. `), turn, how,
        label ? h("span", {}, " ", h("a", { href: `/map?${new URLSearchParams({ color: `label:${label}` })}` }, `${label} on the map`)) : null),
      found.hits.length ? sampleTable("samples", "Samples found", found.hits) : h("p", { class: "absent" }, "No sample was found; try fewer words or the beginning of one."),
    ],
  };
}

export function answerCard(prediction, { level = "h2", note = null } = {}) {
  if (!prediction) return null;
  const bars = prediction.probabilities.filter((one, k) => k < 3 || one.probability >= 0.005);
  return h("div", { class: "card" },
    h(level, {}, "What the model says"),
    h("p", { class: "answer" }, prediction.label, " ", prediction.unknown ? h("span", { class: "chip unsure" }, "unknown") : null),
    h("p", {}, `Confidence ${prediction.confidence.toFixed(2)}`, prediction.labels.length ? ` · labels: ${prediction.labels.join(", ")}` : ""),
    prediction.reason ? h("p", { class: "remark" }, prediction.unknown ? "Called unknown: " : "Note: ", prediction.reason, ".") : null,
    note ? h("p", { class: "remark" }, note) : null,
    h("dl", { class: "bars", "aria-label": "Probabilities" }, bars.map((one) => h("div", {}, h("dt", {}, one.label),
      h("dd", {}, h("progress", { max: 1, value: one.probability, "aria-label": `Probability of ${one.label}` }), h("span", { class: "number" }, one.probability.toFixed(3)))))));
}

// Genes for and against the label, asked for once the page stands.
function reasonsCard(sample, label) {
  const place = h("div", { class: "stack" }, h("p", { class: "absent", role: "status" }, "Asking the model which genes speak for it ..."));
  const effects = (id, caption, genes) => genes.length ? table(id, caption, [
    { title: "gene", value: (one) => one.symbol, link: (one) => geneUrl(one.gene) },
    { title: "effect", kind: "score", value: (one) => one.log_odds, explanation: "Change of the label's log odds against the gene at its training median, all others as they are." },
    { title: "value", kind: "number", value: (one) => one.value, explanation: "In this sample, on the model's scale." },
    { title: "median", kind: "number", value: (one) => one.training_median, explanation: "Over the training samples." },
  ], genes) : h("p", { class: "absent" }, `${caption}: none.`);
  ask(`/api/samples/${encodeURIComponent(sample)}/reasons`).then((found) => place.replaceChildren(
    effects("genes-for", `Genes that speak for ${label}`, found.genes_for), effects("genes-against", `Genes that speak against ${label}`, found.genes_against)),
  (error) => place.replaceChildren(h("p", { class: "error", role: "alert" }, error.message)));
  return place;
}

export async function smallMap(marks, text, title = "Place on the map") {
  const picture = await ask(`/api/map?color=label&ratio=${ratioOf(SMALL_HEIGHT, false)}`).catch(() => null);
  if (!picture) return null;
  return figure("place", {
    title, caption: text, text: mapText(picture),
    plot: mapPlot(picture, { marks, height: SMALL_HEIGHT, isWhole: false }), tsv: mapTsv(picture),
  }).element;
}

export async function showSample({ parts }) {
  const sample = await ask(`/api/samples/${encodeURIComponent(parts[0])}`);
  const map = sample.place ? await smallMap([{ name: sample.sample, place: sample.place }], "The cross is this sample.") : null;
  if (map) map.append(h("p", {}, h("a", { href: `/map?${new URLSearchParams({ color: "label", mark: sample.sample })}` }, "Open on the map")));
  const seen = sample.is_labelled ? "This sample carries labels, so a model of this atlas was trained on it: the answer is no test of the model." : null;
  const rest = Object.keys(sample.fields).filter((name) => !(name in NAMES) && name !== "title" && sample.fields[name] !== "" && sample.fields[name] !== null);
  const write = (value) => typeof value === "number" ? (Number.isInteger(value) ? count(value) : three.format(value)) : String(value);
  const link = (name, value) => name === "study" || name === "series"
    ? h("a", { href: `/samples?${new URLSearchParams({ q: value })}` }, String(value)) : write(value);
  return {
    title: sample.sample,
    content: [
      h("p", { class: "overline" }, "Sample"),
      h("h1", {}, sample.sample),
      h("p", { class: "lead" }, sample.fields.title ?? ""),
      h("div", { class: "columns" },
        h("div", { class: "stack" },
          h("div", { class: "card" }, h("h2", {}, "Labels"), sample.labels.length ? chips(sample.labels) : h("p", {}, "It carries no label.")),
          answerCard(sample.prediction, { note: seen }),
          map, sampleTable("nearest", "Nearest samples", sample.nearest, [distanceColumn])),
        h("div", { class: "stack" },
          sample.prediction ? reasonsCard(sample.sample, sample.prediction.label) : null,
          h("div", { class: "card" }, h("h2", {}, "What is known of it"),
            facts(Object.entries(NAMES).filter(([name]) => name in sample.fields && sample.fields[name] !== null && sample.fields[name] !== "")
              .map(([name, title]) => [title, link(name, sample.fields[name])])),
            rest.length ? h("details", {}, h("summary", {}, "More"), facts(rest.map((name) => [name.replaceAll("_", " "), write(sample.fields[name])]))) : null))),
    ],
  };
}

export function labelsTable(atlas) {
  return table("labels", "Labels", [
    { title: "label", value: (one) => one.key, link: (one) => labelUrl(one.key) },
    { title: "kind", value: (one) => one.kind.replaceAll("_", " ") },
    { title: "samples", kind: "integer", value: (one) => one.n_samples },
  ], atlas.labels, { pageRows: 15 });
}
