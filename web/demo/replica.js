// Replica: one person's copy of a document. What the server has told, and over it what this person has done and the
// server has not told yet, so that everything shows at once. Pure: no page, no network.
//
// Promises:
//   1. After the same operations from the server, and with nothing pending, two replicas are equal to the last byte.
//   2. A pending operation is sent as it was made, with the version that its author saw: the server finds the conflicts.
//      What it is on the present document is only the prediction that shows meanwhile; the server's word replaces it.
//   3. Each names the one before it (`after`), so it takes effect only on what its author saw.
import * as objects from './objects.js';
import * as text from './text_operation.js';

const RECENT = 500;

export class Replica {
  version = 0;
  recent = [];   // the newest operations of the server: {version, id, user, ops}

  #isText; #confirmed; #shown; #pending = []; #makeId;

  constructor(isText, makeId = () => crypto.randomUUID()) {
    this.#isText = isText;
    this.#makeId = makeId;
    this.#confirmed = this.#shown = isText ? '' : new Map();
  }

  get shown() { return this.#shown; }       // a string, or a Map of objects
  get pending() { return this.#pending; }   // oldest first
  get bytes() { return this.#isText ? this.#shown : objects.canonical(this.#shown); }

  // Starts from a whole document. What is pending was made on another one: it is rebased over the difference.
  reset({ version, content }) {
    const confirmed = this.#isText ? content : objects.objectsOf(content);
    if (this.#isText) this.#over(text.difference(this.#confirmed, confirmed), 0);
    this.#confirmed = confirmed;
    this.version = version;
    this.recent = [];
    this.remake(0);
    this.#show();
  }

  // A change by this person. options: {extra, fence} of the operation. Returns what is pending for it.
  edit(type, data, { extra = {}, fence } = {}) {
    const last = this.#pending.at(-1);
    if (this.#isText && last && !last.told && last.prev_version === this.version) {
      last.data = { ops: text.compose(last.data.ops, data.ops) };
      last.ops = last.data.ops;
      this.#show();
      return last;
    }
    // told: it has left once, so the server may have it; it never changes again under this id.
    const made = { id: this.#makeId(), type, data, prev_version: this.version, extra, fence, told: false };
    if (this.#isText) made.ops = data.ops;
    if (last) made.extra = { ...extra, after: last.id };
    this.#pending.push(made);
    this.#show();
    return made;
  }

  // The next operation of the server. Returns how a text that shows has changed, as an operation.
  receive({ id, user_id: user, type, data, version }) {
    if (version <= this.version) return [];
    const own = this.#pending.findIndex((one) => one.id === id);
    let change = own > 0 ? this.drop(id) : [];  // out of turn: like anybody's
    if (this.#isText) {
      const ops = data.ops ?? text.difference(this.#confirmed, data.content ?? this.#confirmed);
      const confirmed = text.apply(this.#confirmed, ops);
      if (own !== 0) {
        change = text.compose(change, this.#over(ops, 0));
      } else if (!text.isSame(this.#pending[0].ops, ops)) {
        const expected = text.apply(this.#confirmed, this.#pending[0].ops);
        change = this.#over(text.difference(expected, confirmed), 1);
      }
      this.#confirmed = confirmed;
      this.recent = [...this.recent.slice(-RECENT), { version, id, user, ops }];
    } else {
      this.#confirmed = objects.applied(this.#confirmed, { type, data });
    }
    if (own === 0) this.#pending.shift();
    this.version = version;
    this.#show();
    return change;
  }

  // A pending operation will never take effect. Those after it were made on top of it: they are made anew without it.
  drop(id) {
    const at = this.#pending.findIndex((one) => one.id === id);
    if (at < 0) return [];
    let change = [];
    if (this.#isText) {
      const before = this.#pending.slice(0, at).reduce((all, { ops }) => text.apply(all, ops), this.#confirmed);
      change = this.#over(text.inverse(this.#pending[at].ops, before), at + 1);
    }
    this.#pending.splice(at, 1);
    this.remake(at);
    this.#show();
    return change;
  }

  // From this one on pending operations get new ids and are based on the present document.
  remake(from) {
    for (const [at, one] of this.#pending.entries()) {
      if (at < from) continue;
      const { after: _, ...extra } = one.extra;
      one.id = this.#makeId();
      one.told = one.sent = one.waits = false;
      one.prev_version = this.version;
      one.extra = at ? { ...extra, after: this.#pending[at - 1].id } : extra;
      if (this.#isText) one.data = { ops: one.ops };
    }
  }

  // Takes pending operations over one that came before them; returns it as it is after them.
  #over(ops, from) {
    let other = ops;
    for (const one of this.#pending.slice(from)) {
      const mine = one.ops;
      one.ops = text.rebase(mine, other);
      other = text.rebaseEarlier(other, mine);
    }
    return other;
  }

  #show() {
    this.#shown = this.#isText
      ? this.#pending.reduce((all, { ops }) => text.apply(all, ops), this.#confirmed)
      : this.#pending.reduce((all, one) => objects.applied(all, one), this.#confirmed);
  }
}
