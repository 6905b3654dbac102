// The documents page in a real browser against the real binary: two people change the same things, online and off.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { converge } from './convergence.mjs';
import { Demo } from './support.mjs';

const TEXT = 'Two people write here at once.\nCut one off, go on writing on both sides, and come back.\n';
const TIDE = 'Low tide at six';

let demo, page, alice, bob;

before(async () => { demo = await Demo.start(); });
after(() => demo?.stop());

beforeEach(async () => {
  page = await demo.open('/demo/documents');
  [alice, bob] = ['Alice', 'Bob'].map(person);
  for (const each of [alice, bob]) await each.hasState('live');
  for (const each of [alice, bob]) await each.hasNotes(['Low tide at six', 'Mend the nets', 'Tea']);
});

afterEach(() => demo.closePage());

test('BothEditOneTextAtOnce', async () => {
  await alice.text().press('Control+End');
  await bob.text().press('Control+Home');
  const words = [...'Alice 😀 was here'];
  for (const [at, letter] of [...'Bob 👩‍💻 was here, too'].entries()) {
    if (words[at]) await alice.types(words[at]);
    await bob.types(letter);
  }
  await areEqual();
  const [mine, theirs] = [await alice.text().inputValue(), await bob.text().inputValue()];
  assert.equal(mine, theirs);
  assert.equal(mine, `Bob 👩‍💻 was here, too${TEXT}Alice 😀 was here`);
  assert.equal((await stored('text')).content, mine);
});

test('OfflineEditsOfBothMerge', async () => {
  await bob.goOffline();
  await alice.text().press('Control+End');
  await alice.text().pressSequentially('From the shore.');
  await bob.text().press('Control+Home');
  await bob.text().pressSequentially('From the island. ');
  await bob.press(TIDE, 'ArrowRight');
  await alice.press('Tea', 'Delete');
  await alice.hasNotes([TIDE, 'Mend the nets']);
  await bob.hasNotes([TIDE, 'Mend the nets', 'Tea']);
  await bob.part('.text-part .queued:visible').waitFor();
  await demo.eventually(() => page.locator('.same').allTextContents(), ['differs', 'differs']);
  assert.equal(await bob.text().inputValue(), `From the island. ${TEXT}`);

  await bob.goOnline();
  await areEqual();
  for (const each of [alice, bob]) {
    assert.equal(await each.text().inputValue(), `From the island. ${TEXT}From the shore.`);
    await each.hasNotes([TIDE, 'Mend the nets']);
    await each.isAt(TIDE, '50, 40');
    assert.equal(await each.part('.conflicts').isVisible(), false);
  }
});

test('ManyEditsConvergeOverReconnects', async () => {
  const seed = Number(process.env.DEMO_SEED ?? Math.floor(Math.random() * 1e9));
  for (const onlyAdd of [false, true]) {
    const run = { seed, edits: Number(process.env.DEMO_EDITS ?? 150), onlyAdd };
    const { copies, length, expected } = await page.evaluate(converge, run);
    assert.equal(new Set(copies.text).size, 1, `seed ${seed}: ${JSON.stringify(copies.text)}`);
    assert.equal(new Set(copies.board).size, 1, `seed ${seed}: ${JSON.stringify(copies.board)}`);
    if (onlyAdd) assert.equal(length, expected, `seed ${seed}: something got lost or came twice`);
  }
});

test('ConflictThatSettlesItselfShowsWhatWasLost', async () => {
  await bothMoveTheTide();
  for (const each of [alice, bob]) {
    await each.hasConflict(`Both changed the place of “${TIDE}”`, 'Bob’s stands: at 40, 50. Lost: Alice’s at 50, 40.');
    await each.isAt(TIDE, '40, 50');
  }
});

test('ConflictCanWaitForADecision', async () => {
  await page.getByLabel('Conflicts', { exact: true }).selectOption('manual');
  await bothMoveTheTide();
  for (const each of [alice, bob]) {
    await each.hasConflict(`Both changed the place of “${TIDE}”`, 'Nothing has changed yet.');
    await each.isAt(TIDE, '50, 40');
  }
  await alice.part('.conflict').getByRole('button', { name: 'Keep Alice’s at 50, 40' }).waitFor();
  await alice.part('.conflict').getByRole('button', { name: 'Take Bob’s at 40, 50' }).click();
  for (const each of [alice, bob]) {
    await each.isAt(TIDE, '40, 50');
    await each.hasConflict('Both changed the place of', 'Alice decided for Bob’s');
  }
});

test('WhatWasMadeOnTopOfAParkedEditIsKept', async () => {
  await page.getByLabel('Conflicts', { exact: true }).selectOption('manual');
  await bob.goOffline();
  await alice.text().press('Control+Home');
  await alice.text().press('Shift+ArrowDown');
  await alice.text().press('Delete');
  await bob.text().press('Control+Home');
  for (let at = 0; at < 4; at += 1) await bob.text().press('ArrowRight');
  await bob.text().pressSequentially('hardy ');
  await bob.goOnline();
  await bob.hasConflict('Bob wrote where Alice had removed or replaced', 'Nothing has changed yet.');
  await areEqual();
  await bob.text().press('Control+End');
  await bob.text().pressSequentially('Still here.');
  await bob.part('.conflict').getByRole('button', { name: 'Keep Alice’s' }).click();
  await bob.hasConflict('Bob wrote where', 'Bob decided for Alice’s');
  await areEqual();
  assert.equal((await stored('text')).content, `${TEXT.split('\n')[1]}\nStill here.`);
});

test('LockIsSeenAndRefusesTheOther', async () => {
  await alice.button('Lock the board as Alice').click();
  await alice.part('.board-part .lock-status').filter({ hasText: /Locked by you.* s · fence 1/ }).waitFor();
  await bob.part('.board-part .lock-status').filter({ hasText: /Locked by Alice.* s · fence 1/ }).waitFor();
  assert.equal(await bob.button('Lock the board as Bob').isDisabled(), true);
  assert.equal(await bob.button('Add a note on Bob’s board').isDisabled(), true);
  await bob.press(TIDE, 'ArrowRight');
  const { id } = await stored('board');
  const refused = await call('Bob', 'POST', `/documents/${id}/operations`, { type: 'move', data: { id: 'a-tide', x: 1, y: 1 } });
  assert.equal(refused.error, 'locked');
  await alice.press(TIDE, 'ArrowDown');
  for (const each of [alice, bob]) await each.isAt(TIDE, '40, 50');

  // Who does not know of the lock is not refused: what was done offline waits for its end.
  await bob.goOffline();
  await bob.press('Tea', 'Delete');
  await bob.goOnline();
  await bob.part('.board-part .queued').filter({ hasText: '1 waiting for the lock' }).waitFor();
  await alice.button('Unlock the board as Alice').click();
  for (const each of [alice, bob]) await each.hasNotes([TIDE, 'Mend the nets']);
  await bob.part('.board-part .lock-status').waitFor({ state: 'hidden' });
  await areEqual();
});

test('BoardNeedsNoPointer', async () => {
  await alice.button('Add a note on Alice’s board').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type('Buy rope');
  await page.keyboard.press('Enter');
  await bob.hasNotes(['Buy rope', 'Low tide at six', 'Mend the nets', 'Tea']);
  const before = await alice.note('Buy rope').getAttribute('aria-label');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowDown');
  const [x, y] = before.match(/at (\d+), (\d+)/).slice(1).map(Number);
  await bob.isAt('Buy rope', `${x + 10}, ${y + 40}`);
  await page.keyboard.press('F2');
  await page.keyboard.type('Buy more rope');
  await page.keyboard.press('Enter');
  await bob.note('Buy more rope').waitFor();
  await alice.button('lilac on Alice’s board').press('Space');
  await bob.part('.note[data-color="lilac"]').filter({ hasText: 'Buy more rope' }).waitFor();
  await alice.press('Buy more rope', 'Delete');
  await bob.hasNotes([TIDE, 'Mend the nets', 'Tea']);
  assert.equal(await page.evaluate(() => document.activeElement !== document.body), true);
});

test('NoteIsDraggedBeforeTheEyesOfTheOther', async () => {
  const from = await alice.note('Tea').boundingBox();
  await page.mouse.move(from.x + 20, from.y + 20);
  await bob.part('.pointer:visible').filter({ hasText: 'Alice' }).waitFor();
  await page.mouse.down();
  await page.mouse.move(from.x - 80, from.y + 60, { steps: 5 });
  const shift = () => bob.note('Tea').evaluate((note) => Number(note.style.getPropertyValue('--x')) < 0.6);
  await demo.eventually(shift, true);
  await bob.isAt('Tea', '440, 60');
  await page.mouse.up();
  await demo.eventually(async () => (await bob.note('Tea').getAttribute('aria-label')).includes('at 440, 60'), false);
  await areEqual();
});

test('CaretOfTheOtherIsWhereTheyWrite', async () => {
  const before = () => bob.part('.mirror').evaluate((mirror) => mirror.querySelector('.caret')?.previousSibling
    ? [...mirror.childNodes].slice(0, [...mirror.childNodes].indexOf(mirror.querySelector('.caret')))
      .map(({ textContent }) => textContent).join('') : null);
  await alice.text().press('Control+Home');
  await alice.text().pressSequentially('🎣 and ');
  await demo.eventually(before, '🎣 and ');
  await bob.part('.mirror .caret span').filter({ hasText: 'Alice' }).waitFor();
});

test('ReloadFindsTheSameDocuments', async () => {
  await alice.press('Tea', 'Delete');
  await bob.hasNotes([TIDE, 'Mend the nets']);
  await page.reload();
  for (const each of [alice, bob]) await each.hasNotes([TIDE, 'Mend the nets']);
});

async function bothMoveTheTide() {
  await bob.goOffline();
  await alice.press(TIDE, 'ArrowRight');
  await alice.isStored();
  await bob.press(TIDE, 'ArrowDown');
  await bob.goOnline();
  await bob.isStored();
}

const areEqual = async () => {
  for (const each of [alice, bob]) await each.isStored();
  await demo.eventually(() => page.locator('.same').allTextContents(), ['equal', 'equal']);
};

// REST as a person of this tab.
async function call(name, method, path, body) {
  const tab = await page.evaluate(() => sessionStorage.getItem('tidemark-documents'));
  const headers = { 'Tidemark-User': `${name.toLowerCase()}-${tab}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${demo.origin}/api/v1${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return response.json();
}

// The document as the server has it.
async function stored(what) {
  const { data } = await call('Alice', 'GET', '/documents');
  const { id } = data.documents.find(({ type }) => (type === 'text') === (what === 'text'));
  return (await call('Alice', 'GET', `/documents/${id}`)).data.document;
}

function person(name) {
  const panel = page.getByRole('region', { name, exact: true });
  const part = (selector) => panel.locator(selector);
  const note = (text) => part('.note').filter({ hasText: new RegExp(`^${text}$`) });
  const text = () => panel.getByRole('textbox', { name: `${name}’s text` });
  const button = (label) => panel.getByRole('button', { name: label, exact: true });
  return {
    part,
    note,
    text,
    button,
    types: async (letter) => { await text().focus(); await page.keyboard.insertText(letter); },
    press: (on, key) => note(on).press(key),
    goOffline: async () => {
      await button(`${name}: go offline`).click();
      await part('.state').filter({ hasText: 'offline' }).waitFor();
    },
    goOnline: async () => {
      await button(`${name}: go online`).click();
      await part('.state').filter({ hasText: 'live' }).waitFor();
    },
    hasState: (state) => part('.state').filter({ hasText: state }).waitFor(),
    hasNotes: (texts) => demo.eventually(async () => (await part('.note-text').allTextContents()).sort(), texts),
    isAt: (on, place) => part(`.note[aria-label$="at ${place}"]`).filter({ hasText: on }).waitFor(),
    isStored: () => demo.eventually(() => part('.queued:visible').count(), 0),
    hasConflict: (title, outcome) => part('.conflict').filter({ hasText: title }).filter({ hasText: outcome }).waitFor(),
  };
}
