// A count table dropped on the page: labels with confidence, and the place on the map.
import { ask, count, h, plural, sampleUrl, table } from "./parts.js";
import { answerCard, distanceColumn, sampleTable, smallMap } from "./samples.js";

const MOST_BYTES = 64 * 2 ** 20;

async function send(file, say) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is ${count(Math.round(file.size / 2 ** 20))} MB; the page takes 64 MB. Use expressome predict for it.`);
  if (!file.size) throw new Error(`${file.name} is empty; a count table needs a header and one row per gene.`);
  say(`Reading ${file.name} ...`);
  return ask(`/api/uploads?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file });
}

export async function showUpload({ facts, remember, go }) {
  const problem = h("div", { role: "alert" });
  const progress = h("p", { role: "status" });
  async function take(file) {
    problem.replaceChildren();
    try {
      const { token, answer } = await send(file, (text) => { progress.textContent = text; });
      remember(token, answer);
      go(`/upload/${token}`);
    } catch (error) {
      progress.textContent = "";
      problem.replaceChildren(h("p", { class: "error" }, h("strong", {}, "This table cannot be read. "), error.message));
    }
  }
  const input = h("input", { type: "file", id: "file", accept: ".tsv,.csv,.txt,.gz,.parquet,.h5ad", onchange: () => input.files[0] && take(input.files[0]) });
  const zone = h("div", { class: "drop", ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); } },
  h("p", { class: "answer" }, "Drop a count table here"),
  h("label", { for: "file" }, "or choose a file:"), input, progress);
  return {
    title: "Your samples",
    content: [
      h("h1", {}, "Your samples"),
      h("p", { class: "lead" }, facts.has_model
        ? "Raw counts: genes x samples as TSV, CSV (gzipped or not) or Parquet, or an h5ad file; up to 64 MB and 500 samples. Each sample gets labels with a confidence, its place on the map and the samples nearest to it. The table stays on this computer and is not kept."
        : "No model was opened, so samples get a place on the map and their nearest samples, but no labels. Start the explorer with --model for labels."),
      zone, problem,
    ],
  };
}

export async function showAnswer({ parts, recall, query, facts }) {
  const answer = recall(parts[0]) ?? await ask(`/api/uploads/${encodeURIComponent(parts[0])}`);
  const chosen = answer.samples.find((one) => one.sample === query.get("sample")) ?? answer.samples[0];
  const marks = answer.samples.filter((one) => one.place).map((one) => ({ name: one.sample, place: one.place, isChosen: one === chosen }));
  const own = (one) => `?${new URLSearchParams({ sample: one.sample })}`;
  const columns = [
    { title: "sample", value: (one) => one.sample, link: own },
    ...(facts.has_model ? [
      { title: "label", value: (one) => one.prediction.label },
      { title: "confidence", kind: "score", value: (one) => one.prediction.confidence, explanation: "Calibrated probability of the label." },
      { title: "unknown", value: (one) => one.prediction.unknown ? "yes" : "no", explanation: "Whether no label can be answered for." },
      { title: "reason", value: (one) => one.prediction.reason },
    ] : []),
    { title: "nearest sample", value: (one) => one.nearest[0]?.sample, link: (one) => one.nearest[0] && sampleUrl(one.nearest[0].sample) },
    { title: "its labels", value: (one) => one.nearest[0] && (one.nearest[0].labels.join(", ") || "none") },
  ];
  const missing = answer.n_model_genes ? `${count(answer.n_missing_genes)} of the model's ${count(answer.n_model_genes)} genes are missing. ` : "";
  return {
    title: answer.name,
    content: [
      h("p", { class: "overline" }, "Your samples"),
      h("h1", {}, answer.name),
      h("p", { class: "lead" }, `${plural(answer.n_samples, "sample")} of ${plural(answer.n_genes, "gene")}. ${missing}`,
        "This address works until the explorer is stopped or 32 further tables were read. ", h("a", { href: "/upload" }, "Another table")),
      answer.notes.map((note) => h("p", { class: "remark" }, note)),
      h("section", { class: "part", "aria-label": "Answers" }, table("answers", "Samples of the table", columns, answer.samples)),
      chosen ? h("section", { class: "part" }, h("h2", {}, chosen.sample), h("div", { class: "columns" },
        h("div", { class: "stack" }, marks.length ? await smallMap(marks, "Crosses are the samples of the table, the large one the chosen sample; choose another in the table above.") : null),
        h("div", { class: "stack" }, answerCard(chosen.prediction, { level: "h3" }),
          sampleTable("near", `Nearest to ${chosen.sample}`, chosen.nearest, [distanceColumn])))) : null,
    ],
  };
}
