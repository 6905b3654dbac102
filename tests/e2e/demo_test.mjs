// The demo page in a real browser against the real binary: what it promises in its headline is what happens.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Demo } from './support.mjs';

const FIVE = ['one', 'two', 'three', 'four', 'five'];

let demo, page;

before(async () => { demo = await Demo.start(); });
after(() => demo?.stop());

beforeEach(async () => {
  page = await demo.open('/demo');
  for (const name of ['Alice’s phone', 'Alice’s laptop', 'Bob’s phone']) await device(name).hasState('live');
});

afterEach(() => demo.closePage());

test('MessageShowsOnEveryDeviceWithTicks', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('hello');
  await laptop.shows(['hello']);
  await bob.shows(['hello']);
  await phone.hasTick('hello', 'delivered');
  await laptop.hasTick('hello', 'delivered');
  await bob.reads();
  await phone.hasTick('hello', 'read');
  await laptop.hasTick('hello', 'read');
});

test('DeviceThatComesBackGetsWhatItMissedOnceAndInOrder', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('zero');
  await bob.shows(['zero']);
  await phone.hasTick('zero', 'delivered');

  await bob.cutOff();
  for (const text of FIVE) await phone.write(text);
  await laptop.shows(['zero', ...FIVE]);
  for (const text of FIVE) await phone.hasTick(text, 'sent');
  await bob.shows(['zero']);

  await bob.bringBack();
  await bob.hasState(/caught up: 5/);
  await bob.shows(['zero', ...FIVE]);
  await bob.hasUnread('6 unread');
  await phone.hasTick('five', 'delivered');
});

test('MessageWrittenWithoutNetworkIsSentOnReturn', async () => {
  const [phone, laptop, bob] = devices();
  await bob.cutOff();
  await bob.write('from the island');
  await phone.write('from the shore');
  await laptop.shows(['from the shore']);
  await bob.bringBack();
  await phone.shows(['from the shore', 'from the island']);
  await bob.shows(['from the shore', 'from the island']);
});

test('EditDeletionAndReactionReachTheOtherUser', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('frist');
  await phone.write('second');
  await bob.shows(['frist', 'second']);
  await bob.use('react', 1);
  await phone.part('.reactions:visible').waitFor();
  await phone.use('edit', 1);
  await phone.write('first');
  await phone.use('delete', 2);
  for (const each of [phone, laptop, bob]) await each.shows(['first', 'Message deleted']);
});

test('TypingIsSeenByTheOtherUserOnly', async () => {
  const [phone, laptop, bob] = devices();
  await phone.input().fill('Dear Bob');
  await bob.part('.typing:visible').waitFor();
  assert.equal(await laptop.part('.typing').isVisible(), false);
  await phone.input().press('Enter');
  await bob.part('.typing').waitFor({ state: 'hidden' });
});

const devices = () => ['Alice’s phone', 'Alice’s laptop', 'Bob’s phone'].map(device);

function device(name) {
  const panel = page.getByRole('region', { name });
  const part = (selector) => panel.locator(selector);
  const input = () => panel.getByRole('textbox');
  return {
    part,
    input,
    async write(text) {
      await input().fill(text);
      await input().press('Enter');
    },
    cutOff: () => panel.getByRole('button', { name: `Cut ${name} off` }).click(),
    bringBack: () => panel.getByRole('button', { name: `Bring ${name} back` }).click(),
    reads: () => input().click(),
    // The buttons of a message are there once it is focused.
    async use(tool, seq) {
      const message = part(`.message[data-seq="${seq}"]`);
      await message.focus();
      await message.locator(`.tool.${tool}`).click();
    },
    hasState: (text) => part('.state').filter({ hasText: text }).waitFor(),
    hasUnread: (text) => part('.unread').filter({ hasText: text }).waitFor(),
    hasTick: (text, tick) => part('.messages .message').filter({ hasText: text }).locator(`.tick.${tick}`).waitFor(),
    shows: (texts) => demo.eventually(() => part('.message .text').allTextContents(), texts),
  };
}
