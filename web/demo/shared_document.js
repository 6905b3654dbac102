// SharedDocument: a document as one person follows it. Keeps the replica up to date, sends what the person does, and
// knows who holds the lock and which conflicts there are.
//
// Promises:
//   1. What was done is sent until the server has answered it, with the same id, in order, over any number of
//      connections. What the server refuses is taken back.
//   2. Every stored event is taken in once, in order of its `seq`.
//
// Events (see `detail`): change {text} (how a shown text has changed, an operation), told {} (anything else worth
// drawing), awareness {user, state}, refused {code, error}.
import { Replica } from './replica.js';

const RETRYABLE = new Set(['rate_limited', 'unavailable']);
const IN_FLIGHT_MAX = 64;
const RETRY_MS = 400;
const LOCK_MS = 30_000;

export class SharedDocument extends EventTarget {
  lock = null;            // as the server has it, while somebody holds it
  conflicts = new Map();  // id -> the record
  users = [];             // who follows it now
  properties = {};

  #client; #following = false; #subscribed = false; #seq = 0; #heldUntil = 0; #retry = 0; #told = 0;
  #asked = new Map();     // id of a frame -> what to do with its answer

  constructor({ client, id, type }) {
    super();
    this.id = id;
    this.type = type;
    this.replica = new Replica(type === 'text');
    this.#client = client;
    if (client.ready) this.connected({});
  }

  get opened() { return this.#following; }   // there is something to show
  get live() { return this.#subscribed; }
  get now() { return this.#client.now; }
  get isMine() { return this.lock?.session_id === this.#client.session; }
  // Somebody else's lock.
  get isHeld() { return Boolean(this.lock) && !this.isMine; }
  get openConflicts() { return [...this.conflicts.values()].filter((one) => !one.resolved_at).length; }

  // What a person does while away waits, if need be, for whoever holds the lock by then; a fence would be stale.
  edit(type, data, extra = {}) {
    const options = this.live
      ? { extra, ...(this.isMine && { fence: this.lock.fence }) }
      : { extra: { ...extra, on_lock: 'wait' } };
    const made = this.replica.edit(type, data, options);
    this.#emit('told');
    this.#pump();
    return made;
  }

  takeLock() { this.#ask({ type: 'lock', ttl_ms: LOCK_MS }, (answer) => this.#answered(answer)); }
  releaseLock() { this.#ask({ type: 'unlock' }, (answer) => this.#answered(answer)); }
  resolve(conflict, take) {
    this.#ask({ type: 'resolve', conflict_id: conflict.id, take }, (answer) => this.#answered(answer));
  }

  // Says where this person is. Now or not at all.
  tell(state) {
    if (!this.live) return;
    const { version, pending } = this.replica;
    const after = pending.at(-1)?.id;
    const made = { ...state, version, ...(after && { after }) };
    this.#client.write({ type: 'awareness', document_id: this.id, state: made });
  }

  // --- connection -----------------------------------------------------------------------------------------------

  // An operation is understood as made on top of those of its session: in another one all are made anew.
  connected({ otherSession }) {
    if (this.#following && !otherSession) {
      this.#subscribe(this.replica.version);
      return;
    }
    this.#subscribe(this.#following ? this.replica.version : undefined, () => this.replica.remake(0));
  }

  disconnected() {
    this.#subscribed = false;
    this.#asked.clear();
    clearTimeout(this.#retry);
    for (const one of this.replica.pending) one.sent = false;
    this.lock = null;
    this.users = [];
    this.#emit('told');
  }

  #subscribe(since, then = () => {}) {
    this.#ask({ type: 'subscribe', ...(since && { since_version: since }) }, (answer) => {
      if (answer.code === 'stale_version') return this.#subscribe(undefined, then);  // too long away
      if (RETRYABLE.has(answer.code)) {
        this.#retry = setTimeout(() => this.#subscribe(since, then), answer.retry_after_ms ?? RETRY_MS);
        return;
      }
      if (answer.code) return this.#answered(answer);
      if (answer.document) {
        this.properties = answer.document.metadata.properties;
        this.replica.reset(answer.document);
        this.#emit('change', { text: null });
      }
      for (const operation of answer.operations ?? []) this.#take(operation);
      this.#seq = answer.seq;
      this.users = answer.users;
      this.#following = this.#subscribed = true;
      then();
      this.lookAround();
      this.#pump();
      this.#emit('told');
      this.#emit('joined');
    });
  }

  // Locks and conflicts that came while this person was away are not among the missed operations.
  async lookAround() {
    const told = ++this.#told;
    const asked = ['/lock', '/conflicts', ''].map((path) => this.#client.call('GET', `/documents/${this.id}${path}`));
    const [{ lock }, { conflicts }, { document }] = await Promise.all(asked).catch(() => [{}, {}, {}]);
    if (!document || !this.live) return;  // asked again with the next connection
    if (told === this.#told) this.lock = lock ?? null;
    this.properties = document.metadata.properties;
    for (const conflict of conflicts.reverse()) if (!this.conflicts.get(conflict.id)?.resolved_at) this.#note(conflict);
    this.#emit('told');
  }

  // --- sending --------------------------------------------------------------------------------------------------

  #ask(frame, answered) {
    const id = crypto.randomUUID();
    this.#asked.set(id, answered);
    this.#client.ask(this, { ...frame, id, document_id: this.id });
    return id;
  }

  #pump() {
    clearTimeout(this.#retry);
    if (!this.live) return;
    const held = this.#heldUntil - Date.now();
    if (held > 0) {
      this.#retry = setTimeout(() => this.#pump(), held);
      return;
    }
    let inFlight = 0;
    for (const one of this.replica.pending) {
      if (inFlight >= IN_FLIGHT_MAX) return;
      inFlight += one.waits ? 0 : 1;
      if (one.sent) continue;
      const { id, type, data, prev_version, extra, fence } = one;
      const operation = { id, type, data, prev_version, metadata: { extra }, ...(fence && { fence }) };
      one.told = true;
      one.sent = this.#ask({ type: 'operation', operation }, (answer) => this.#settle(id, answer));
    }
  }

  // An answer to one that was made anew meanwhile, or is known to be applied, finds nothing here.
  #settle(id, answer) {
    const { pending } = this.replica;
    const at = pending.findIndex((one) => one.id === id);
    if (at < 0) return;
    if (RETRYABLE.has(answer.code)) {
      this.#again(at, answer.retry_after_ms ?? RETRY_MS);
    } else if (answer.code === 'stale_version') {
      this.#forget(at);
      this.replica.remake(at);
    } else if (answer.code) {
      this.#giveUp(id);
      this.#emit('refused', answer);
    } else if (answer.status === 'conflict') {
      this.#giveUp(id);
    } else {
      pending[at].waits = answer.status === 'pending';
    }
    this.#pump();
    this.#emit('told');
  }

  // Those after it are sent again, too: the server refuses what was made on top of something that it has not.
  #again(at, delay) {
    this.#forget(at);
    this.#heldUntil = Math.max(this.#heldUntil, Date.now() + delay);
  }

  #forget(from) {
    for (const one of this.replica.pending.slice(from)) {
      this.#asked.delete(one.sent);
      one.sent = false;
    }
  }

  #giveUp(id) {
    const at = this.replica.pending.findIndex((one) => one.id === id);
    if (at < 0) return;
    this.#forget(at);
    this.#emit('change', { text: this.replica.drop(id) });
  }

  // --- what the server says -------------------------------------------------------------------------------------

  received(frame) {
    const answered = this.#asked.get(frame.id);
    if (answered) {
      this.#asked.delete(frame.id);
      answered(frame);
    } else if (frame.type === 'document_event') {
      this.#event(frame);
    } else if (frame.type === 'awareness') {
      this.#emit('awareness', { user: frame.user_id, state: frame.state });
    }
  }

  #answered(answer) {
    if (answer.code) this.#emit('refused', answer);
    this.#emit('told');
  }

  #event(event) {
    if (event.seq && event.seq <= this.#seq) return;
    this.#seq = event.seq ?? this.#seq;
    switch (event.event) {
      case 'operation_applied': this.#take(event.operation); break;
      case 'conflict_detected':
      case 'conflict_resolved': this.#note(event.conflict); break;
      case 'lock_acquired': this.#told += 1; this.lock = event.lock; break;
      case 'lock_released': this.#told += 1; this.lock = null; break;
      case 'document_updated': this.properties = event.document.metadata.properties; break;
      case 'user_joined': this.users = [...new Set([...this.users, event.user_id])]; this.#emit('joined'); break;
      case 'user_left': this.users = this.users.filter((user) => user !== event.user_id); break;
      case 'bookmark': return;
    }
    this.#emit('told');
  }

  #take(operation) {
    this.#emit('change', { text: this.replica.receive(operation) });
    this.#pump();
  }

  // A parked operation has no effect until somebody decides.
  #note(conflict) {
    this.conflicts.set(conflict.id, conflict);
    if (!conflict.resolved_at && conflict.resolution === 'manual') this.#giveUp(conflict.ops.at(-1).id);
  }

  #emit(type, detail = {}) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
