// Runs in the page: several people change one text and one board at random, each cut off and back now and then, until
// nothing is pending. Returns every copy, the server's too, and how long the text has become and should have.
export async function converge({ seed, edits: wanted, onlyAdd = false }) {
  const { DocumentClient } = await import('/demo/document_client.js');
  const { canonical, objectsOf } = await import('/demo/objects.js');
  const { lengthOf } = await import('/demo/text_operation.js');
  const LETTERS = ['a', 'b', ' ', '\n', 'é', 'ש', '漢', '😀', '👩‍💻'];
  const OBJECTS = ['one', 'two', 'three'];
  let state = seed;
  const below = (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % bound;
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const until = async (holds) => { while (!holds()) await pause(10); };
  const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws?replay=0`;

  const users = ['ann', 'ben', 'cem'].map((name) => `${name}-${crypto.randomUUID()}`);
  const clients = users.map((user) => new DocumentClient({ url, credentials: { user_id: user, device_id: 'page' } }));
  const metadata = { permissions: { owner: users[0], editors: users.slice(1), viewers: [], public: false } };
  const make = async (type, content) =>
    (await clients[0].call('POST', '/documents', { name: type, type, content, metadata })).document.id;
  const ids = { text: await make('text', 'shore 🌊 line'), board: await make('whiteboard', { one: { x: 0, y: 0, text: 'o' } }) };
  const people = clients.map((client) => ({
    client, text: client.follow(ids.text, 'text'), board: client.follow(ids.board, 'whiteboard'), away: false,
  }));
  const documents = people.flatMap(({ text, board }) => [text, board]);
  for (const { client } of people) client.connect();
  await until(() => documents.every(({ opened }) => opened));

  let expected = lengthOf(people[0].text.replica.shown);
  const write = ({ text }) => {
    const length = lengthOf(text.replica.shown);
    const at = below(length + 1);
    const inserted = onlyAdd || below(4) ? Array.from({ length: 1 + below(4) }, () => LETTERS[below(LETTERS.length)]).join('') : '';
    const removed = onlyAdd || (inserted && below(2)) ? 0 : Math.min(below(6), length - at);
    const ops = [...(at ? [at] : []), ...(inserted ? [inserted] : []), ...(removed ? [{ d: removed }] : [])];
    if (inserted || removed) text.edit('text', { ops });
    expected += lengthOf(inserted);
  };
  const draw = ({ board }) => {
    const id = OBJECTS[below(OBJECTS.length)];
    if (!board.replica.shown.has(id)) return board.edit('create', { id, x: below(9), text: `${below(9)}`, style: { color: 'mint' } });
    const [type, data] = [['move', { id, x: below(99), y: below(99) }], ['style', { id, style: { color: LETTERS[below(3)] } }],
      ['update', { id, text: LETTERS[below(9)], 'style.width': below(3) || null }], ['delete', { id }]][below(4)];
    return board.edit(type, data);
  };

  for (let made = 0; made < wanted; made += 1) {
    const one = people[below(people.length)];
    below(3) ? write(one) : draw(one);
    if (below(25) === 0) {
      one.away ? one.client.connect() : one.client.cutOff();
      one.away = !one.away;
    }
    if (below(3) === 0) await pause(below(12));
  }
  for (const { client } of people) client.connect();
  await until(() => documents.every(({ live, replica }) => live && !replica.pending.length));
  const [text, board] = await Promise.all([ids.text, ids.board].map(async (id) =>
    (await clients[0].call('GET', `/documents/${id}`)).document));
  const version = { text: text.version, board: board.version };
  await until(() => people.every((one) => one.text.replica.version === version.text && one.board.replica.version === version.board));
  const copies = {
    text: [text.content, ...people.map((one) => one.text.replica.bytes)],
    board: [canonical(objectsOf(board.content)), ...people.map((one) => one.board.replica.bytes)],
  };
  for (const { client } of people) client.cutOff();
  return { copies, length: lengthOf(text.content), expected };
}
