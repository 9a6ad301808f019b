// Which address shows what; links, theme, and what happens when a question fails.
import { ask, h, shownFigures } from "./parts.js";
import { setUpSearch, showGene } from "./genes.js";
import { showMap } from "./places.js";
import { showSample, showSamples } from "./samples.js";
import { showAnswer, showUpload } from "./upload.js";
import { showAbout, showOverview } from "./about.js";

const VIEWS = [
  [/^\/$/, showOverview], [/^\/gene\/([^/]+)$/, showGene], [/^\/samples$/, showSamples], [/^\/sample\/([^/]+)$/, showSample],
  [/^\/map$/, showMap], [/^\/upload$/, showUpload], [/^\/upload\/([^/]+)$/, showAnswer], [/^\/about$/, showAbout],
];
const main = document.getElementById("main");
const kept = new Map();
let facts = null, number = 0;

async function build(url) {
  facts ??= await ask("/api/atlas");
  for (const [pattern, view] of VIEWS) {
    const match = url.pathname.match(pattern);
    if (match) {
      return view({
        parts: match.slice(1).map(decodeURIComponent), query: url.searchParams, facts, go,
        replace: (address) => history.replaceState(null, "", address),
        remember: (token, answer) => kept.set(token, answer), recall: (token) => kept.get(token),
      });
    }
  }
  throw new Error("there is no such page");
}

async function show({ focus }) {
  const own = ++number;
  const url = new URL(location.href);
  main.setAttribute("aria-busy", "true");
  const before = new Set(shownFigures);
  let view;
  try {
    view = await build(url);
  } catch (error) {
    view = { title: "Not found", content: [h("h1", {}, "That did not work"), h("p", { class: "error", role: "alert" }, error.message), h("p", {}, h("a", { href: "/" }, "To the overview"))] };
  }
  if (own !== number) return;
  before.forEach((figure) => shownFigures.delete(figure));
  main.replaceChildren(...view.content.flat().filter(Boolean));
  shownFigures.forEach((figure) => {
    if (!figure.element.isConnected) { shownFigures.delete(figure); return; }
    figure.draw();
    if (figure.onDrawn) figure.onDrawn();
  });
  document.title = `${view.title} · expressome explorer`;
  document.getElementById("atlas-name").textContent = facts?.name ?? "";
  document.getElementById("simulated").hidden = !facts?.simulated;
  if (facts?.simulated) document.body.dataset.simulated = "yes";
  document.querySelectorAll(".places a").forEach((link) => {
    const path = new URL(link.href).pathname;
    const here = path === "/" ? url.pathname === "/" : url.pathname === path || url.pathname.startsWith(`${path.replace(/s$/, "")}/`);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  main.setAttribute("aria-busy", "false");
  document.documentElement.dataset.shown = url.pathname + url.search;
  if (focus) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    document.getElementById("status").textContent = document.title;
  }
}

function go(address) {
  history.pushState(null, "", address);
  show({ focus: true });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || link.dataset.plain !== undefined || link.hash || link.download) return;
  event.preventDefault();
  go(url.pathname + url.search);
});
document.addEventListener("submit", (event) => {
  if (event.target.dataset.route === undefined) return;
  event.preventDefault();
  const values = new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value));
  go(`${new URL(event.target.action).pathname}?${values}`);
});
window.addEventListener("go", (event) => go(event.detail));
window.addEventListener("popstate", () => show({ focus: true }));

const themeButton = document.getElementById("theme");
function drawTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  shownFigures.forEach((figure) => figure.isDrawn && figure.draw());
}
themeButton.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  drawTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTheme);
drawTheme();

setUpSearch(go);
show({ focus: false });
