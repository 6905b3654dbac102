// The whiteboard of one person: notes by pointer and by keyboard, and where the other one points.
import { clone, setText } from '/demo/page.js';

const WIDTH = 640;
const HEIGHT = 340;
const NOTE = { width: 132, height: 80 };
const STEP = 10;
const TELL_EVERY_MS = 40;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COLORS = ['sand', 'coral', 'mint', 'sky', 'lilac'];

export class Board {
  #document; #who; #peer; #view; #notes = new Map();  // id -> element
  #selected = null; #drag = null; #renaming = null;
  #pointer = null; #theirs = null; #tellTimer = 0;

  // who, peer: {name, user, hue}
  constructor({ element, document, who, peer }) {
    this.#document = document;
    this.#who = who;
    this.#peer = peer;
    const part = (selector) => element.querySelector(selector);
    this.#view = { element, board: part('.board'), add: part('.add'), rename: part('.rename'), remove: part('.remove'),
      colors: part('.colors'), pointer: part('.pointer'), empty: part('.empty') };
    this.#label();
    this.#listen();
    document.addEventListener('awareness', ({ detail }) => this.#theyAre(detail));
    document.addEventListener('joined', () => this.#tell());
  }

  draw() {
    const notes = this.#document.replica.shown;
    const ids = [...notes.keys()].filter((id) => typeof notes.get(id) === 'object').sort();
    for (const [id, element] of this.#notes) if (!ids.includes(id)) this.#forget(id, element);
    for (const id of ids) this.#drawNote(id, notes.get(id));
    this.#settleDrag();
    this.#view.empty.hidden = ids.length > 0;
    this.#drawTools();
    this.#drawPeer();
  }

  // --- how it looks ---------------------------------------------------------------------------------------------

  #label() {
    const { board, add, rename, remove, colors, pointer } = this.#view;
    const whose = `on ${this.#who.name}’s board`;
    board.setAttribute('aria-label', `${this.#who.name}’s board`);
    add.setAttribute('aria-label', `Add a note ${whose}`);
    rename.setAttribute('aria-label', `Rename the chosen note ${whose}`);
    remove.setAttribute('aria-label', `Delete the chosen note ${whose}`);
    pointer.style.setProperty('--hue', this.#peer.hue);
    pointer.querySelector('span').textContent = this.#peer.name;
    board.style.setProperty('--peer-hue', this.#peer.hue);
    for (const color of COLORS) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'swatch';
      button.dataset.color = color;
      button.setAttribute('aria-label', `${color} ${whose}`);
      button.title = color;
      colors.append(button);
    }
  }

  #drawNote(id, { x = 0, y = 0, text = '', style = {} }) {
    let element = this.#notes.get(id);
    if (!element) {
      element = clone('#note-template');
      element.dataset.id = id;
      this.#notes.set(id, element);
      this.#view.board.insertBefore(element, this.#view.pointer);
    }
    const theirs = this.#theirs?.drag?.id === id ? this.#theirs.drag : null;
    const at = this.#drag?.id === id ? this.#drag : theirs ?? { x, y };
    place(element, at);
    element.dataset.color = COLORS.includes(style.color) ? style.color : COLORS[0];
    setText(element.querySelector('.note-text'), text);
    element.setAttribute('aria-label', `${text}, ${element.dataset.color}, at ${x}, ${y}`);
    element.setAttribute('aria-pressed', this.#selected === id);
    element.classList.toggle('dragged', this.#drag?.id === id && this.#drag.moved);
    element.classList.toggle('theirs', this.#theirs?.selected === id);
    element.dataset.who = this.#theirs?.selected === id ? this.#peer.name : '';
  }

  #drawTools() {
    const held = this.#document.isHeld || !this.#document.opened;
    const chosen = this.#notes.has(this.#selected);
    const { add, rename, remove, colors, element } = this.#view;
    element.classList.toggle('held', this.#document.isHeld);
    add.disabled = held;
    rename.disabled = remove.disabled = held || !chosen;
    const color = this.#notes.get(this.#selected)?.dataset.color;
    for (const swatch of colors.children) {
      swatch.disabled = held || !chosen;
      swatch.setAttribute('aria-pressed', chosen && swatch.dataset.color === color);
    }
    if (held && this.#renaming) this.#endRenaming(false);
  }

  #drawPeer() {
    const { pointer } = this.#view;
    const at = this.#theirs?.pointer;
    pointer.hidden = !at;
    if (at) place(pointer, at);
  }

  #forget(id, element) {
    const hadFocus = element.contains(document.activeElement);
    if (this.#renaming?.id === id) this.#renaming = null;
    if (this.#drag?.id === id) this.#drag = null;
    this.#notes.delete(id);
    const next = element.nextElementSibling?.matches('.note') ? element.nextElementSibling : element.previousElementSibling;
    element.remove();
    if (this.#selected === id) this.#selected = null;
    if (hadFocus) (next?.matches('.note') ? next : this.#view.board).focus();
  }

  // --- what this person does ------------------------------------------------------------------------------------

  #listen() {
    const { board, add, rename, remove, colors } = this.#view;
    add.addEventListener('click', () => this.#add());
    rename.addEventListener('click', () => this.#rename(this.#selected));
    remove.addEventListener('click', () => this.#remove(this.#selected));
    colors.addEventListener('click', ({ target }) => {
      const { color } = target.closest('.swatch')?.dataset ?? {};
      if (color) this.#edit('style', { id: this.#selected, style: { color } });
    });
    board.addEventListener('focusin', ({ target }) => this.#choose(idOf(target)));
    board.addEventListener('dblclick', ({ target }) => this.#rename(idOf(target)));
    board.addEventListener('keydown', (event) => this.#key(event));
    board.addEventListener('pointerdown', (event) => this.#press(event));
    board.addEventListener('pointermove', (event) => this.#move(event));
    board.addEventListener('pointerup', () => this.#release());
    board.addEventListener('pointercancel', () => { this.#drag = null; this.#changed(); });
    board.addEventListener('pointerleave', () => { this.#pointer = null; this.#tell(); });
  }

  #edit(type, data) {
    if (this.#document.isHeld || !this.#document.opened) return null;
    return this.#document.edit(type, data);
  }

  #choose(id) {
    if (!id || id === this.#selected) return;
    this.#selected = id;
    this.#changed();
  }

  #changed() {
    this.draw();
    this.#tell();
  }

  #add() {
    const id = `${Date.now().toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
    const nth = this.#notes.size;
    const [x, y] = [40 + (nth * 73) % (WIDTH - NOTE.width - 60), 30 + (nth * 47) % (HEIGHT - NOTE.height - 60)];
    const made = this.#edit('create', { id, x, y, text: 'New note', style: { color: COLORS[nth % COLORS.length] } });
    if (!made) return;
    this.draw();
    this.#rename(id);
  }

  #remove(id) {
    if (this.#notes.has(id)) this.#edit('delete', { id });
  }

  #key(event) {
    const id = idOf(event.target);
    if (!id || this.#renaming) return;
    const arrow = ARROWS[event.key];
    if (arrow) this.#shift(id, arrow, event.shiftKey ? 4 * STEP : STEP);
    else if (event.key === 'Delete' || event.key === 'Backspace') this.#remove(id);
    else if (event.key === 'Enter' || event.key === 'F2') this.#rename(id);
    else return;
    event.preventDefault();
  }

  #shift(id, [dx, dy], step) {
    const { x, y } = this.#document.replica.shown.get(id);
    const to = within({ x: x + dx * step, y: y + dy * step });
    if (to.x !== x || to.y !== y) this.#edit('move', { id, ...to });
  }

  #rename(id) {
    const note = this.#notes.get(id);
    if (!note || this.#renaming || this.#document.isHeld) return;
    const input = clone('#rename-template');
    this.#renaming = { id, input };
    this.#choose(id);
    input.value = note.querySelector('.note-text').textContent;
    note.classList.add('renaming');
    note.append(input);
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      this.#endRenaming(event.key === 'Enter');
      note.focus();
    });
    input.addEventListener('blur', () => this.#endRenaming(true));
    input.focus();
    input.select();
  }

  #endRenaming(keep) {
    if (!this.#renaming) return;
    const { id, input } = this.#renaming;
    this.#renaming = null;
    const text = input.value.trim();
    this.#notes.get(id)?.classList.remove('renaming');
    input.remove();
    if (keep && text && text !== this.#document.replica.shown.get(id)?.text) this.#edit('update', { id, text });
  }

  // --- dragging: the other one sees it as it goes, the document gets one `move` at the end -------------------------

  #press(event) {
    const id = idOf(event.target);
    if (!id || this.#renaming || event.button !== 0 || this.#document.isHeld) return;
    const { x, y } = this.#document.replica.shown.get(id);
    const at = this.#at(event);
    this.#drag = { id, x, y, dx: x - at.x, dy: y - at.y, moved: false };
    event.target.closest('.note').setPointerCapture(event.pointerId);
  }

  #move(event) {
    this.#pointer = this.#at(event);
    if (this.#drag && !this.#drag.dropped) {
      const to = within({ x: this.#pointer.x + this.#drag.dx, y: this.#pointer.y + this.#drag.dy });
      this.#drag.moved ||= Math.abs(to.x - this.#drag.x) + Math.abs(to.y - this.#drag.y) > 3;
      if (this.#drag.moved) Object.assign(this.#drag, to);
      this.draw();
    }
    this.#tell();
  }

  #release() {
    if (!this.#drag || this.#drag.dropped) return;
    const { id, x, y, moved } = this.#drag;
    const made = moved && this.#edit('move', { id, x, y });
    if (made) this.#drag.dropped = made;
    else this.#drag = null;
    this.#changed();
  }

  // The other one goes on seeing it dragged until the operation has reached the document.
  #settleDrag() {
    const dropped = this.#drag?.dropped;
    if (!dropped || this.#document.replica.pending.includes(dropped)) return;
    this.#drag = null;
    this.#tell();
  }

  #at({ clientX, clientY }) {
    const box = this.#view.board.getBoundingClientRect();
    return { x: Math.round(((clientX - box.left) / box.width) * WIDTH), y: Math.round(((clientY - box.top) / box.height) * HEIGHT) };
  }

  // --- who is where ---------------------------------------------------------------------------------------------

  #tell() {
    this.#tellTimer ||= setTimeout(() => {
      this.#tellTimer = 0;
      const { id, x, y, moved } = this.#drag ?? {};
      this.#document.tell({ pointer: this.#pointer, selected: this.#selected, drag: moved ? { id, x, y } : null });
    }, TELL_EVERY_MS);
  }

  #theyAre({ user, state }) {
    if (user !== this.#peer.user) return;
    this.#theirs = state;
    this.draw();
  }
}

const idOf = (target) => target.closest('.note')?.dataset.id;

function within({ x, y }) {
  return { x: Math.max(0, Math.min(WIDTH - NOTE.width, x)), y: Math.max(0, Math.min(HEIGHT - NOTE.height, y)) };
}

function place(element, { x, y }) {
  element.style.setProperty('--x', x / WIDTH);
  element.style.setProperty('--y', y / HEIGHT);
}
