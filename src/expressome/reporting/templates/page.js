// The page: theme, contents, what is drawn when, genes linked to their figure.
const pageFigures = new Map([...document.querySelectorAll("figure.card")].map((element) => [element.id, new PageFigure(element)]));
const pageTables = new Map([...document.querySelectorAll(".card.table")].map((element) => [element.id, new DataTable(element)]));

function drawAll(options) {
  pageFigures.forEach((figure) => figure.draw(options));
}

// Figures near the view first; the rest one by one while the browser is idle.
const near = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    near.unobserve(entry.target);
    const figure = pageFigures.get(entry.target.id);
    if (!figure.isDrawn) figure.draw();
  });
}, { rootMargin: "400px" });
pageFigures.forEach((figure) => near.observe(figure.element));

const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 60));
function drawNext() {
  const waiting = [...pageFigures.values()].find((figure) => !figure.isDrawn);
  if (!waiting) {
    document.documentElement.dataset.drawn = "all";
    return;
  }
  waiting.draw();
  whenIdle(drawNext);
}
whenIdle(drawNext);

// Theme: the system's until the reader chooses.
const themeButton = document.getElementById("theme");
function nameTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
}
function redraw() {
  nameTheme();
  pageFigures.forEach((figure) => figure.isDrawn && figure.draw());
}
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
nameTheme();

const printButton = document.getElementById("print");
printButton.hidden = false;
printButton.addEventListener("click", () => window.print());
// The paper's width is not known here: 640 pixels fit on A4 and Letter.
window.addEventListener("beforeprint", () => drawAll({ dark: false, width: 640 }));
window.addEventListener("afterprint", () => drawAll());

// Contents: mark the section in view.
const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const inView = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id).setAttribute("aria-current", "true");
  });
}, { rootMargin: "-10% 0px -80% 0px" });
document.querySelectorAll("main > section").forEach((section) => inView.observe(section));

// Genes: rows chosen in the table are marked in the figure; a mark clicked is looked up in the table.
pageTables.forEach((table) => {
  const figure = pageFigures.get(table.data.linked);
  if (!figure) return;
  const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  table.onChoose = () => {
    const signal = table.column("signal"), cosine = table.column("mean cosine");
    const rows = [...table.chosen].filter((i) => signal[i] > 0 && cosine[i] !== null);
    figure.choose({
      x: rows.map((i) => Math.log10(signal[i])),
      y: rows.map((i) => cosine[i]),
      text: rows.map((i) => escape(table.data.values[0][i] || table.data.values[1][i])),
    });
  };
  figure.onClick = (point) => {
    const symbol = point.customdata && point.customdata[0];
    if (point.data.type === "scatter" && symbol) {
      const plain = new DOMParser().parseFromString(symbol, "text/html").documentElement.textContent;
      table.find(plain);
      table.element.scrollIntoView({ block: "nearest" });
    }
  };
});
