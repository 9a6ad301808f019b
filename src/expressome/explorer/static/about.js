// The first view, and what to know about the explorer.
import { ask, count, geneUrl, h, tiles } from "./parts.js";
import { labelsTable, smallMap } from "./samples.js";

export async function showOverview({ facts }) {
  const labelled = facts.n_samples ? `${Math.round(100 * facts.n_labelled / facts.n_samples)}% with a label` : "";
  return {
    title: facts.name,
    content: [
      h("h1", {}, facts.name),
      h("p", { class: "lead" }, `${facts.species} ${facts.level} atlas, normalised by ${facts.recipe}. Find a gene above, or begin with `,
        h("a", { href: geneUrl("ALB") }, "ALB"), ", the ", h("a", { href: "/samples" }, "samples"), " or the ", h("a", { href: "/map" }, "map"), "."),
      tiles([
        [count(facts.n_samples), "samples", labelled], [count(facts.n_studies), "studies", "connected groups of series"],
        [count(facts.n_genes), "genes"], [count(facts.n_labels), "labels"],
      ]),
      h("section", { class: "part", "aria-label": "Map and labels" }, h("div", { class: "columns" },
        h("div", { class: "stack" }, facts.has_map ? await smallMap([], "Near samples have similar expression.", "Map of samples") : null),
        h("div", { class: "stack" }, facts.n_labels ? labelsTable(facts) : null))),
    ],
  };
}

export async function showAbout() {
  const { paths } = await ask("/api/openapi.json");
  const lines = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => [method.toUpperCase(), path, about.summary]));
  return {
    title: "About",
    content: [
      h("h1", {}, "About the explorer"),
      h("div", { class: "prose" },
        h("p", {}, "It reads one atlas on this computer. Every view has an address that opens the same view again, for everybody who can reach this explorer."),
        h("p", {}, "Values are normalised; compare a gene between labels, not genes of different length without length division. Many samples of one label may come from few studies: the number of studies stands beside the number of samples."),
        h("p", {}, "The map is a t-SNE of 50 principal components. Neighbours are alike; the distance between far groups, and the size of a group, mean little. Similar genes are those with the highest correlation over all samples, estimated to within 0.06."),
        h("p", {}, "A model's answer for a sample that it was trained on is no test; scores on unseen studies are in the report."),
        h("p", {}, "Keys: Tab to move, arrow keys in the gene search, Enter to open.")),
      h("section", { class: "part" }, h("h2", {}, "The API"),
        h("p", { class: "lead" }, "Everything shown can be asked for as JSON; ", h("a", { href: "/api/openapi.json", "data-plain": true }, "its OpenAPI description"), " names every field."),
        h("ul", { class: "api" }, lines.map(([method, path, summary]) => h("li", {}, h("code", {}, `${method} ${path}`), ` ${summary}`)))),
    ],
  };
}
