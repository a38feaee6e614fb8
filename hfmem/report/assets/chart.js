
"use strict";
// Lines of memory against context: what is given is drawn, and nothing here knows of the table.
const charts = (() => {
  const GIB = 2 ** 30;
  const at = (id) => document.getElementById(id);

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const drawing = (parent, name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  };
  const memory = (bytes) => {
    const [unit, name] = bytes >= GIB ? [GIB, "GiB"] : bytes >= 2 ** 20 ? [2 ** 20, "MiB"] : [1024, "KiB"];
    return `${(bytes / unit).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })} ${name}`;
  };
  const tokens = (count) => {
    const [unit, name] = count >= 2 ** 20 ? [2 ** 20, "M"] : count >= 1024 ? [1024, "K"] : [1, ""];
    return `${Number((count / unit).toFixed(1))}${name}`;
  };

  const numbersOf = (lines) => {
    const contexts = [...new Set(lines.flatMap((model) => model.curve.map(([x]) => x)))].sort((a, b) => a - b);
    const cell = (name, scope, text) => element(name, scope ? { scope } : {}, text);
    const headings = ["Model", ...contexts.map((x) => `${x.toLocaleString("en")} tokens`)].map((text) => cell("th", "col", text));
    const rows = lines.map((model) => {
      const found = new Map(model.curve);
      const sizes = contexts.map((x) => cell("td", "", found.has(x) ? memory(found.get(x)) : ""));
      return element("tr", {}, cell("th", "row", model.name), ...sizes);
    });
    const head = element("thead", {}, element("tr", {}, ...headings));
    return element("table", {}, element("caption", {}, "Memory by context"), head, element("tbody", {}, ...rows));
  };
  const frame = (lines, limits, width, height) => {
    const points = lines.flatMap((model) => model.curve);
    const highest = Math.max(...points.map(([, bytes]) => bytes));
    const lowest = Math.min(...points.map(([, bytes]) => bytes));
    const logarithmic = at("log").checked;
    const [under, over] = logarithmic ? [lowest / 8, highest * 8] : [0, highest * 1.5];
    const near = limits.filter(({ bytes }) => bytes >= under && bytes <= over);
    const all = [highest, lowest, ...near.map(({ bytes }) => bytes)];
    const step = logarithmic ? 1 : 2 ** Math.max(-10, Math.ceil(Math.log2(Math.max(...all) / GIB / 8))) * GIB;
    const level = (bytes) => (logarithmic ? Math.log2(Math.max(bytes, 1)) : bytes);
    const bottom = logarithmic ? Math.floor(level(Math.min(...all))) : 0;
    const top = Math.ceil(level(Math.max(...all)) / step) * step;
    const levels = Array.from({ length: Math.round((top - bottom) / step) + 1 }, (_, i) => bottom + i * step);
    const [first, last] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
    const [left, right, up, down] = [62, 34, 12, 44];
    const across = Math.log2(last / first) || 1;
    return {
      near, far: limits.filter((limit) => !near.includes(limit)), width, height, left, right, up, down, first, last,
      marks: levels.map((mark) => (logarithmic ? 2 ** mark : mark)),
      x: (count) => left + (Math.log2(count / first) / across) * (width - left - right),
      y: (bytes) => height - down - ((level(bytes) - bottom) / (top - bottom || 1)) * (height - up - down),
    };
  };
  const axes = (svg, { marks, x, y, width, height, left, right, down, first, last }) => {
    const every = Math.ceil(marks.length / 9);
    marks.filter((_, i) => i % every === 0).forEach((bytes) => {
      drawing(svg, "line", { class: "grid", x1: left, x2: width - right, y1: y(bytes), y2: y(bytes) });
      const label = memory(bytes).replace(/\.00 |(\.\d)0 /, "$1 ");
      drawing(svg, "text", { x: left - 6, y: y(bytes) + 4, "text-anchor": "end" }, label);
    });
    const skip = Math.ceil(Math.log2(last / first) / (width / 70)) || 1;
    for (let power = Math.ceil(Math.log2(first)); power <= Math.log2(last); power += skip) {
      drawing(svg, "line", { class: "grid", x1: x(2 ** power), x2: x(2 ** power), y1: height - down, y2: height - down + 5 });
      drawing(svg, "text", { x: x(2 ** power), y: height - down + 18, "text-anchor": "middle" }, tokens(2 ** power));
    }
    const middle = { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" };
    drawing(svg, "text", middle, "tokens of context (K = 1,024)");
  };
  const devices = (svg, { near, y, width, left, right }) => {
    const groups = [];
    for (const limit of [...near].sort((a, b) => b.bytes - a.bytes)) {
      const line = y(limit.bytes);
      drawing(svg, "line", { class: "limit", x1: left, x2: width - right, y1: line, y2: line });
      // Names of devices that are nearly alike would print over each other, so they share a label.
      const group = groups.find((other) => line - other.line < 15);
      if (group) group.names.push(limit.name);
      else groups.push({ line, names: [limit.name], bytes: limit.bytes });
    }
    for (const { line, names, bytes } of groups) {
      drawing(svg, "text", { class: "limits", x: left + 6, y: line - 4 }, `${names.join(", ")} · ${memory(bytes)}`);
    }
  };
  const tagHeights = (lines, scale) => {
    const ends = lines.map((model, number) => ({ number, y: scale.y(model.curve.at(-1)[1]) })).sort((a, b) => a.y - b.y);
    // Tags of lines that end together are pushed apart, then back up where that pushed them off the plot.
    ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + 17); });
    ends.reduceRight((lowest, end) => (end.y = Math.min(end.y, lowest)) - 17, scale.height - scale.down);
    return new Map(ends.map(({ number, y }) => [number, y]));
  };
  const drawLine = (svg, scale, model, number, tag) => {
    const group = drawing(svg, "g", { class: `z${number}`, "data-line": number });
    const points = model.curve.map(([count, bytes]) => `${scale.x(count).toFixed(1)} ${scale.y(bytes).toFixed(1)}`);
    drawing(group, "path", { class: "line", d: `M${points.join("L")}` });
    for (const [count, bytes] of model.curve) {
      const dot = drawing(group, "circle", { class: "dot", r: 3, cx: scale.x(count), cy: scale.y(bytes) });
      drawing(dot, "title", {}, `${model.name}: ${count.toLocaleString("en")} tokens, ${memory(bytes)}`);
    }
    drawing(group, "circle", { class: "tag", r: 8.5, cx: scale.width - 18, cy: tag });
    drawing(group, "text", { class: "tag-text", x: scale.width - 18, y: tag + 4 }, String(number + 1));
    const sign = element("b", {}, String(number + 1));
    at("lines").append(element("li", { class: `z${number}` }, sign, element("span", { class: "r" }, model.name)));
  };
  const drawPlot = (lines, limits, room) => {
    const width = Math.max(300, Math.min(room, 1400));
    const scale = frame(lines, limits, width, width < 500 ? 300 : 380);
    const names = lines.map((model) => model.name).join(", ");
    const label = `Memory against context: ${names}; the same numbers are in the table below`;
    const svg = drawing(at("plot"), "svg", {
      role: "img", "aria-label": label, viewBox: `0 0 ${width} ${scale.height}`, width, height: scale.height,
    });
    axes(svg, scale);
    devices(svg, scale);
    const tags = tagHeights(lines, scale);
    lines.forEach((model, number) => drawLine(svg, scale, model, number, tags.get(number)));
    const far = scale.far.map(({ name, bytes }) => `${name} with ${memory(bytes)}`).join(", ");
    at("beyond").textContent = far && `Outside this chart: ${far}.`;
    at("numbers").append(numbersOf(lines));
  };

  return { at, element, drawPlot };
})();
