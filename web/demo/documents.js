// The page: two people on one whiteboard and one text, whether their copies are equal, and a scene that plays by itself.
import { clone, setText } from '/demo/page.js';
import { Person } from '/demo/person.js';
import { lengthOf } from '/demo/text_operation.js';

const SCENE = { alice: ' Alice wrote on while Bob was away.', bob: 'Bob was off, and wrote all the same. ' };
const BOARD = {
  'a-tide': { x: 40, y: 40, text: 'Low tide at six', style: { color: 'sky' } },
  'b-nets': { x: 250, y: 150, text: 'Mend the nets', style: { color: 'sand' } },
  'c-tea': { x: 440, y: 60, text: 'Tea', style: { color: 'mint' } },
};
const TEXT = 'Two people write here at once.\nCut one off, go on writing on both sides, and come back.\n';

const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws?replay=0`;

// Every tab has its own Alice and Bob and their own two documents, kept over a reload.
function tabOf(key) {
  const tab = sessionStorage.getItem(key) ?? randomHex();
  sessionStorage.setItem(key, tab);
  return tab;
}

function randomHex() {
  return [...crypto.getRandomValues(new Uint16Array(2))].map((part) => part.toString(16).padStart(4, '0')).join('');
}

const tab = tabOf('tidemark-documents');
const alice = { name: 'Alice', user: `alice-${tab}`, hue: 195 };
const bob = { name: 'Bob', user: `bob-${tab}`, hue: 40 };
const names = new Map([alice, bob].map(({ user, name }) => [user, name]));
const rows = new Map();
let drawScheduled = false;

// A device of its own for each load: what the page knew is gone, and so is the session that it was known to.
const person = (who, peer) => new Person({ who, peer, names, url, deviceId: `page-${randomHex()}`, changed: scheduleDraw });
const people = [person(alice, bob), person(bob, alice)];

// The same call again, with the same id, finds the documents of this tab.
async function openDocuments() {
  const permissions = { owner: alice.user, editors: [bob.user], viewers: [], public: false };
  const make = async (id, type, content) => {
    const body = { id, name: `The ${id} of this tab`, type, content, metadata: { permissions } };
    return (await people[0].client.call('POST', '/documents', body)).document.id;
  };
  const ids = { board: await make('board', 'whiteboard', BOARD), text: await make('text', 'text', TEXT) };
  for (const each of people) each.open(ids);
  for (const what of Object.keys(ids)) addRow(what);
}

// --- are they equal? ----------------------------------------------------------------------------------------------

function addRow(what) {
  const row = clone('#row-template');
  row.querySelector('dt').textContent = what === 'board' ? 'Whiteboard' : 'Text';
  row.dataset.what = what;
  for (const [index, cell] of row.querySelectorAll('.side').entries()) {
    cell.style.setProperty('--hue', people[index].who.hue);
    cell.querySelector('b').textContent = people[index].who.name;
  }
  rows.set(what, row);
  document.querySelector('#replicas').append(row);
}

function scheduleDraw() {
  if (drawScheduled) return;
  drawScheduled = true;
  requestAnimationFrame(() => { drawScheduled = false; draw(); });
}

function draw() {
  for (const [what, row] of rows) {
    const replicas = people.map(({ documents }) => documents[what].replica);
    const equal = replicas[0].bytes === replicas[1].bytes;
    const badge = row.querySelector('.same');
    badge.classList.toggle('equal', equal);
    setText(badge, equal ? 'equal' : 'differs');
    for (const [index, cell] of row.querySelectorAll('.side').entries()) {
      const { version, pending } = replicas[index];
      setText(cell.querySelector('span'), `v${version}${pending.length ? ` + ${pending.length}` : ''}`);
    }
  }
  const { conflict_policy: policy = 'merge' } = people[0].documents.board?.properties ?? {};
  const select = document.querySelector('#policy');
  if (document.activeElement !== select) select.value = policy;
}

async function choosePolicy({ target }) {
  const metadata = { properties: { conflict_policy: target.value } };
  for (const { id } of Object.values(people[0].documents)) {
    await people[0].client.call('PATCH', `/documents/${id}`, { metadata }).catch(({ message }) => people[0].say(message));
  }
}

// --- the scene ----------------------------------------------------------------------------------------------------

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function play({ currentTarget: button }) {
  button.disabled = true;
  const [first, second] = people;
  second.goOffline();
  await pause(900);
  const letters = Object.values(SCENE).map((words) => [...words]);
  for (let at = 0; at < Math.max(letters[0].length, letters[1].length); at += 1) {
    write(first, letters[0][at], endOf(first));
    write(second, letters[1][at], at);
    await pause(45);
  }
  shift(first, 190, 20);
  await pause(500);
  shift(second, 300, 270);
  await pause(1200);
  second.goOnline();
  button.disabled = false;
}

const endOf = ({ documents }) => lengthOf(documents.text.replica.shown.replace(/\n$/, ''));

function write({ documents }, letter, at) {
  if (letter) documents.text.edit('text', { ops: at ? [at, letter] : [letter] });
}

function shift({ documents }, x, y) {
  const [id] = [...documents.board.replica.shown.keys()].sort();
  if (id) documents.board.edit('move', { id, x, y });
}

document.querySelector('#panels').append(...people.map(({ element }) => element));
document.querySelector('#policy').addEventListener('change', choosePolicy);
document.querySelector('#play').addEventListener('click', play);
for (const { client } of people) client.addEventListener('reset', () => location.reload());
await openDocuments();
document.querySelector('#play').disabled = false;
