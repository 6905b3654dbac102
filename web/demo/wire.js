// The raw frames of one device, newest last, each with a line that says what it is for.
const KEPT = 80;
const SHOWN_CHARS = 600;
const HINTS = new Set(['awareness', 'typing']);

const OUT = {
  register: 'Says who this is. Only a server in dev mode takes a bare user id.',
  message: 'A new message. The id is its idempotency key: sent again until answered.',
  edit: 'Changes an own message. A durable command like any other.',
  delete: 'Takes an own message back.',
  react: 'Adds or removes a reaction.',
  typing: 'A hint. Lost if nobody is there, and nobody minds.',
  ack: 'Everything up to here is safe on this device; do not replay it.',
  read: 'Moves the read mark of the user, for all devices.',
  watch: 'Asks to be told when this user comes and goes.',
  history: 'Asks for entries that were not replayed.',
  ping: 'Still here?',
  subscribe: 'Follows a document, from the version that is known here.',
  operation: 'A change, as made on prev_version and the own operations since. Sent again until answered.',
  lock: 'Asks for the lock. Its fence grows with every grant.',
  unlock: 'Gives the lock back.',
  awareness: 'Where this person points and types. Lost if nobody is there.',
  resolve: 'Decides an open conflict.',
  GET: 'Over REST: locks and conflicts that are not among the missed operations.',
  POST: 'Over REST: makes a document of this tab. The same id again finds it.',
  PATCH: 'Over REST: what becomes of conflicts from now on.',
};

const IN = {
  welcome: 'The server introduces itself.',
  registered: 'Accepted. resume says how many entries this device has missed.',
  sent: 'Stored for good, with its place (seq) in the stream.',
  message: 'An entry of the stream: a message of another device, or one replayed.',
  message_edited: 'An entry that changes the text of target_seq.',
  message_deleted: 'An entry that takes target_seq back.',
  reaction: 'An entry that adds a reaction to target_seq or removes it.',
  member_added: 'An entry: somebody joined the conversation.',
  synced: 'The replay is over; what follows is live.',
  gap: 'Entries in between are not replayed; history has what is left of them.',
  history: 'The entries that were asked for.',
  delivered: 'A device of this user has everything up to seq.',
  read: 'This user has read up to seq.',
  typing: 'Somebody is writing, or has stopped.',
  presence: 'A watched user came or went.',
  device_online: 'Another device of the same user connected.',
  device_offline: 'Another device of the same user left.',
  subscribed: 'The document, or the operations that were missed.',
  operation_ack: 'Stored; status says what became of it.',
  operation_applied: 'The next version for everybody: the operation as it took effect.',
  document_updated: 'Its name, state or properties changed.',
  conflict_detected: 'Two changes met. Nothing that loses is gone: it is in the record.',
  conflict_resolved: 'How the conflict ended.',
  lock_acquired: 'Somebody holds the lock now.',
  lock_released: 'The lock is free again; reason says why.',
  user_joined: 'Somebody follows the document.',
  user_left: 'Somebody no longer follows it.',
  bookmark: 'Silence: you have everything up to seq.',
  locked: 'The lock is yours until expires_at.',
  unlocked: 'The lock is given back.',
  resolved: 'The conflict is decided.',
  awareness: 'Where the other one is.',
  pong: 'Still here.',
  error: 'Refused; the code says why, and whether to try again.',
  bye: 'The server will close now; it says whether and when to come back.',
};

export class Wire {
  #list; #count; #template; #total = 0;

  constructor(details) {
    this.#list = details.querySelector('ol');
    this.#count = details.querySelector('.count');
    this.#template = document.querySelector('#frame-template');
    details.addEventListener('toggle', () => this.#toEnd());
  }

  add(direction, frame) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 30;
    const item = this.#template.content.cloneNode(true);
    const out = direction === 'out';
    item.querySelector('li').className = direction;
    item.querySelector('.arrow').textContent = out ? '↑' : '↓';
    item.querySelector('.arrow').setAttribute('aria-label', out ? 'sent' : 'received');
    const isEvent = frame.type === 'document_event';
    item.querySelector('.type').textContent = isEvent ? frame.event : frame.type;
    item.querySelector('.why').textContent = (out ? OUT : IN)[isEvent ? frame.event : frame.type] ?? '';
    item.querySelector('pre').textContent = shorten(JSON.stringify(frame));
    // Hints come by the dozen: of those in a row the last one is shown.
    const last = this.#list.lastElementChild;
    if (HINTS.has(frame.type) && last?.className === direction && last.dataset.type === frame.type) last.remove();
    item.querySelector('li').dataset.type = frame.type;
    this.#list.append(item);
    if (this.#list.childElementCount > KEPT) this.#list.firstElementChild.remove();
    this.#count.textContent = ++this.#total;
    if (atEnd) this.#toEnd();
  }

  #toEnd() { this.#list.scrollTop = this.#list.scrollHeight; }
}

function shorten(text) {
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}
