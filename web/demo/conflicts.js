// Conflicts in words, for one person: what met, what became of it, and what was lost; open ones can be decided.
import { clone } from '/demo/page.js';

const SHOWN = 12;
const REGISTERS = { x: 'place', y: 'place', w: 'size', h: 'size', text: 'words', 'style.color': 'colour', parent: 'parent' };

export class ConflictList {
  #element; #documents; #names; #drawn = '';

  // names: user id -> name
  constructor({ element, who, documents, names }) {
    this.#element = element;
    this.#documents = documents;
    this.#names = names;
    this.#part('ol').setAttribute('aria-label', `Conflicts on ${who.name}’s side`);
  }

  draw() {
    const told = this.#documents.flatMap((document) => gathered(document)).sort((a, b) => b.open - a.open || b.at - a.at);
    const now = JSON.stringify(told.map(({ records }) => records.map(({ id, resolved_at: at }) => [id, at])));
    if (now === this.#drawn) return;
    this.#drawn = now;
    const open = told.filter((one) => one.open).length;
    this.#element.hidden = !told.length;
    this.#element.classList.toggle('open', open > 0);
    this.#part('h3').textContent = open ? `${open} to decide` : 'Conflicts, all settled';
    this.#part('ol').replaceChildren(...told.slice(0, SHOWN).map((one) => this.#item(one)));
  }

  #part(selector) { return this.#element.querySelector(selector); }
  #name(user) { return this.#names.get(user) ?? user; }

  #item({ document, records, open }) {
    const item = clone('#conflict-template');
    const story = this.#story(document, records);
    item.classList.toggle('open', open);
    item.querySelector('.title').textContent = story.title;
    item.querySelector('.outcome').textContent = story.outcome;
    item.querySelector('.choices').hidden = !open;
    for (const [take, { name, value }] of Object.entries({ ours: story.ours, theirs: story.theirs })) {
      const button = item.querySelector(`.${take}`);
      button.querySelector('b').textContent = `${take === 'ours' ? 'Keep' : 'Take'} ${name}’s`;
      button.querySelector('span').textContent = value;
      button.addEventListener('click', () => document.resolve(records[0], take));
    }
    return item;
  }

  #story(document, records) {
    const [{ kind, path, ops, base, ours, theirs, resolution, resolved_by: by, resolved_op: taken, resolved_at: at }] = records;
    const them = this.#name(ops.at(-1).user_id);
    const us = this.#name(ops.at(-2)?.user_id) ?? 'the document';
    const registers = new Map(records.map((record) => [record.path.slice(record.path.indexOf('.') + 1), record]));
    const words = [...new Set([...registers.keys()].map((key) => REGISTERS[key] ?? key))].join(' and ');
    const note = document.type === 'text' ? 'the text' : nameOf(document, path, [ours, theirs, base]);
    // A record of a parked operation is about its first register: the operations know the rest of a place.
    const made = { ours: ops.at(-2)?.data, theirs: ops.at(-1).data };
    const values = (side) => valueOf(registers, side, made[side]);
    const sides = { ours: { name: us, value: values('ours') }, theirs: { name: them, value: values('theirs') } };
    const titles = {
      write_write: `Both changed the ${words} of ${note}`,
      edit_delete: `${them} edited ${note}, which ${us} had deleted`,
      delete_edit: `${them} deleted ${note}, which ${us} had edited`,
      create_create: `Both added ${note}`,
      text_overlap: `${them} wrote where ${us} had removed or replaced`,
    };
    if (kind === 'delete_edit') sides.theirs.value = 'deleted';
    if (kind === 'edit_delete') sides.ours.value = 'deleted';
    const story = { title: titles[kind] ?? records[0].description, ...sides };
    const settled = {
      write_write: `${them}’s stands: ${sides.theirs.value}. Lost: ${us}’s ${sides.ours.value}.`,
      edit_delete: `It stays deleted. Lost: ${them}’s ${values('theirs')}.`,
      delete_edit: `It is deleted. Lost: ${us}’s ${values('ours')}.`,
      text_overlap: `Both are in it: ${us} made ${sides.ours.value} of ${values('base')}, ${them} ${sides.theirs.value}.`,
    };
    if (!at) story.outcome = 'Nothing has changed yet.';
    else if (!by.startsWith('system:')) {
      const [won, lost] = taken ? [sides.theirs, sides.ours] : [sides.ours, sides.theirs];
      story.outcome = `${this.#name(by)} decided for ${won.name}’s ${won.value}. Lost: ${lost.name}’s ${lost.value}.`;
    } else if (kind === 'write_write' && resolution === 'merge' && registers.has('text')) {
      story.outcome = `Merged to “${taken?.data.text}”. ${us} had ${sides.ours.value}, ${them} ${sides.theirs.value}.`;
    } else story.outcome = settled[kind] ?? `Settled by ${resolution}.`;
    return story;
  }
}

// One operation can make a record for each of its registers: they are told together.
function gathered(document) {
  const groups = new Map();
  for (const record of document.conflicts.values()) {
    const { id } = record.ops.at(-1);
    const key = `${id} ${record.kind} ${record.resolved_at > 0}`;
    if (!groups.has(key)) groups.set(key, { document, records: [], open: !record.resolved_at, at: 0 });
    const group = groups.get(key);
    group.records.push(record);
    group.at = Math.max(group.at, record.resolved_at || record.ops.at(-1).timestamp);
  }
  return [...groups.values()];
}

function nameOf(document, path, versions) {
  const id = path.slice(0, path.indexOf('.'));
  const known = [document.replica.shown.get(id), ...versions].find((value) => value?.text);
  return known ? `“${known.text}”` : 'a note';
}

function valueOf(registers, side, made = {}) {
  const values = new Map([...registers].map(([key, record]) => [key, record[side]]));
  const [first] = values.values();
  if (first && typeof first === 'object') return describe(first);
  if (values.has('x') || values.has('y')) {
    const [x, y] = ['x', 'y'].map((axis) => values.get(axis) ?? made?.[axis] ?? '…');
    return `at ${x}, ${y}`;
  }
  return [...values.values()].map((value) => (typeof value === 'string' ? quoted(value) : value ?? 'nothing')).join(', ');
}

const describe = ({ text, x, y, style }) => `“${text}” at ${x}, ${y}${style?.color ? ` in ${style.color}` : ''}`;
const quoted = (value) => `“${value.length > 80 ? `${value.slice(0, 80)}…` : value}”`;
