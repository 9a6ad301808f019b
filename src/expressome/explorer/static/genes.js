// One gene: expression by label, metrics, similar genes. And the search for genes.
import { ask, baseLayout, colours, count, facts, figure, geneUrl, h, labelUrl, plain, plural, table } from "./parts.js";

const N_SHOWN = 20;
const NO_LABEL = "no label";
const METRICS = [
  ["biotype", "biotype"], ["length_bp", "length, bp"], ["n_detected", "samples with a read"],
  ["p95", "95th percentile"], ["p95_ratio", "signal (p95 / mean)"], ["mean_cosine", "mean cosine"],
];

function writeMetric(gene, name) {
  const value = gene.metrics[name];
  if (value === null || value === undefined) return null;
  const rank = gene.metrics[`rank_${name}`];
  const text = typeof value === "number" ? (Number.isInteger(value) ? count(value) : three.format(value)) : value.replaceAll("_", " ");
  return rank ? `${text} (rank ${count(rank)} of ${count(gene.n_genes)})` : text;
}

function drawViolins(gene, all) {
  const shown = all ? gene.labels : gene.labels.slice(0, N_SHOWN);
  const kinds = [...new Set(gene.labels.map((one) => one.kind))];
  const seen = new Set();
  const data = shown.map((one) => {
    const name = one.label || NO_LABEL;
    const colour = one.label ? colours.categories[kinds.indexOf(one.kind) % colours.categories.length] : colours.muted;
    const kind = one.label ? one.kind || "label" : NO_LABEL;
    const first = !seen.has(kind);
    seen.add(kind);
    return {
      type: "violin", orientation: "h", x: one.quantiles, y0: plain(name), name: plain(kind.replaceAll("_", " ")), legendgroup: kind, showlegend: first,
      line: { color: colour, width: 1.5 }, fillcolor: colour, opacity: 0.75, points: false, spanmode: "hard",
      scalemode: "width", width: 0.85, box: { visible: true, width: 0.22, fillcolor: "rgba(255, 255, 255, 0.6)", line: { color: colours.text, width: 1 } }, meanline: { visible: false },
      hoverinfo: "x", hoveron: "violins",
    };
  });
  const labels = shown.map((one) => plain(one.label || NO_LABEL));
  const layout = baseLayout({
    height: 90 + 30 * shown.length,
    xaxis: { title: { text: gene.unit } },
    yaxis: { categoryorder: "array", categoryarray: [...labels].reverse(), range: [-0.7, labels.length - 0.3], type: "category", showgrid: false },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    violingap: 0, violinmode: "overlay", hovermode: "closest",
  });
  layout.margin.t = 36;
  return { data, layout };
}

function describe(gene) {
  const [first, second] = gene.labels.filter((one) => one.label);
  if (!first) return "No sample has a label.";
  const words = `Highest in ${first.label}: median ${three.format(first.median)} over ${plural(first.n_samples, "sample")} of ${plural(first.n_studies, "study").replace("studys", "studies")}`;
  return second ? `${words}; next ${second.label}, ${three.format(second.median)}.` : `${words}.`;
}

export async function showGene({ parts, query }) {
  const gene = await ask(`/api/genes/${encodeURIComponent(parts[0])}`);
  const all = query.get("labels") === "all";
  const tsv = {
    label: gene.labels.map((one) => one.label || NO_LABEL), kind: gene.labels.map((one) => one.kind),
    samples: gene.labels.map((one) => one.n_samples), studies: gene.labels.map((one) => one.n_studies),
    q25: gene.labels.map((one) => one.q25), median: gene.labels.map((one) => one.median), q75: gene.labels.map((one) => one.q75),
  };
  const drawn = figure("expression", {
    title: "Expression by label", caption: "One shape per label: the distribution over its samples, its quartiles inside.",
    text: describe(gene), plot: drawViolins(gene, all), tsv,
  });
  const own = query.has("labels") ? "" : "?labels=all";
  const more = gene.labels.length > N_SHOWN
    ? h("p", {}, h("a", { href: geneUrl(gene.gene) + own }, all ? `Show the first ${N_SHOWN}` : `Show all ${gene.labels.length} labels`)) : null;
  drawn.element.append(more ?? "");
  const similar = gene.similar.length ? table("similar", "Most similar genes", [
    { title: "gene", value: (one) => one.symbol, link: (one) => geneUrl(one.gene) },
    { title: "similarity", kind: "score", value: (one) => one.similarity, explanation: "Correlation over all samples of the atlas, estimated to within 0.06 (standard error)." },
    { title: "biotype", value: (one) => one.biotype.replaceAll("_", " ") },
  ], gene.similar) : h("div", { class: "card" }, h("h2", {}, "Most similar genes"),
    h("p", {}, `No gene is more similar than ${gene.lowest_similarity.toFixed(2)}; below that it could be chance.`));
  return {
    title: gene.symbol,
    content: [
      h("p", { class: "overline" }, "Gene"),
      h("h1", {}, gene.symbol),
      h("p", { class: "lead" }, gene.gene === gene.symbol ? "" : `${gene.gene}. `, describe(gene)),
      facts([
        ...METRICS.map(([name, title]) => [title, writeMetric(gene, name)]),
        ["samples that measured it", gene.n_unmeasured ? `${count(gene.n_samples)} of ${count(gene.n_samples + gene.n_unmeasured)}` : count(gene.n_samples)],
        ["on the map", h("a", { href: `/map?${new URLSearchParams({ color: `gene:${gene.gene}` })}` }, `colour by ${gene.symbol}`)],
      ]),
      h("div", { class: "columns" },
        h("div", { class: "stack" }, drawn.element, table("by-label", "Expression by label, in numbers", [
          { title: "label", value: (one) => one.label || NO_LABEL, link: (one) => one.label && labelUrl(one.label) },
          { title: "kind", value: (one) => one.kind.replaceAll("_", " ") },
          { title: "samples", kind: "integer", value: (one) => one.n_samples },
          { title: "studies", kind: "integer", value: (one) => one.n_studies, explanation: "Connected groups of series: samples of one study resemble each other." },
          { title: "lower quartile", kind: "number", value: (one) => one.q25 },
          { title: "median", kind: "number", value: (one) => one.median },
          { title: "upper quartile", kind: "number", value: (one) => one.q75 },
        ], gene.labels)),
        h("div", { class: "stack" }, similar)),
    ],
  };
}

// The search box: a list below it that arrow keys walk through.
export function setUpSearch(go) {
  const input = document.getElementById("gene-search");
  const list = document.getElementById("gene-list");
  let hits = [], chosen = -1, asked = 0, answered = "";

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function mark(position) {
    chosen = position;
    [...list.children].forEach((item, k) => item.setAttribute("aria-selected", String(k === chosen)));
    if (chosen >= 0) {
      input.setAttribute("aria-activedescendant", `gene-option-${chosen}`);
      list.children[chosen].scrollIntoView({ block: "nearest" });
    }
  }
  function open(gene) {
    close();
    input.value = "";
    go(geneUrl(gene));
  }
  async function look() {
    const number = ++asked;
    const words = input.value.trim();
    const found = words ? await ask(`/api/genes?${new URLSearchParams({ q: words, limit: 12 })}`).catch(() => []) : [];
    if (number !== asked) return;
    hits = found;
    answered = words;
    list.replaceChildren(...hits.map((hit, k) => h("li", { role: "option", id: `gene-option-${k}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); open(hit.gene); } },
      hit.symbol, h("span", {}, hit.gene === hit.symbol ? "" : hit.gene))));
    list.hidden = !hits.length;
    input.setAttribute("aria-expanded", String(hits.length > 0));
    mark(hits.length ? 0 : -1);
    document.getElementById("status").textContent = words ? `${plural(hits.length, "gene")} found` : "";
  }
  input.addEventListener("input", look);
  input.addEventListener("focus", () => input.value && look());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (hits.length) mark((chosen + (event.key === "ArrowDown" ? 1 : -1) + hits.length) % hits.length);
    } else if (event.key === "Escape") close();
  });
  document.getElementById("find").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = input.value.trim();
    // Whoever types fast means what is written, not what was found for its beginning.
    if (answered !== name) await look();
    if (name) open(hits[Math.max(chosen, 0)]?.gene ?? name);
  });
}
