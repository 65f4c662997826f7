// The page "Set up": the crop on the live picture, and the configuration in force.
import { element, words } from "./page.js";

export function start(shared) {
  const box = element("crop-box"), image = element("crop-picture"), frame = element("crop-rect");
  const set = shared.now ? shared.now.crop : {};
  const size = { width: set.picture_width || 1280, height: set.picture_height || 720 };
  const crop = set.width ? { x: set.x, y: set.y, width: set.width, height: set.height } : { x: 0, y: 0, width: size.width, height: size.height };

  function show() {
    crop.width = Math.round(Math.min(Math.max(crop.width, 16), size.width));
    crop.height = Math.round(Math.min(Math.max(crop.height, 16), size.height));
    crop.x = Math.round(Math.min(Math.max(crop.x, 0), size.width - crop.width));
    crop.y = Math.round(Math.min(Math.max(crop.y, 0), size.height - crop.height));
    const sx = image.clientWidth / size.width, sy = image.clientHeight / size.height;
    Object.assign(frame.style, { left: crop.x * sx + "px", top: crop.y * sy + "px", width: crop.width * sx + "px", height: crop.height * sy + "px" });
    element("crop-yaml").textContent = `camera:\n  crop: {x: ${crop.x}, y: ${crop.y}, width: ${crop.width}, height: ${crop.height}}`;
  }

  let from = null;
  const at = (e) => ({ x: e.offsetX * size.width / image.clientWidth, y: e.offsetY * size.height / image.clientHeight });
  image.draggable = false;
  box.onpointerdown = (e) => { from = at(e); box.setPointerCapture(e.pointerId); e.preventDefault(); box.focus(); };
  box.onpointermove = (e) => {
    if (!from) return;
    const to = at(e);
    Object.assign(crop, { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: Math.abs(to.x - from.x), height: Math.abs(to.y - from.y) });
    show();
  };
  box.onpointerup = () => { from = null; };
  box.onkeydown = (e) => {
    const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[e.key];
    if (!step) return;
    e.preventDefault();
    if (e.shiftKey) { crop.width += step[0]; crop.height += step[1]; } else { crop.x += step[0]; crop.y += step[1]; }
    show();
  };
  image.onload = () => { image.alt = words.picture_now; show(); };
  image.onerror = () => { image.alt = words.no_picture; };
  image.src = "/api/view.jpg?evidence=0&t=" + Date.now();
  show();
  fetch("/api/config").then((a) => a.text()).then((text) => { element("config").textContent = text; });
  return { stop() { image.onload = image.onerror = null; } };
}
