// Changes of a text, as the list [retain n | "inserted" | {d: n}] of the wire (docs/protocol.md, section 14). Counts are
// code points, what follows the last entry stays. Pure: no page, no network.
//
// Of two insertions at one place the later arrival stands directly behind the character that its author saw on its left.

// Appends from left to right; neighbours of one kind become one entry, and no retain is kept at the end.
class Builder {
  #parts = []; #retained = 0;

  retain(count) { this.#retained += count; }
  insert(text) {
    if (!text) return;
    const last = this.#next();
    if (typeof this.#parts[last] === 'string') this.#parts[last] += text;
    else this.#parts.push(text);
  }
  remove(count) {
    if (!count) return;
    const last = this.#next();
    if (this.#parts[last]?.d) this.#parts[last] = { d: this.#parts[last].d + count };
    else this.#parts.push({ d: count });
  }
  done() { return this.#parts; }

  #next() {
    if (this.#retained) this.#parts.push(this.#retained);
    this.#retained = 0;
    return this.#parts.length - 1;
  }
}

// Takes an operation apart, as finely as one likes. Behind its last entry everything is retained.
class Reader {
  #parts; #at = 0; #used = 0;

  constructor(parts) { this.#parts = parts; }

  get done() { return this.#at >= this.#parts.length; }
  get kind() { return this.done ? 'retain' : kindOf(this.#parts[this.#at]); }

  // At most `most` of the next entry: its count, or its text where it inserts.
  take(most = Infinity) {
    if (this.done) return most;
    const part = this.#parts[this.#at];
    if (typeof part === 'string') {
      const text = [...part].slice(this.#used, this.#used + most).join('');
      this.#pass(lengthOf(text), lengthOf(part));
      return text;
    }
    const size = part.d ?? part;
    const count = Math.min(most, size - this.#used);
    this.#pass(count, size);
    return count;
  }

  #pass(count, size) {
    this.#used += count;
    if (this.#used < size) return;
    this.#at += 1;
    this.#used = 0;
  }
}

function kindOf(part) {
  if (typeof part === 'string') return 'insert';
  return typeof part === 'number' ? 'retain' : 'remove';
}

// In code points.
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

// Index of the code point that has `count` before it.
export function indexOf(text, count) {
  let index = 0;
  for (; count > 0 && index < text.length; count -= 1) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  return index;
}

export function apply(text, operation) {
  let result = '';
  let rest = text;
  for (const part of operation) {
    if (typeof part === 'string') {
      result += part;
      continue;
    }
    const index = indexOf(rest, part.d ?? part);
    if (!part.d) result += rest.slice(0, index);
    rest = rest.slice(index);
  }
  return result + rest;
}

// What takes the operation back, from the text after it.
export function inverse(operation, text) {
  const back = new Builder();
  let rest = text;
  for (const part of operation) {
    if (typeof part === 'string') {
      back.remove(lengthOf(part));
      continue;
    }
    const index = indexOf(rest, part.d ?? part);
    if (part.d) back.insert(rest.slice(0, index));
    else back.retain(part);
    rest = rest.slice(index);
  }
  return back.done();
}

// Two operations on one text, `earlier` arrived first: what `later` is on the text after `earlier`.
export function rebase(later, earlier) {
  const out = new Builder();
  const other = new Reader(earlier);
  for (const part of later) {
    if (typeof part === 'string') {
      out.insert(part);
      continue;
    }
    for (let left = part.d ?? part; left > 0; ) {
      const { kind } = other;
      if (kind === 'insert') {
        out.retain(lengthOf(other.take()));
        continue;
      }
      const count = other.take(left);
      left -= count;
      if (kind === 'retain') part.d ? out.remove(count) : out.retain(count);
    }
  }
  return out.done();
}

// And the other way round: what `earlier` is on the text after `later`. Both ways lead to the same text.
export function rebaseEarlier(earlier, later) {
  const out = new Builder();
  const other = new Reader(earlier);
  const pass = (left, stays) => {
    while (left > 0 && !(other.done && left === Infinity)) {
      const { kind } = other;
      if (kind === 'insert') {
        out.insert(other.take());
        continue;
      }
      const count = other.take(left);
      left -= count;
      if (stays) kind === 'remove' ? out.remove(count) : out.retain(count);
    }
  };
  for (const part of later) {
    if (typeof part === 'string') out.retain(lengthOf(part));
    else pass(part.d ?? part, !part.d);
  }
  pass(Infinity, true);
  return out.done();
}

// The one operation that does what `first` and then `second` do. Insertions stand before removals.
export function compose(first, second) {
  const out = new Builder();
  const before = new Reader(first);
  const pass = (left, stays) => {
    while (left > 0 && !(before.done && left === Infinity)) {
      const { kind } = before;
      if (kind === 'remove') {
        out.remove(before.take());
        continue;
      }
      const taken = before.take(left);
      const count = kind === 'insert' ? lengthOf(taken) : taken;
      left -= count;
      if (kind === 'insert') stays && out.insert(taken);
      else stays ? out.retain(count) : out.remove(count);
    }
  };
  for (const part of second) {
    if (typeof part === 'string') out.insert(part);
    else pass(part.d ?? part, !part.d);
  }
  pass(Infinity, true);
  return insertionsFirst(out.done());
}

function insertionsFirst(operation) {
  const out = new Builder();
  let removed = 0;
  for (const part of operation) {
    if (part.d) removed += part.d;
    else if (typeof part === 'string') out.insert(part);
    else {
      out.remove(removed);
      removed = 0;
      out.retain(part);
    }
  }
  out.remove(removed);
  return out.done();
}

// From one text to another, as one replacement. `caret` is the index in `to` at which it was edited: of "aa" typed into
// "a" it says which one is new.
export function difference(from, to, caret = to.length) {
  const a = [...from];
  const b = [...to];
  const shorter = Math.min(a.length, b.length);
  const behind = Math.min(lengthOf(to.slice(caret)), shorter);
  let end = 0;
  while (end < behind && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  let start = 0;
  while (start < shorter - end && a[start] === b[start]) start += 1;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const out = new Builder();
  out.retain(start);
  out.insert(b.slice(start, b.length - end).join(''));
  out.remove(a.length - end - start);
  return out.done();
}

// Where a position is after the operation. What is inserted exactly there comes behind it.
export function moved(position, operation) {
  let at = 0;  // in the text before
  let result = position;
  for (const part of operation) {
    if (typeof part === 'string') {
      if (at < position) result += lengthOf(part);
      continue;
    }
    const count = part.d ?? part;
    if (part.d) result -= Math.max(0, Math.min(count, position - at));
    at += count;
    if (at > position) break;
  }
  return result;
}

export const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);
