// Space: both hands in 3D as seen from the reference camera, turned with the mouse.
'use strict';

function resetSpace(view) { Object.assign(view, { turn: 0.5, tilt: 0.35, zoom: 1 }); }

// Returns what maps a point of the labels' frame to [x, y, depth] on the canvas.
function projection(view, known) {
  const { clientWidth: width, clientHeight: height } = view.canvas;
  const middle = [0, 1, 2].map((axis) => known.reduce((sum, point) => sum + point[axis], 0) / known.length);
  const reach = Math.max(...known.map((point) => Math.hypot(...point.map((v, i) => v - middle[i]))), .1);
  const scale = .42 * Math.min(width, height) / reach * view.zoom;
  const [ct, st, cl, sl] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
  return (x, y, z) => {
    x -= middle[0]; y -= middle[1]; z -= middle[2];
    const deep = ct * z - st * x;
    return [width / 2 + scale * (ct * x + st * z), height / 2 + scale * (cl * y - sl * deep),
      scale * (sl * y + cl * deep)];
  };
}
function drawSpace(view) {
  const paper = prepared(view.canvas);
  const known = frame.joints.filter((joints) => joints).flat().filter((joint) => joint);
  if (!known.length) return;
  const project = projection(view, known);
  const pieces = [];
  if (state.show.outline) frame.meshes.forEach((mesh, side) => mesh && pieces.push(...triangles(mesh, side, project)));
  for (let i = 0; i < cloud.length; i += 3) {
    const [x, y, depth] = project(cloud[i], cloud[i + 1], cloud[i + 2]);
    pieces.push({ depth, x, y });
  }
  // Far ones first: what is near covers them.
  pieces.sort((one, other) => other.depth - one.depth);
  for (const piece of pieces) {
    paper.fillStyle = paper.strokeStyle = piece.colour ?? '#e8ecf2';
    if (!piece.corners) { paper.fillRect(piece.x - .8, piece.y - .8, 1.6, 1.6); continue; }
    paper.lineWidth = .6;
    paper.beginPath();
    for (const [x, y] of piece.corners) paper.lineTo(x, y);
    paper.closePath();
    paper.fill();
    paper.stroke();
  }
  if (state.show.joints) {
    frame.joints.forEach((joints, side) => {
      const colour = state.show.outline ? '#ffffffb0' : COLOURS[side];
      if (joints) drawSkeleton(paper, joints.map((joint) => joint && project(...joint)), colour, .8);
    });
  }
}
function triangles(mesh, side, project) {
  const points = [], found = [], faces = session.faces[side];
  for (let i = 0; i < mesh.length; i += 3) points.push(project(mesh[i], mesh[i + 1], mesh[i + 2]));
  const base = side ? [255, 162, 71] : [74, 168, 255];
  for (let i = 0; i < faces.length; i += 3) {
    const corners = [points[faces[i]], points[faces[i + 1]], points[faces[i + 2]]];
    const [a, b, c] = corners;
    const u = [b[0] - a[0], b[1] - a[1], b[2] - a[2]], v = [c[0] - a[0], c[1] - a[1], c[2] - a[2]];
    const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    if (normal[2] >= 0) continue; // seen from behind
    const light = .25 + .75 * Math.max(0, (-.3 * normal[0] - .4 * normal[1] - .87 * normal[2]) / (Math.hypot(...normal) + 1e-9));
    found.push({ depth: (a[2] + b[2] + c[2]) / 3, corners,
      colour: `rgb(${base.map((value) => Math.round(value * light)).join(',')})` });
  }
  return found;
}
function watchSpace(view) {
  const { canvas } = view;
  canvas.style.cursor = 'move';
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    state.hold = { view, at: [event.clientX, event.clientY] };
  });
  canvas.addEventListener('pointermove', (event) => {
    const hold = state.hold;
    if (!frame || !hold || hold.view !== view) return;
    view.turn += (event.clientX - hold.at[0]) * .01;
    view.tilt += (event.clientY - hold.at[1]) * .01;
    hold.at = [event.clientX, event.clientY];
    drawSpace(view);
  });
  for (const kind of ['pointerup', 'pointercancel']) canvas.addEventListener(kind, () => { state.hold = null; });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    view.zoom = Math.max(.2, Math.min(20, view.zoom * Math.exp(-event.deltaY * .001)));
    if (frame) drawSpace(view);
  }, { passive: false });
  canvas.addEventListener('dblclick', () => { resetSpace(view); if (frame) drawSpace(view); });
}
