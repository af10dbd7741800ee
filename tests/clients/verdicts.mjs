// Verifies many texts, most of which differ little, by clients/verify. Reads JSON lines: {"whole": base64} is a text to
// start from; {"of": n, "start", "end", "new": base64} is the n-th of those with other bytes from start to end, and is
// answered with a verdict. An empty line is answered by an empty line. Each signature is verified only once.
import { createInterface } from 'node:readline';
import { verify as judge } from '../../clients/verify/verify.mjs';

const importKey = crypto.subtle.importKey.bind(crypto.subtle);
const verify = crypto.subtle.verify.bind(crypto.subtle);
const keys = new Map();
const answers = new WeakMap();

crypto.subtle.importKey = (format, raw, ...rest) => {
  const name = Buffer.from(raw).toString('hex');
  if (!keys.has(name)) keys.set(name, importKey(format, raw, ...rest));
  return keys.get(name);
};

crypto.subtle.verify = (algorithm, key, signature, text) => {
  if (!answers.has(key)) answers.set(key, new Map());
  const known = answers.get(key);
  const name = Buffer.concat([signature, text]).toString('latin1');
  if (!known.has(name)) known.set(name, verify(algorithm, key, signature, text));
  return known.get(name);
};

const wholes = [];
for await (const line of createInterface({ input: process.stdin })) {
  if (line === '') {
    process.stdout.write('\n');
    continue;
  }
  const edit = JSON.parse(line);
  if (edit.whole !== undefined) {
    wholes.push(Buffer.from(edit.whole, 'base64'));
    continue;
  }
  const from = wholes[edit.of];
  const text = Buffer.concat([from.subarray(0, edit.start), Buffer.from(edit.new, 'base64'), from.subarray(edit.end)]);
  process.stdout.write(`${JSON.stringify(await judge(text))}\n`);
}
