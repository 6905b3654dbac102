// The page: three devices of two people, the line that compares their cursors, and the scene that plays by itself.
import { clone } from '/demo/page.js';
import { Panel } from '/demo/panel.js';

const SCENE = ['The tide is out,', 'and so is Bob.', 'We write on regardless:', 'nothing gets lost,',
  'nothing comes twice.'];
const WINDOW = 40;  // entries shown in the line of cursors

const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
const people = { alice: person('Alice'), bob: person('Bob') };

// Every tab has its own Alice and Bob, kept over a reload. The devices are new each time, because what the page has
// applied is gone with it: a device that kept its name would be sent only what it had not confirmed before.
function person(name) {
  const key = 'tidemark-demo';
  const tab = sessionStorage.getItem(key) ?? randomHex();
  sessionStorage.setItem(key, tab);
  return { name, user: `${name.toLowerCase()}-${tab}` };
}

function randomHex() {
  return crypto.getRandomValues(new Uint16Array(1))[0].toString(16).padStart(4, '0');
}

function device(owner, peer, kind, hue) {
  const who = { ...owner, device: kind, deviceId: `${kind}-${randomHex()}`, hue };
  return new Panel({ who, peer, url, changed: scheduleTicker });
}

let tickerScheduled = false;
const panels = [];
const rows = [];

function scheduleTicker() {
  if (tickerScheduled) return;
  tickerScheduled = true;
  requestAnimationFrame(() => { tickerScheduled = false; drawTicker(); });
}

function drawTicker() {
  const head = Math.max(...panels.map(({ cursor }) => cursor));
  const shown = Math.min(Math.max(head, 10), WINDOW);
  const first = Math.max(0, head - shown);
  document.querySelector('#head').textContent = head;
  panels.forEach((panel, index) => {
    const row = rows[index];
    const behind = head - panel.cursor;
    row.style.setProperty('--window', shown);
    row.style.setProperty('--have', Math.max(0, panel.cursor - first));
    row.style.setProperty('--head', head - first);
    row.classList.toggle('behind', behind > 0);
    row.querySelector('.number').textContent = behind ? `${panel.cursor} (${behind} behind)` : panel.cursor;
  });
}

function addRow(panel) {
  const row = clone('#cursor-template');
  row.querySelector('dt').textContent = panel.label;
  row.style.setProperty('--hue', panel.who.hue);
  rows.push(row);
  return row;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function play([phone, , bob], button) {
  button.disabled = true;
  bob.cutOff();
  await pause(900);
  for (const line of SCENE) {
    phone.write(line);
    await pause(500);
  }
  bob.element.scrollIntoView({ inline: 'center', block: 'nearest' });
  await pause(900);
  bob.bringBack();
  button.disabled = false;
}

const { alice, bob } = people;
panels.push(device(alice, bob, 'phone', 195), device(alice, bob, 'laptop', 275), device(bob, alice, 'phone', 40));
document.querySelector('#panels').append(...panels.map(({ element }) => element));
document.querySelector('#cursors').append(...panels.map(addRow));
document.querySelector('#play').addEventListener('click', (event) => play(panels, event.currentTarget));
drawTicker();
if (matchMedia('(hover: hover)').matches) panels[0].element.querySelector('input').focus();
