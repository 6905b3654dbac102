// A small Tidemark client: one device, one connection at a time, the rules of docs/protocol.md.
//
// Promises to its user:
//   1. `entry` events of a stream come in order, each seq once, over any number of reconnects.
//   2. A durable command is sent again with the same id until it is answered with `sent` or refused for good.
//   3. The server is told what was applied (`ack`), so it replays only the rest.
// Does not promise: anything about signals (typing, presence, receipts); they are lost while the device is away.
// Cursors and unanswered commands live in memory only: a client made anew is a new device and needs a new device id.
//
// Events (see `detail`), beside those of the connection: entry {the frame}, sent {id, seq, …}, refused {id, code, error},
// lost {stream, after, next}, reset {}, signal {the frame}.
import { Connection } from '/demo/connection.js';

const ENTRY_TYPES = new Set(['message', 'message_edited', 'message_deleted', 'reaction', 'member_added',
  'member_removed', 'member_role', 'conversation_updated', 'conversation_deleted', 'sync']);
const RETRYABLE = new Set(['locked', 'rate_limited', 'unavailable']);
const SELF = '@self';
const ACK_DELAY_MS = 50;
const HOLE_PATIENCE_MS = 1000;
const RETRY_MS = 500;
const IN_FLIGHT_MAX = 64;

export class TidemarkClient extends Connection {
  #synced = false; #epoch = ''; #inFlightMax = IN_FLIGHT_MAX; #heldUntil = 0;
  #cursors = new Map();   // stream -> seq of the last applied entry
  #parked = new Map();    // stream -> Map(seq -> entry) that came before its predecessor
  #pending = new Map();   // id -> the command as first sent, oldest first
  #inFlight = new Set();  // ids sent on this connection and not answered yet
  #unacked = new Set();   // streams whose cursor the server has not been told
  #filling = new Map();   // stream -> id of the `history` request under way
  #holes = new Map();     // stream -> timer
  #watched = new Set();
  #reads = new Map();     // conversation -> furthest read seq
  #timers = { ack: 0, retry: 0 };

  cursor(stream) { return this.#cursors.get(stream) ?? 0; }

  // Queues a durable command and returns its id. It survives reconnects and never changes after the first try.
  send(command) {
    const id = crypto.randomUUID();
    this.#pending.set(id, { ...command, id });
    this.#pump();
    return id;
  }

  // Sends now or not at all.
  signal(frame) {
    if (this.ready) this.write(frame);
  }

  watch(userId) {
    this.#watched.add(userId);
    this.signal({ type: 'watch', users: [userId] });
  }

  read(conversation, seq) {
    if (seq <= (this.#reads.get(conversation) ?? 0)) return;
    this.#reads.set(conversation, seq);
    this.signal({ type: 'read', conversation_id: conversation, seq });
  }

  // --- connection -----------------------------------------------------------------------------------------------

  registered({ epoch, limits }) {
    if (this.#epoch && this.#epoch !== epoch) {  // another store: what we know of the old one means nothing here
      for (const known of [this.#cursors, this.#parked, this.#reads]) known.clear();
      this.emit('reset', {});
    }
    this.#epoch = epoch;
    this.#inFlightMax = Math.min(limits?.inflight ?? IN_FLIGHT_MAX, IN_FLIGHT_MAX);
    for (const stream of this.#cursors.keys()) this.#confirm(stream);
    if (this.#watched.size) this.write({ type: 'watch', users: [...this.#watched] });
    for (const [conversation_id, seq] of this.#reads) this.write({ type: 'read', conversation_id, seq });
    this.#pump();
  }

  dropped() {
    this.#synced = false;
    this.#inFlight.clear();
    this.#filling.clear();
    for (const timer of [...Object.values(this.#timers), ...this.#holes.values()]) clearTimeout(timer);
    this.#holes.clear();
    this.#timers.ack = 0;
  }

  received(frame) {
    if (ENTRY_TYPES.has(frame.type)) return this.#take(frame);
    switch (frame.type) {
      case 'synced': return this.#caughtUp();
      case 'sent': return this.#sent(frame);
      case 'error': return this.#error(frame);
      case 'gap': return this.#gap(frame);
      case 'history': return this.#history(frame);
      default: this.emit('signal', frame);
    }
  }

  #caughtUp() {
    this.#synced = true;
    for (const stream of this.#parked.keys()) this.#advance(stream);
  }

  // --- commands -------------------------------------------------------------------------------------------------

  #pump() {
    if (!this.ready) return;
    const held = this.#heldUntil - Date.now();
    clearTimeout(this.#timers.retry);
    if (held >= 0) {
      this.#timers.retry = setTimeout(() => this.#pump(), held + 1);
      return;
    }
    for (const [id, command] of this.#pending) {
      if (this.#inFlight.size >= this.#inFlightMax) return;
      if (this.#inFlight.has(id)) continue;
      this.#inFlight.add(id);
      this.write(command);
    }
  }

  #settle(id) {
    const command = this.#pending.get(id);
    this.#pending.delete(id);
    this.#inFlight.delete(id);
    return command;
  }

  // The connection that sent a command gets `sent` instead of the entry, so the entry is made from the two.
  #sent(answer) {
    const command = this.#settle(answer.id);
    if (!command) return;
    this.#take(entryOf(command, answer, this.credentials));
    this.emit('sent', answer);
    this.#pump();
  }

  #error(frame) {
    for (const [stream, id] of this.#filling) {
      if (id !== frame.id) continue;
      this.#filling.delete(stream);
      if (this.#parked.has(stream)) this.#advance(stream);  // asks again later
    }
    if (!this.#pending.has(frame.id)) return this.emit('signal', frame);
    if (!RETRYABLE.has(frame.code)) {
      this.#settle(frame.id);
      return this.emit('refused', frame);
    }
    this.#inFlight.delete(frame.id);
    const delay = frame.retry_after_ms ?? RETRY_MS * (1 + Math.random());
    this.#heldUntil = Math.max(this.#heldUntil, Date.now() + delay);
    this.#pump();
  }

  // --- entries --------------------------------------------------------------------------------------------------

  #take(entry) {
    const stream = entry.conversation_id ?? SELF;
    this.#confirm(stream);  // also for one we have: the server would otherwise wait for it
    if (entry.seq <= this.cursor(stream)) return;
    if (!this.#parked.has(stream)) this.#parked.set(stream, new Map());
    this.#parked.get(stream).set(entry.seq, entry);
    this.#advance(stream);
  }

  // Applies what follows the cursor. What stays parked waits for its predecessors; a hole that stays is asked for.
  #advance(stream) {
    const parked = this.#parked.get(stream);
    for (let next; (next = parked.get(this.cursor(stream) + 1)); ) {
      parked.delete(next.seq);
      this.#cursors.set(stream, next.seq);
      this.emit('entry', next);
    }
    clearTimeout(this.#holes.get(stream));
    if (parked.size && this.#synced) {
      this.#holes.set(stream, setTimeout(() => this.#fill(stream), HOLE_PATIENCE_MS));
    }
  }

  #gap({ conversation_id: stream, next_seq: next }) {
    if (stream === SELF) return this.#skipTo(stream, next);  // has no history: what is gone is gone
    this.#fill(stream);
  }

  #fill(stream) {
    if (!this.ready || this.#filling.has(stream)) return;
    const id = crypto.randomUUID();
    this.#filling.set(stream, id);
    this.write({ type: 'history', id, conversation_id: stream, after: this.cursor(stream), limit: 200 });
  }

  #history({ id, conversation_id: stream, entries, has_more: more }) {
    if (this.#filling.get(stream) !== id) return;
    this.#filling.delete(stream);
    const first = entries[0]?.seq ?? Math.min(...(this.#parked.get(stream)?.keys() ?? []));
    if (Number.isFinite(first)) this.#skipTo(stream, first);
    for (const entry of entries) this.#take(entry);
    if (more && entries.length) this.#fill(stream);
  }

  #skipTo(stream, next) {
    const after = this.cursor(stream);
    if (next <= after + 1) return;
    this.#cursors.set(stream, next - 1);
    this.emit('lost', { stream, after, next });
    if (this.#parked.has(stream)) this.#advance(stream);
    this.#confirm(stream);
  }

  #confirm(stream) {
    this.#unacked.add(stream);
    this.#timers.ack ||= setTimeout(() => {
      this.#timers.ack = 0;
      const known = [...this.#unacked].filter((key) => this.cursor(key) > 0);
      this.#unacked.clear();
      if (!known.length) return;
      const cursors = Object.fromEntries(known.map((key) => [key, this.cursor(key)]));
      this.signal({ type: 'ack', cursors, epoch: this.#epoch });
    }, ACK_DELAY_MS);
  }
}

const ENTRY_OF_COMMAND = {
  message: 'message', edit: 'message_edited', delete: 'message_deleted', react: 'reaction', sync: 'sync',
};

function entryOf(command, { conversation_id, message_id, seq, timestamp }, { user_id, device_id }) {
  const type = ENTRY_OF_COMMAND[command.type];
  const entry = { ...command, type, conversation_id, message_id, seq, timestamp, from: user_id, device_id };
  if (command.type !== 'message' && command.type !== 'sync') entry.target_seq = command.seq;
  return entry;
}
