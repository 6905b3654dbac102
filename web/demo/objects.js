// The objects of a whiteboard: what operations do to them. Pure: a Map from object id to its nested values; values of
// the root object stand beside the objects, under their own names.
import { apply } from './text_operation.js';

export const objectsOf = (content) => new Map(Object.entries(content));

// The Map after the operation; the one before stays as it is. What does not fit has no effect, as on the server.
export function applied(objects, { type, data }) {
  if (type === 'update' && data.id === undefined && data.content) return objectsOf(data.content);
  const result = new Map(objects);
  const { id, ...members } = data;
  switch (type) {
    case 'create': result.set(id, written({}, members)); break;
    case 'delete': result.delete(id); break;
    case 'text': writeText(result, data); break;
    default:
      if (id === '') writeRoot(result, members);
      else if (result.has(id)) result.set(id, written(result.get(id), members));
  }
  return result;
}

function writeRoot(objects, members) {
  for (const [name, value] of Object.entries(members)) {
    if (value === null) objects.delete(name);
    else objects.set(name, value);
  }
}

function writeText(objects, { id, key = 'text', ops }) {
  if (!objects.has(id)) return;
  const path = key.split('.');
  const old = path.reduce((value, name) => value?.[name], objects.get(id));
  if (typeof old === 'string') objects.set(id, written(objects.get(id), { [key]: apply(old, ops) }));
}

// A name may be a path (`style.color`); null removes; an object is merged; any other value replaces what is there.
function written(object, members) {
  const result = { ...object };
  for (const [path, value] of Object.entries(members)) {
    const dot = path.indexOf('.');
    if (dot >= 0) {
      Object.assign(result, written(result, { [path.slice(0, dot)]: { [path.slice(dot + 1)]: value } }));
      continue;
    }
    if (isObject(value)) {
      const inner = written(isObject(result[path]) ? result[path] : {}, value);
      if (Object.keys(inner).length) result[path] = inner;
      else delete result[path];
    } else if (value === null) {
      delete result[path];
    } else {
      result[path] = value;
    }
  }
  return result;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

// The same objects give the same text.
export const canonical = (objects) => JSON.stringify(ordered(Object.fromEntries(objects)));

function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])]));
}
