// Images: the camera views with their overlays, zoom and the dragging of joints.
'use strict';
const COLOURS = ['#4aa8ff', '#ffa247'];
const REACH = 12; // a joint is taken hold of within so many screen pixels

function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const paper = canvas.getContext('2d');
  paper.scale(ratio, ratio);
  return paper;
}
// Where an image lies on its canvas: screen = place + pixel * scale; pixel centres are whole numbers.
function fit(view) {
  const { clientWidth: width, clientHeight: height } = view.canvas;
  const scale = Math.min(width / view.width, height / view.height) * view.zoom;
  return { scale, x: width / 2 - view.middle[0] * scale, y: height / 2 - view.middle[1] * scale };
}
function reset(view) {
  view.zoom = 1;
  view.middle = [(view.width - 1) / 2, (view.height - 1) / 2];
}
function pixel(view, event) {
  const box = view.canvas.getBoundingClientRect(), place = fit(view);
  return [(event.clientX - box.left - place.x) / place.scale, (event.clientY - box.top - place.y) / place.scale];
}
function drawImage(view) {
  const paper = prepared(view.canvas), place = fit(view), line = 1 / place.scale;
  paper.translate(place.x, place.y);
  paper.scale(place.scale, place.scale);
  if (images[view.name]) paper.drawImage(images[view.name], -.5, -.5, view.width, view.height);
  const seen = frame.views[view.name];
  if (!seen) return;
  if (state.show.outline) {
    seen.outlines.forEach((contours, side) => {
      paper.strokeStyle = COLOURS[side];
      paper.lineWidth = 1.3 * line;
      for (const contour of contours) {
        paper.beginPath();
        for (let i = 0; i < contour.length; i += 2) paper.lineTo(contour[i], contour[i + 1]);
        paper.closePath();
        paper.stroke();
      }
    });
  }
  if (state.show.joints) {
    seen.pixels.forEach((points, side) => { if (points) drawSkeleton(paper, points, COLOURS[side], line); });
  }
  const hold = state.hold;
  if (hold && hold.view === view && hold.joint !== undefined) {
    paper.strokeStyle = '#fff';
    paper.lineWidth = 1.5 * line;
    paper.beginPath();
    paper.arc(hold.x, hold.y, 7 * line, 0, 7);
    paper.stroke();
  }
}
function drawSkeleton(paper, points, colour, line) {
  paper.strokeStyle = paper.fillStyle = colour;
  paper.lineWidth = 1.6 * line;
  for (const [from, to] of session.bones) {
    if (!points[from] || !points[to]) continue;
    paper.beginPath();
    paper.moveTo(points[from][0], points[from][1]);
    paper.lineTo(points[to][0], points[to][1]);
    paper.stroke();
  }
  for (const point of points) {
    if (!point) continue;
    paper.beginPath();
    paper.arc(point[0], point[1], 2.8 * line, 0, 7);
    paper.fill();
  }
}

function jointAt(view, x, y) {
  let best = null;
  const near = REACH / fit(view).scale;
  (frame.views[view.name]?.pixels ?? []).forEach((points, side) => (points || []).forEach((point, joint) => {
    const away = point ? Math.hypot(point[0] - x, point[1] - y) : Infinity;
    if (away < near && (!best || away < best.away)) best = { away, side, joint };
  }));
  return best;
}
function watchImage(view) {
  const { canvas } = view;
  canvas.addEventListener('pointerdown', (event) => {
    if (!frame || event.button !== 0) return;
    const [x, y] = pixel(view, event);
    if (state.adding !== null) { add(view, x, y); return; }
    canvas.setPointerCapture(event.pointerId);
    const found = state.show.joints ? jointAt(view, x, y) : null;
    // How far beside the joint it was taken hold of: a touch alone shall not move it.
    const point = found && frame.views[view.name].pixels[found.side][found.joint];
    state.hold = found ? { view, side: found.side, joint: found.joint, x: point[0], y: point[1],
      beside: [point[0] - x, point[1] - y], row: state.row } : { view, start: [x, y] };
    drawImage(view);
  });
  canvas.addEventListener('pointermove', (event) => {
    const hold = state.hold;
    if (!frame) return;
    const [x, y] = pixel(view, event);
    if (!hold || hold.view !== view) {
      canvas.style.cursor = state.adding !== null ? 'crosshair' : state.show.joints && jointAt(view, x, y) ? 'grab' : 'default';
    } else if (hold.joint !== undefined) {
      [hold.x, hold.y, hold.moved] = [x + hold.beside[0], y + hold.beside[1], true];
      drawImage(view);
    } else {
      view.middle[0] += hold.start[0] - x;
      view.middle[1] += hold.start[1] - y;
      drawImage(view);
    }
  });
  const let_go = () => {
    const hold = state.hold;
    state.hold = null;
    if (hold?.moved) drag(hold);
    else if (frame) drawImage(view);
  };
  canvas.addEventListener('pointerup', let_go);
  canvas.addEventListener('pointercancel', () => { state.hold = null; if (frame) drawImage(view); });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const [x, y] = pixel(view, event), before = view.zoom;
    view.zoom = Math.max(1, Math.min(20, before * Math.exp(-event.deltaY * .002)));
    const part = before / view.zoom;
    view.middle = [x + (view.middle[0] - x) * part, y + (view.middle[1] - y) * part];
    if (view.zoom === 1) reset(view);
    drawImage(view);
  }, { passive: false });
  canvas.addEventListener('dblclick', () => { reset(view); drawImage(view); });
}
