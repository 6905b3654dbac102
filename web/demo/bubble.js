// How one message looks. Pure drawing: list items in, nothing kept.
import { clone, setText } from '/demo/page.js';

export const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

const TICKS = {
  waiting: { icon: 'clock', label: 'waiting' },
  sent: { icon: 'tick', label: 'sent' },
  delivered: { icon: 'ticks', label: 'delivered' },
  read: { icon: 'ticks', label: 'read' },
  failed: { icon: 'failed', label: 'refused' },
};

export function newItem(seq) {
  const item = clone('#message-template');
  item.dataset.seq = seq;
  return item;
}

// mine: by this user; elsewhere: on another device of theirs; own: this user's thumb is up.
export function drawMessage(item, message, { mine, elsewhere, own, tick }) {
  const part = (selector) => item.querySelector(selector);
  const { seq, text, at, edited, deleted, thumbs, device } = message;
  const from = elsewhere && device && `from ${device.split('-')[0]}`;
  item.classList.toggle('mine', mine);
  item.classList.toggle('deleted', deleted);
  part('.text').textContent = deleted ? 'Message deleted' : text;
  const about = [`#${seq}`, clock.format(at), from, edited && !deleted && 'edited'];
  part('.about').textContent = about.filter(Boolean).join(' · ');
  drawTick(part('.tick'), tick);
  part('.tools').hidden = deleted;
  part('.edit').hidden = part('.delete').hidden = !mine;
  part('.react').setAttribute('aria-pressed', own);
  part('.react').setAttribute('aria-label', `Thumbs up for message ${seq}`);
  part('.edit').setAttribute('aria-label', `Edit message ${seq}`);
  part('.delete').setAttribute('aria-label', `Delete message ${seq}`);
  part('.reactions').hidden = !thumbs.size;
  part('.reactions').classList.toggle('own', own);
  part('.reactions span').textContent = thumbs.size;
}

export function drawNotice(item, text) {
  item.className = 'message notice';
  item.replaceChildren(text);
}

export function drawTick(element, tick) {
  element.className = `tick ${tick}`;
  element.hidden = !tick;
  if (!tick) return;
  element.querySelector('use').setAttribute('href', `#i-${TICKS[tick].icon}`);
  setText(element.querySelector('.sr'), TICKS[tick].label);
}
