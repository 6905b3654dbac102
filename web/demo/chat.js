// What one device knows of the conversation with its peer, folded from the entries in order. No page, no network.
export class Chat {
  constructor(me, peer) {
    this.me = me;
    this.peer = peer;
    this.clear();
  }

  clear() {
    this.id = null;                               // known from the first entry on
    this.messages = new Map();                    // seq -> message, ascending because entries come in order
    this.marks = { delivered: 0, read: 0 };       // how far the peer has come
    this.readSeq = 0;                             // how far this user has read, on any device
  }

  // Applying the same change twice leaves the same state: a replayed message already carries later edits and reactions.
  apply(entry) {
    this.id ??= entry.conversation_id;
    const target = this.messages.get(entry.target_seq);
    switch (entry.type) {
      case 'message': this.messages.set(entry.seq, this.#message(entry)); break;
      case 'message_edited': if (target) Object.assign(target, { text: entry.content, edited: true }); break;
      case 'message_deleted': if (target) Object.assign(target, { text: '', deleted: true, thumbs: new Set() }); break;
      case 'reaction':
        if (entry.remove) target?.thumbs.delete(entry.from);
        else target?.thumbs.add(entry.from);
        break;
    }
  }

  #message(entry) {
    const { mine = false, count = 0 } = entry.reactions?.[THUMB] ?? {};
    const thumbs = new Set(mine ? [this.me] : []);
    if (count > thumbs.size) thumbs.add(this.peer);
    return {
      seq: entry.seq, from: entry.from, device: entry.device_id, text: entry.content ?? '', at: entry.timestamp,
      edited: Boolean(entry.edited_at), deleted: Boolean(entry.deleted), thumbs,
    };
  }

  lost(after, next) {
    this.messages.set(next - 1, { seq: next - 1, notice: `${next - after - 1} older entries are no longer kept` });
  }

  // A receipt: `read` implies `delivered`, and marks never move back.
  mark(kind, user, seq) {
    if (user === this.me) {
      if (kind === 'read') this.readSeq = Math.max(this.readSeq, seq);
      return;
    }
    this.marks.delivered = Math.max(this.marks.delivered, seq);
    if (kind === 'read') this.marks.read = Math.max(this.marks.read, seq);
  }

  tick(seq) {
    if (seq <= this.marks.read) return 'read';
    return seq <= this.marks.delivered ? 'delivered' : 'sent';
  }

  get unread() {
    let count = 0;
    for (const { seq, from, deleted } of this.messages.values()) {
      if (from === this.peer && !deleted && seq > this.readSeq) count++;
    }
    return count;
  }

  lastOwn() {
    return [...this.messages.values()].findLast(({ from, deleted }) => from === this.me && !deleted);
  }
}

export const THUMB = '👍';
