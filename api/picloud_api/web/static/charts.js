// Draws the numbers of elements with `data-columns`; without this script a table or a text has them.
// `data-series` has the label, the unit and the color of each line; `data-unit` is that of the x axis.
"use strict";

{
  const drawn = new WeakMap();
  const HEIGHT = 220;
  const NARROWEST = 200;
  const LEAST = { "%": 100 };
  const DASHES = [undefined, [6, 3], [2, 2]];

  const color = (name) => () =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const shown = (value, unit) =>
    value === null || value === undefined
      ? ""
      : `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
  const widthOf = (element) => Math.max(element.clientWidth, NARROWEST);
  const columnsOf = (element) => JSON.parse(element.dataset.columns);

  function axis(scale, unit, side) {
    return {
      scale,
      side,
      size: side === 2 ? 40 : 80,
      stroke: color("soft"),
      grid: { show: side === 3, stroke: color("line"), width: 1 },
      ticks: { stroke: color("line"), width: 1 },
      values: (_, values) => values.map((value) => shown(value, unit)),
    };
  }

  function optionsOf(element) {
    const lines = JSON.parse(element.dataset.series);
    const units = [...new Set(lines.map(([, unit]) => unit))];
    const scales = { x: { time: false } };
    for (const unit of units) {
      const least = LEAST[unit] ?? 1;
      scales[unit] = { range: (_, low, high) => [0, Math.max(high * 1.05, least)] };
    }
    return {
      width: widthOf(element),
      height: HEIGHT,
      scales,
      series: [
        { label: "Time", value: (_, value) => shown(value, element.dataset.unit) },
        ...lines.map(([label, unit, name], at) => ({
          label,
          scale: unit,
          stroke: color(name),
          width: 2,
          dash: DASHES[at],
          points: { show: false },
          value: (_, value) => shown(value, unit),
        })),
      ],
      axes: [
        axis("x", element.dataset.unit, 2),
        ...units.map((unit, at) => axis(unit, unit, at ? 1 : 3)),
      ],
    };
  }

  function draw(element) {
    const known = drawn.get(element);
    if (known) {
      known.setData(columnsOf(element));
      return;
    }
    const chart = new uPlot(optionsOf(element), columnsOf(element), element);
    drawn.set(element, chart);
    new ResizeObserver(() =>
      chart.setSize({ width: widthOf(element), height: HEIGHT }),
    ).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());
  }

  const drawAll = () => document.querySelectorAll("[data-columns]").forEach(draw);
  const isNews = (change) => change.type === "attributes" || change.addedNodes.length > 0;

  // A page that updates itself changes the numbers of an element, or adds one.
  new MutationObserver((changes) => changes.some(isNews) && drawAll()).observe(document.body, {
    subtree: true,
    childList: true,
    attributeFilter: ["data-columns"],
  });
  drawAll();
}
