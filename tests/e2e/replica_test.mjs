// The arithmetic of the documents page, without a browser: operations on texts, and copies that meet over a stream.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { applied, canonical, objectsOf } from '../../web/demo/objects.js';
import { Replica } from '../../web/demo/replica.js';
import { apply, compose, difference, indexOf, inverse, lengthOf, moved, rebase, rebaseEarlier }
  from '../../web/demo/text_operation.js';

globalThis.crypto ??= webcrypto;  // a browser has it, Node only from 19 on

const SEED = Number(process.env.DEMO_SEED ?? Math.floor(Math.random() * 1e9));
const LETTERS = ['a', 'b', ' ', '\n', 'é', 'e\u0301', 'ש', '漢', '😀', '👩\u200d💻'];

test('TwoInsertionsAtOnePlace', () => {
  assert.deepEqual(rebase([1, 'Y'], [1, 'X']), [1, 'Y']);
  assert.deepEqual(rebaseEarlier([1, 'X'], [1, 'Y']), [2, 'X']);
  assert.deepEqual(rebase([2, 'Y'], [1, { d: 3 }]), [1, 'Y']);
  assert.deepEqual(rebase([1, { d: 2 }], [2, '😀']), [1, { d: 1 }, 1, { d: 1 }]);
});

test('DifferenceIsWhereTheCaretIs', () => {
  assert.deepEqual(difference('aaa', 'aaaa', 2), [1, 'a']);
  assert.deepEqual(difference('aaa', 'aaaa'), [3, 'a']);
  assert.deepEqual(difference('a😀b', 'a😁b', 3), [1, '😁', { d: 1 }]);
  assert.deepEqual(difference('same', 'same'), []);
});

test('PositionsAreCodePoints', () => {
  assert.equal(lengthOf('a😀b'), 3);
  assert.equal(indexOf('a😀b', 2), 3);
  assert.equal(moved(2, [1, '😀']), 3);
  assert.equal(moved(1, [1, '😀']), 1);
  assert.equal(moved(3, [1, { d: 5 }]), 1);
});

test('OperationsOnTextsHoldTogether', () => {
  const chance = chanceOf(SEED);
  for (let round = 0; round < 3000; round += 1) {
    const text = chance.text(10);
    const [a, b] = [chance.operation(text), chance.operation(text)];
    const about = `seed ${SEED}: ${JSON.stringify([text, a, b])}`;
    const both = apply(apply(text, a), rebase(b, a));
    assert.equal(both, apply(apply(text, b), rebaseEarlier(a, b)), about);
    const after = apply(text, a);
    assert.equal(apply(after, inverse(a, text)), text, about);
    const next = chance.operation(after);
    assert.equal(apply(text, compose(a, next)), apply(after, next), about);
    assert.equal(apply(text, difference(text, after)), after, about);
  }
});

// The server in one line: an operation is rebased over what its author had not seen. Here nobody has more than one in
// flight, so that this is all there is to it; the browser tests have the real one.
test('CopiesOfOneTextAreEqual', () => {
  const chance = chanceOf(SEED);
  const stream = [];
  let text = 'low tide';
  const copies = ['alice', 'bob'].map((user) => ({ user, replica: new Replica(true) }));
  for (const { replica } of copies) replica.reset({ version: 1, content: text });
  const catchUp = (replica) => { for (const one of stream.slice(replica.version - 1)) replica.receive(one); };
  for (let round = 0; round < 500; round += 1) {
    for (const { replica } of copies) if (!replica.pending.length) replica.edit('text', { ops: chance.operation(replica.shown) });
    for (const { user, replica } of chance.below(2) ? copies : [...copies].reverse()) {
      const [one] = replica.pending;
      const predicts = chance.below(2) > 0;  // has heard of what its operation meets
      if (predicts) catchUp(replica);
      const predicted = apply(text, one.ops);
      const ops = stream.slice(one.prev_version - 1).reduce((mine, other) => rebase(mine, other.ops), one.data.ops);
      text = apply(text, ops);
      if (predicts) assert.equal(text, predicted, `seed ${SEED}`);
      stream.push({ id: one.id, user_id: user, type: 'text', data: { ops }, ops, version: stream.length + 2 });
    }
    for (const { replica } of copies) catchUp(replica);
    assert.deepEqual(copies.map(({ replica }) => replica.shown), [text, text], `seed ${SEED}`);
  }
});

test('TheServersWordRepairsAWrongPrediction', () => {
  const replica = new Replica(true);
  replica.reset({ version: 1, content: 'abc' });
  const first = replica.edit('text', { ops: [1, 'X'] });
  first.told = true;
  replica.edit('text', { ops: [2, 'Y'] });
  assert.equal(replica.shown, 'aXYbc');
  replica.receive({ id: first.id, type: 'text', data: { ops: [3, 'X'] }, version: 2 });
  assert.match(replica.shown, /^a.*b.*cX?/);
  assert.equal(replica.shown.includes('X') && replica.shown.includes('Y'), true);
  assert.equal(apply('abcX', replica.pending[0].ops), replica.shown);
});

test('WhatWasRefusedIsTakenBackAndTheRestMadeAnew', () => {
  const replica = new Replica(true);
  replica.reset({ version: 7, content: 'abc' });
  const first = replica.edit('text', { ops: [1, 'X'] });
  first.told = true;
  const second = replica.edit('text', { ops: [4, 'Y'] });
  second.told = true;
  const { id } = second;
  assert.equal(second.extra.after, first.id);
  replica.drop(first.id);
  assert.equal(replica.shown, 'abcY');
  const [left] = replica.pending;
  assert.notEqual(left.id, id);
  assert.deepEqual([left.data, left.prev_version, left.extra], [{ ops: [3, 'Y'] }, 7, {}]);
});

test('TypingIsOneOperationUntilItLeaves', () => {
  const replica = new Replica(true);
  replica.reset({ version: 1, content: '' });
  for (const [at, letter] of [...'tide'].entries()) replica.edit('text', { ops: at ? [at, letter] : [letter] });
  assert.deepEqual(replica.pending.map(({ data }) => data), [{ ops: ['tide'] }]);
  replica.pending[0].told = true;  // from now on the server may have it as it is
  replica.edit('text', { ops: [4, '!'] });
  assert.deepEqual(replica.pending.map(({ data }) => data), [{ ops: ['tide'] }, { ops: [4, '!'] }]);
});

test('ObjectsAreRegisters', () => {
  const steps = [
    [{ type: 'create', data: { id: 'n', x: 1, style: { color: 'red' } } }, '{"n":{"style":{"color":"red"},"x":1}}'],
    [{ type: 'style', data: { id: 'n', style: { width: 2 } } }, '{"n":{"style":{"color":"red","width":2},"x":1}}'],
    [{ type: 'update', data: { id: 'n', 'style.color': null, text: 'ab' } }, '{"n":{"style":{"width":2},"text":"ab","x":1}}'],
    [{ type: 'text', data: { id: 'n', ops: [1, '😀'] } }, '{"n":{"style":{"width":2},"text":"a😀b","x":1}}'],
    [{ type: 'update', data: { id: 'n', style: 'none' } }, '{"n":{"style":"none","text":"a😀b","x":1}}'],
    [{ type: 'move', data: { id: 'gone', x: 1, y: 1 } }, '{"n":{"style":"none","text":"a😀b","x":1}}'],
    [{ type: 'update', data: { id: '', title: 'T' } }, '{"n":{"style":"none","text":"a😀b","x":1},"title":"T"}'],
    [{ type: 'delete', data: { id: 'n' } }, '{"title":"T"}'],
    [{ type: 'update', data: { content: { m: { b: 1, a: [1, { z: 1, y: 2 }] } } } }, '{"m":{"a":[1,{"y":2,"z":1}],"b":1}}'],
  ];
  let objects = objectsOf({});
  for (const [operation, expected] of steps) {
    objects = applied(objects, operation);
    assert.equal(canonical(objects), expected);
  }
});

function chanceOf(seed) {
  let state = seed;
  const below = (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % bound;
  };
  const text = (most) => Array.from({ length: below(most + 1) }, () => LETTERS[below(LETTERS.length)]).join('');
  const operation = (on) => {
    const ops = [];
    let left = lengthOf(on);
    for (let changes = 1 + below(3); changes > 0; changes -= 1) {
      const skipped = below(left + 1);
      const removed = below(2) * below(Math.min(left - skipped, 4) + 1);
      ops.push(skipped, below(3) ? text(3) : '', { d: removed });
      left -= skipped + removed;
    }
    return compose(ops.filter((part) => part && part.d !== 0), []);
  };
  return { below, text, operation };
}
