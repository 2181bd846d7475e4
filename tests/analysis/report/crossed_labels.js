// Labels of the figures that are shown, each with the line that crosses it: a stroke through the middle
// of the letters' height, which no patch hides.
() => {
  const found = new Set();
  const hides = (shape, { fill, fillOpacity, opacity } = getComputedStyle(shape)) =>
    shape.localName === "path" && fill !== "none" && fillOpacity === "1" && opacity === "1";
  for (const svg of document.querySelectorAll("figure svg")) {
    if (!svg.clientWidth) continue;
    svg.scrollIntoView({ block: "center" });
    const title = svg.querySelector("title").textContent;
    const labels = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim());
    const boxes = labels.map((text) => text.getBoundingClientRect());
    for (const path of svg.querySelectorAll("path")) {
      const style = getComputedStyle(path);
      if (style.stroke === "none" || style.fill !== "none" || path.closest("defs")) continue;
      const length = path.getTotalLength();
      const steps = Math.min(9000, Math.ceil(length / 0.7));
      for (let step = 0; steps && step <= steps; step++) {
        const { x, y } = path.getPointAtLength((length * step) / steps).matrixTransform(path.getScreenCTM());
        for (const [number, box] of boxes.entries()) {
          const inset = box.height * 0.22;
          if (x <= box.left || x >= box.right || y <= box.top + inset || y >= box.bottom - inset) continue;
          const stack = document.elementsFromPoint(x, y);
          const line = stack.indexOf(path);
          if (line >= 0 && !stack.slice(0, line).some((above) => hides(above)))
            found.add(`${title}: ${labels[number].textContent} is crossed by ${path.getAttribute("d")}`);
        }
      }
    }
  }
  return [...found];
}
