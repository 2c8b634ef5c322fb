"use strict";
// What all pages need. Text that comes from runs only ever becomes text nodes; Plotly reads a little HTML in texts, so
// what goes there is made safe.

const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#a6761d", "#66a61e", "#e7298a"];

function safe(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function shortened(text, most) {
  return text.length <= most ? text : text.slice(0, most - 1) + "…";
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function seconds(ns) {
  return ns === null || ns === undefined ? "" : (ns / 1e9).toFixed(3) + " s";
}

function element(name, classes, text) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

function counted(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

const PLOT_CONFIG = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };

// The looks of a plot; `more` has the rest.
function plotLayout(height, narrow, more) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true };
  return {
    height, margin: { l: narrow ? 8 : 60, r: 12, t: 8, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), size: narrow ? 10 : 12 }, hoverlabel: { bgcolor: colour("panel"), font: { color: colour("text") }, align: "left" },
    hovermode: "closest", dragmode: narrow ? false : "zoom", legend: { orientation: "h", y: -0.25 }, uirevision: "same",
    xaxis: { ...axis }, yaxis: { ...axis, fixedrange: true }, ...more,
  };
}

if (window.RUN) document.documentElement.classList.add("scripted");
if (!window.Plotly) document.documentElement.classList.add("plotless");

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const text = button.parentElement.querySelector("code");
  getSelection().selectAllChildren(text);
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(() => { button.textContent = "Copied"; }, () => { button.textContent = "Selected"; });
  else button.textContent = "Selected";
});
